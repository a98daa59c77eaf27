//! Steering the run: start, another level, pause, stop, reset, and the questions before what cannot be undone.

use std::time::Duration;

use super::dialog::{Confirmed, Dialog, Form, FormAnswer, FormKind};
use super::levels::{Level, Wanted, levels};
use super::{Action, Door, Screen};
use crate::front::snapshot_json::StateJson;
use crate::front::tui::feed::Ask;
use crate::front::tui::input::Key;

impl Screen {
    /// What the person may do to the run as it is.
    #[must_use]
    pub fn may_steer(&self) -> bool {
        self.door != Door::Attached { is_read_only: true }
    }

    pub(super) fn on_steering_key(&mut self, key: Key, now: Duration) -> Vec<Action> {
        if !matches!(key, Key::Char('n' | 't' | '+' | '=' | '-' | 'p' | 'x' | 'r')) {
            return Vec::new();
        }
        if !self.may_steer() {
            self.say("your key may look, and change nothing", true, now);
            return Vec::new();
        }
        let state = self.snapshot.state;
        let is_active = state.is_active();
        let has_users = matches!(state, StateJson::Spawning | StateJson::Running | StateJson::Paused);
        match key {
            Key::Char('n') if self.door == Door::Run => self.say("`lunamoth run` has this one run; a master can start others", true, now),
            Key::Char('n') if is_active => self.say("a run is under way: x stops it, t changes its load", true, now),
            Key::Char('n') => {
                self.dialog = Some(Dialog::Form(Form::start(&self.scripts)));
                return vec![Action::Ask(Ask::Scripts)];
            }
            Key::Char('x') if is_active => self.dialog = Some(Dialog::Confirm(Confirmed::Stop)),
            Key::Char('r') if self.has_run() => self.dialog = Some(Dialog::Confirm(Confirmed::Reset)),
            _ if !has_users => self.say(self.no_run_words(), true, now),
            Key::Char('t') => self.dialog = Some(Dialog::Form(Form::retarget(self.levels_aimed_at()))),
            Key::Char('+' | '=') => self.want(true, now),
            Key::Char('-') => self.want(false, now),
            Key::Char('p') if state == StateJson::Paused => return vec![Action::Ask(Ask::Resume)],
            Key::Char('p') => return vec![Action::Ask(Ask::Pause)],
            _ => {}
        }
        Vec::new()
    }

    pub(super) fn on_dialog_key(&mut self, key: Key, now: Duration) -> Vec<Action> {
        match self.dialog.take() {
            Some(Dialog::Confirm(confirmed)) => {
                let is_yes = matches!(key, Key::Char('y' | 'Y'));
                // A second Ctrl-C means what the first one meant.
                let is_again = confirmed == Confirmed::EndMaster && key == Key::Ctrl('c');
                if is_yes || is_again {
                    if confirmed == Confirmed::EndRun {
                        return self.end_run(now);
                    }
                    return vec![match confirmed {
                        Confirmed::Stop => Action::Ask(Ask::Stop),
                        Confirmed::Reset => Action::Ask(Ask::Reset),
                        Confirmed::EndRun | Confirmed::EndMaster => Action::Interrupt,
                    }];
                }
                self.say("nothing was changed", false, now);
            }
            Some(Dialog::Form(mut form)) => {
                let kind = form.kind;
                let answer = form.on_key(key);
                if answer != FormAnswer::Dropped {
                    self.dialog = Some(Dialog::Form(form));
                }
                if let FormAnswer::Done(order) = answer {
                    return vec![Action::Ask(match kind {
                        FormKind::Start => Ask::Start(order),
                        FormKind::Retarget => Ask::Retarget(order),
                    })];
                }
            }
            Some(Dialog::Help(top)) => {
                let page = self.help().1 as isize;
                let lines = match key {
                    Key::Up | Key::Char('k') => -1,
                    Key::Down | Key::Char('j') => 1,
                    Key::PageUp | Key::Ctrl('b') => -page,
                    Key::PageDown | Key::Ctrl('f') | Key::Char(' ') => page,
                    Key::Home | Key::Char('g') => isize::MIN,
                    Key::End | Key::Char('G') => isize::MAX,
                    // Any other key closes the help.
                    _ => return Vec::new(),
                };
                self.dialog = Some(Dialog::Help(self.scrolled_help(top, lines)));
            }
            None => {}
        }
        Vec::new()
    }

    /// A tenth more or less. It is asked for once the person has stopped pressing.
    fn want(&mut self, is_more: bool, now: Duration) {
        let Some(level) = self.one_level() else {
            return self.say("several profiles run: t changes the load of one of them", true, now);
        };
        let base = self.wanted.map_or(level.wanted, |(wanted, _)| wanted);
        self.wanted = Some((base.stepped(is_more), now + SETTLE));
    }

    /// What the run's profiles are on their way to: what this screen has asked for and no snapshot tells of yet, or what the newest one says.
    fn levels_aimed_at(&self) -> Vec<Level> {
        let mut levels = levels(&self.snapshot);
        if let (Some(goal), [level]) = (self.goal, levels.as_mut_slice()) {
            level.wanted = goal;
        }
        levels
    }

    /// The same, of a run with one profile.
    pub(super) fn one_level(&self) -> Option<Level> {
        self.levels_aimed_at().pop_if(|_| !self.has_several_profiles())
    }

    fn has_several_profiles(&self) -> bool {
        self.snapshot.profiles.len() > 1
    }

    pub(super) fn note_goal(&mut self, actions: &[Action]) {
        let is_alone = !self.has_several_profiles();
        for action in actions {
            match action {
                Action::Ask(Ask::Retarget(order)) => {
                    // A rate that was typed with its unit is known when a snapshot tells of it.
                    let rate = order.rate.as_deref().and_then(|rate| rate.parse().ok());
                    self.goal = order.users.map(Wanted::Users).or(rate.map(Wanted::Rate)).filter(|_| is_alone);
                }
                Action::Ask(Ask::Start(_) | Ask::Stop) => self.goal = None,
                _ => {}
            }
        }
    }

    /// A goal that the run has taken on, or of a run that is over, need not be kept; nor one that it does not take on for some snapshots.
    pub(super) fn check_goal(&mut self, is_other_run: bool) {
        let Some(goal) = self.goal else { return };
        let state = self.snapshot.state;
        let has_users = matches!(state, StateJson::Spawning | StateJson::Running | StateJson::Paused);
        let is_elsewhere = self.goal_misses >= GOAL_PATIENCE;
        self.goal_misses += 1;
        if is_other_run || !has_users || levels(&self.snapshot).iter().any(|level| level.wanted == goal) || is_elsewhere {
            (self.goal, self.goal_misses) = (None, 0);
        }
    }

    fn no_run_words(&self) -> &'static str {
        match (self.door, self.snapshot.state) {
            (_, StateJson::Waiting) => "the run has not begun yet",
            (_, StateJson::Stopping) => "the run is ending",
            (Door::Run, _) => "the run is over",
            _ => "no run is under way: n starts one",
        }
    }
}

/// How long after the last `+` or `-` the level is asked for.
const SETTLE: Duration = Duration::from_millis(700);

/// Snapshots of a run that stands still elsewhere, after which a goal is no longer believed in.
const GOAL_PATIENCE: u32 = 3;
