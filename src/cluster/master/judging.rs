//! Thresholds that look at a part of the run, or end it, as the run goes on. How they stand is `stats::windows`'s; those of the whole run are the
//! table's.

use std::time::Instant;

use super::super::message::Phase;
use super::action::Action;
use super::peers::Peers;
use super::run::Run;
use crate::cluster::record::Record;
use crate::stats::snapshot::Snapshot;
use crate::stats::windows::{Windows, WorstWindow, windows_of};

impl Run {
    /// Judges what can be judged by now, and ends the run if one of them shall.
    pub(super) fn judge_windows(&mut self, peers: &Peers, origin: Instant, now: Instant, out: &mut Vec<Action>) {
        let elapsed = self.elapsed(now);
        self.windows.values_mut().for_each(|windows| windows.judge(elapsed, false));
        // A stop that is under way already is nobody's any more.
        if self.phase != Phase::Run {
            return;
        }
        if let Some(why) = self.windows.values_mut().find_map(Windows::take_abort) {
            let text = format!("the run was ended early: {why}");
            out.push(Action::Log(log::Level::Warn, text.clone()));
            self.tell(&text);
            self.end_users(Phase::Stop, peers, origin, now, out);
        }
    }

    /// What the journal shall say of the windows, where it does not yet. That others were judged and none of them is worse is no news.
    pub(super) fn take_windows(&mut self) -> Option<Record> {
        // What another master has kept is not taken over before the run is.
        if self.is_adopting() {
            return None;
        }
        let known: Vec<_> = self.windows.iter().filter_map(|(place, windows)| windows.to_keep(*place)).collect();
        let news = |window: &WorstWindow| (window.place, window.end, window.value.to_bits(), window.has_aborted);
        if known.iter().map(news).eq(self.kept_windows.iter().map(news)) {
            return None;
        }
        self.kept_windows.clone_from(&known);
        Some(Record::Windows(known))
    }

    /// Another master's windows died with it: they begin anew with the next second, after the worst ones that the journal knows.
    pub(super) fn begin_windows_anew(&mut self, now: Instant) {
        let since = (self.elapsed(now).as_secs() + 1).max(self.plan.warmup().as_secs());
        self.windows = windows_of(&self.thresholds, since);
        for kept in &self.kept_windows {
            if let Some(windows) = usize::try_from(kept.place).ok().and_then(|place| self.windows.get_mut(&place)) {
                windows.resume(*kept);
            }
        }
        if self.windows.is_empty() {
            return;
        }
        let at = format!("{}:{:02}", since / 60, since % 60);
        let knows_all = self.has_journal_of_windows() && self.windows.values().all(Windows::have_length);
        let text = if knows_all {
            format!(
                "this master took the run over: thresholds with `over` know their worst window before {at}, and none that reaches across it"
            )
        } else {
            format!("this master took the run over: thresholds with `over`, `after` or `abort` do not know what was before {at}")
        };
        self.table.warn(&text.into());
    }

    /// What was kept tells of every window that there was.
    fn has_journal_of_windows(&self) -> bool {
        !self.kept_windows.is_empty()
    }

    /// Shows how they stand in place of what the whole run says.
    pub(super) fn show_windows(&self, snapshot: &mut Snapshot) {
        for (place, windows) in &self.windows {
            if let Some(view) = snapshot.thresholds.get_mut(*place)
                && windows.are_shown()
            {
                *view = windows.view();
            }
        }
    }
}
