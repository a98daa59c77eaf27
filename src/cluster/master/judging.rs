//! Thresholds that look at a part of the run, or end it, as the run goes on. How they stand is `stats::windows`'s; those of the whole run are the
//! table's.

use std::time::Instant;

use super::super::message::Phase;
use super::action::Action;
use super::peers::Peers;
use super::run::Run;
use crate::stats::snapshot::Snapshot;
use crate::stats::windows::{Windows, windows_of};

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

    /// Another master's windows died with it: they begin anew with the next second.
    pub(super) fn begin_windows_anew(&mut self, now: Instant) {
        let since = (self.elapsed(now).as_secs() + 1).max(self.plan.warmup().as_secs());
        self.windows = windows_of(&self.thresholds, since);
        if !self.windows.is_empty() {
            let (minutes, seconds) = (since / 60, since % 60);
            let text = format!(
                "this master took the run over: thresholds with `over`, `after` or `abort` do not know what was before {minutes}:{seconds:02}"
            );
            self.table.warn(&text.into());
        }
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
