//! What a worker hears of its lanes, and for how long it waits to hear it. What a report means for the run is `run`'s.

use std::time::Instant;

use super::Worker;
use super::action::Action;
use super::run::Stage;
use crate::load::lane::LaneReport;
use crate::load::vitals::Vitals;

impl Worker {
    /// A lane has reported. `vitals` were read just now.
    pub fn on_report(&mut self, report: LaneReport, vitals: Vitals, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        let Some(run) = self.run.as_mut().filter(|run| !matches!(run.stage(), Stage::Opening | Stage::Finished)) else {
            return out;
        };
        let is_abandoned = matches!(run.stage(), Stage::Abandoned { .. });
        if run.on_report(report, vitals, now) {
            self.on_lanes_end(is_abandoned, now, &mut out);
        } else {
            self.hand_in(now, &mut out);
        }
        self.settle(now, out)
    }

    /// Time passes: a lane that a script holds is not waited for.
    pub(super) fn mind_lanes(&mut self, now: Instant, out: &mut Vec<Action>) {
        let Some(run) = &mut self.run else { return };
        let is_abandoned = matches!(run.stage(), Stage::Abandoned { .. });
        if run.mind_lanes(now, out) {
            self.on_lanes_end(is_abandoned, now, out);
        }
    }

    /// No lane of the run is left to wait for.
    fn on_lanes_end(&mut self, is_abandoned: bool, now: Instant, out: &mut Vec<Action>) {
        self.hand_in(now, out);
        out.push(Action::CloseLanes);
        if is_abandoned {
            self.run = None;
        }
    }
}
