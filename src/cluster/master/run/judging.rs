//! Thresholds that look at a part of the run, or end it, as the run goes on. How they stand is `stats::windows`'s; those of the whole run are the
//! table's.

use std::time::Instant;

use super::super::turn::Turn;
use super::Run;
use super::part::Part;
use crate::cluster::message::Phase;
use crate::cluster::record::Record;
use crate::stats::snapshot::Snapshot;
use crate::stats::windows::{Windows, WorstWindow};

impl Run {
    /// Judges what can be judged by now, and ends the run if one of them shall.
    pub(super) fn judge_windows(&mut self, turn: &mut Turn<'_>) {
        let elapsed = self.elapsed(turn.now);
        self.windows.values_mut().for_each(|windows| windows.judge(elapsed, false));
        // A stop that is under way already is nobody's any more.
        if self.phase != Phase::Run {
            return;
        }
        if let Some(why) = self.windows.values_mut().find_map(Windows::take_abort) {
            let text = format!("the run was ended early: {why}");
            turn.log(log::Level::Warn, text.clone());
            self.tell(&text);
            self.end_users(Phase::Stop, turn);
        }
    }

    /// What the journal shall say of the windows, where it does not yet. That others were judged and none of them is worse is no news.
    pub fn take_windows(&mut self) -> Option<Record> {
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

    /// What the journal knows of another master's windows stands, whether or not anybody brings the run.
    pub(super) fn resume_windows(&mut self) {
        for (place, windows) in &mut self.windows {
            let kept = self.kept_windows.iter().find(|kept| kept.place == *place as u64);
            kept.into_iter().for_each(|kept| windows.resume(*kept));
        }
    }

    /// Another master's windows died with it. What the journal knows of them was judged; the seconds that later windows need are what workers bring.
    pub(super) fn take_windows_over(&mut self, now: Instant) {
        let elapsed = self.elapsed(now).as_secs();
        let mut are_unknown = false;
        // Those that are gone, or out of reach, and of which this master was told the sums alone.
        let lacks_seconds = |part: &Part| part.has_run && part.windows_held.is_none();
        let are_short = self.parts.values().any(lacks_seconds);
        let is_whole = !are_short && self.unheard.is_empty();
        for (place, windows) in &mut self.windows {
            let kept = self.kept_windows.iter().find(|kept| kept.place == *place as u64).copied();
            are_unknown |= windows.take_over(elapsed, kept, is_whole);
        }
        if self.windows.is_empty() || !are_unknown && !are_short {
            return;
        }
        let at = format!("this master took the run over at {}:{:02}", elapsed / 60, elapsed % 60);
        let what = if are_unknown {
            "without a journal: windows of thresholds that ended minutes before are judged by nobody"
        } else {
            "windows of thresholds that reach across it lack what workers counted that are gone"
        };
        self.table.warn(&format!("{at}: {what}").into());
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
