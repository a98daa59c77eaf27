//! What a lane says: its tally once a second, and its last one.
//!
//! Owns when it is said. What was counted is the recorder's.

use std::time::Duration;

use tokio::sync::mpsc;

use super::{LaneReport, Running, Strand};
use crate::load::LaneWorkload;
use crate::load::stock::IterationsBegun;
use crate::stats::profiles::ProfileCounts;
use crate::stats::tally::Tally;

impl<L: LaneWorkload> Running<L> {
    pub(super) fn report_if_due(&mut self, elapsed: Duration) {
        if self.second < elapsed.as_secs() {
            // The report was due at the second's end: where it is late, the lane fell asleep in that second.
            self.note_late_since(self.second + 1, elapsed);
        }
        while self.second < elapsed.as_secs() {
            let report = self.report(false, elapsed);
            self.second += 1;
            self.send(report);
            // A lateness of seconds is measured once, in one second. The others that the lane has slept through were no better.
            if self.second < elapsed.as_secs() {
                self.note_late_since(self.second, elapsed);
            }
        }
        self.tell_exhaustion(elapsed);
    }

    /// A run that ends with its iterations shall not last to the end of a second for nothing: its rates divide by its length.
    fn tell_exhaustion(&mut self, elapsed: Duration) {
        let is_exhausted = self.strands.iter().any(|strand| strand.allotment.is_bound()) && self.is_exhausted(elapsed);
        if is_exhausted && !self.has_told_exhaustion {
            let report = self.report(false, elapsed);
            self.send(report);
        }
        self.has_told_exhaustion = is_exhausted;
    }

    /// Users that have ended by themselves start again only where the level falls below them and rises again. A profile that has come to its end wants
    /// nobody.
    fn is_exhausted(&self, elapsed: Duration) -> bool {
        let is_idle = |strand: &Strand| {
            strand.shape.is_over_at(elapsed)
                || strand.level > 0
                    && strand.level == strand.shape.users_at(elapsed)
                    && !strand.shape.rises_after(elapsed)
                    && !self.tenure.awaits_users(self.numbering, strand.number, strand.level)
        };
        let wants_any = self.strands.iter().any(|strand| strand.level > 0);
        self.users.count() == 0 && !self.is_stopping && wants_any && self.strands.iter().all(is_idle)
    }

    fn note_late_since(&self, second: u64, elapsed: Duration) {
        self.lane.recorder.borrow_mut().lag(elapsed.saturating_sub(Duration::from_secs(second)));
    }

    fn report(&mut self, is_finished: bool, elapsed: Duration) -> LaneReport {
        let is_exhausted = self.is_exhausted(elapsed);
        let users = self.users.count() as u64;
        let mut tally = Tally { users, ..self.lane.recorder.borrow_mut().take(self.second) };
        for strand in &self.strands {
            let (profile, users) = (strand.counted_as(), self.users.count_of(strand.number) as u64);
            if let Some(profile) = profile.filter(|_| users > 0) {
                tally.profiles.resize_with(tally.profiles.len().max(profile + 1), ProfileCounts::default);
                tally.profiles[profile].users = users;
            }
        }
        LaneReport {
            lane: self.lane.number,
            tally,
            users,
            is_exhausted,
            followed: self.followed,
            is_finished,
            panics: self.panics,
            begun: IterationsBegun(self.strands.iter().map(|strand| strand.allotment.begun()).collect()),
            halt: self.lane.workload.halt(),
        }
    }

    /// Sends what waits and `report`. What the worker has no room for waits for the next second; past a bound two reports become
    /// one, so that memory stays bounded, nothing is lost, and only the second in which it was counted blurs.
    fn send(&mut self, report: LaneReport) {
        self.unsent.push_back(report);
        while let Some(report) = self.unsent.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(report)) = self.lane.reports.try_send(report) {
                self.unsent.push_front(report);
                break;
            }
        }
        if self.unsent.len() > UNSENT_REPORTS
            && let (Some(older), Some(newer)) = (self.unsent.pop_front(), self.unsent.front_mut())
        {
            newer.tally.merge(older.tally);
        }
    }

    /// Waits for the users that were cut, then hands over the last tally.
    pub(super) async fn finish(mut self) {
        self.users.settle().await;
        let last = self.report(true, Duration::from_secs(self.second));
        self.unsent.push_back(last);
        for report in self.unsent {
            // The worker waits for this report; if it is gone, nobody is left to tell.
            let sent = self.lane.reports.send_timeout(report, LAST_REPORT_TIMEOUT).await;
            if sent.is_err() {
                log::error!("lane {}: the worker did not take the last numbers", self.lane.number);
            }
        }
    }
}

pub(super) const UNSENT_REPORTS: usize = 60;
const LAST_REPORT_TIMEOUT: Duration = Duration::from_secs(5);
