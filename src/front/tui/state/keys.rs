//! What the keys mean where nothing is in front: tabs, tables, filters, the way out. Steering the run is `steering`'s.

use std::time::Duration;

use super::columns::{ENTRY_COLUMNS, FAILURE_COLUMNS, WORKER_COLUMNS};
use super::dialog::{Confirmed, Dialog};
use super::listing::Listing;
use super::{Action, Detail, Door, Screen, Tab, ZOOMS_S};
use crate::front::snapshot_json::StateJson;
use crate::front::tui::feed::Ask;
use crate::front::tui::input::Key;

impl Screen {
    pub(super) fn on_key(&mut self, key: Key, now: Duration) -> Vec<Action> {
        if self.dialog.is_some() {
            return self.on_dialog_key(key, now);
        }
        if self.is_filtering && key != Key::Ctrl('c') {
            self.on_filter_key(key);
            return Vec::new();
        }
        match key {
            Key::Ctrl('c') => return self.on_interrupt(now),
            Key::Char('q') => return self.on_quit(),
            Key::Char('?') => self.dialog = Some(Dialog::Help(0)),
            Key::Char(digit @ '1'..='6') => self.turn_to(Tab::ALL[digit as usize - '1' as usize]),
            Key::Tab | Key::Right => self.turn_by(1),
            Key::BackTab | Key::Left => self.turn_by(Tab::ALL.len() - 1),
            Key::Char('z') => self.zoom(),
            Key::Esc | Key::Backspace => self.on_back(),
            Key::Enter => return self.on_enter(),
            Key::Char('/') if self.listing().is_some() && self.detail.is_none() => self.is_filtering = true,
            Key::Char('>' | '.') => self.resort(1),
            Key::Char('<' | ',') => self.resort(-1),
            Key::Char('o') => {
                if let Some(listing) = self.listing_mut() {
                    listing.is_descending = !listing.is_descending;
                    self.relist();
                }
            }
            Key::Up | Key::Char('k') => self.scroll(-1),
            Key::Down | Key::Char('j') => self.scroll(1),
            Key::PageUp | Key::Ctrl('b') => self.scroll(-(self.page() as isize)),
            Key::PageDown | Key::Ctrl('f') | Key::Char(' ') => self.scroll(self.page() as isize),
            Key::Home | Key::Char('g') => self.scroll(-FAR),
            Key::End | Key::Char('G') => self.scroll(FAR),
            key => return self.on_steering_key(key, now),
        }
        Vec::new()
    }

    /// The table of the tab, where it has one.
    #[must_use]
    pub fn listing(&self) -> Option<&Listing> {
        match self.tab {
            Tab::Statistics => Some(&self.statistics),
            Tab::Failures => Some(&self.failures),
            Tab::Exceptions => Some(&self.exceptions),
            Tab::Workers => Some(&self.workers),
            Tab::Overview | Tab::Logs => None,
        }
    }

    fn listing_mut(&mut self) -> Option<&mut Listing> {
        match self.tab {
            Tab::Statistics => Some(&mut self.statistics),
            Tab::Failures => Some(&mut self.failures),
            Tab::Exceptions => Some(&mut self.exceptions),
            Tab::Workers => Some(&mut self.workers),
            Tab::Overview | Tab::Logs => None,
        }
    }

    fn turn_to(&mut self, tab: Tab) {
        self.tab = tab;
        self.detail = None;
    }

    fn turn_by(&mut self, tabs: usize) {
        let at = Tab::ALL.iter().position(|tab| *tab == self.tab).unwrap_or(0);
        self.turn_to(Tab::ALL[(at + tabs) % Tab::ALL.len()]);
    }

    fn zoom(&mut self) {
        let at = ZOOMS_S.iter().position(|zoom| *zoom == self.zoom_s).unwrap_or(0);
        self.zoom_s = ZOOMS_S[(at + 1) % ZOOMS_S.len()];
    }

    /// Back to what was before: out of the detail, out of the filter, to the newest line.
    fn on_back(&mut self) {
        self.notice = None;
        if self.detail.take().is_some() {
            return;
        }
        self.log_back = 0;
        if let Some(listing) = self.listing_mut()
            && !listing.filter.is_empty()
        {
            listing.filter.clear();
            self.relist();
        }
    }

    fn on_enter(&mut self) -> Vec<Action> {
        if self.detail.is_some() {
            return Vec::new();
        }
        let (method, name) = match self.tab {
            Tab::Overview => (String::new(), String::new()),
            Tab::Statistics => match self.statistics.current() {
                Some(index) => (self.entry(index).method.clone(), self.entry(index).name.clone()),
                None => return Vec::new(),
            },
            Tab::Failures => match self.failures.current().and_then(|index| self.snapshot.errors.get(index)) {
                Some(error) => (error.method.clone(), error.name.clone()),
                None => return Vec::new(),
            },
            _ => return Vec::new(),
        };
        if !self.has_run() {
            return Vec::new();
        }
        self.detail = Some(Detail { method: method.clone(), name: name.clone(), entry: None });
        vec![Action::Ask(Ask::Detail { method, name })]
    }

    fn on_filter_key(&mut self, key: Key) {
        let Some(listing) = self.listing_mut() else {
            self.is_filtering = false;
            return;
        };
        match key {
            Key::Enter | Key::Down | Key::Up => self.is_filtering = false,
            Key::Esc => {
                listing.filter.clear();
                self.is_filtering = false;
            }
            Key::Backspace => {
                listing.filter.pop();
            }
            Key::Ctrl('u') => listing.filter.clear(),
            Key::Char(letter) if listing.filter.len() < FILTER_MAX => {
                listing.filter.push(letter);
                listing.step(-FAR);
            }
            _ => {}
        }
        self.relist();
    }

    fn resort(&mut self, by: isize) {
        let numbers: Vec<bool> = match self.tab {
            Tab::Statistics => ENTRY_COLUMNS.iter().map(super::Column::is_number).collect(),
            Tab::Failures => FAILURE_COLUMNS.iter().map(super::Column::is_number).collect(),
            Tab::Workers => WORKER_COLUMNS.iter().map(super::Column::is_number).collect(),
            _ => return,
        };
        if let Some(listing) = self.listing_mut() {
            listing.resort(by, &numbers);
            self.relist();
        }
    }

    fn scroll(&mut self, rows: isize) {
        if self.tab == Tab::Logs {
            self.log_back = self.log_back.saturating_add_signed(rows.saturating_neg()).min(self.furthest_back());
        } else if self.detail.is_none()
            && let Some(listing) = self.listing_mut()
        {
            listing.step(rows);
            self.relist();
        }
    }

    fn on_quit(&mut self) -> Vec<Action> {
        match self.door {
            Door::Run if self.snapshot.state.is_active() => self.dialog = Some(Dialog::Confirm(Confirmed::EndRun)),
            Door::Run => return vec![Action::Interrupt],
            Door::Master | Door::Attached { .. } => return vec![Action::Leave],
        }
        Vec::new()
    }

    /// The end of a local run, which takes as long as its users' last requests do, or a cut through it.
    pub(super) fn end_run(&mut self, now: Duration) -> Vec<Action> {
        let words = match self.snapshot.state {
            StateJson::Stopping => "cut: what is in flight is dropped and counted",
            _ => "stopping: users finish what they do; Ctrl-C once more cuts it short",
        };
        self.say(words, false, now);
        vec![Action::Interrupt]
    }

    fn on_interrupt(&mut self, now: Duration) -> Vec<Action> {
        match self.door {
            Door::Attached { .. } => vec![Action::Leave],
            // What Ctrl-C means at a terminal, it means here.
            Door::Run => self.end_run(now),
            Door::Master if self.snapshot.state.is_active() => {
                self.dialog = Some(Dialog::Confirm(Confirmed::EndMaster));
                Vec::new()
            }
            Door::Master => vec![Action::Interrupt],
        }
    }
}

/// Further than any table goes.
const FAR: isize = isize::MAX / 2;

/// Bytes of a filter.
const FILTER_MAX: usize = 200;
