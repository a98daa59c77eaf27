//! Users of a worker that wait at barriers: who waits, and who is let go. Which of them may is the board's to say.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::load::errand::{BoardAnswer, BoardAsk};

/// How a wait at a barrier ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Met {
    /// All whom the barrier wants have come.
    All,
    /// They were not in time.
    TimeIsUp,
    /// Why it cannot be, for people.
    Refused(String),
}

/// The barriers that users of a worker wait at, or have.
#[derive(Debug, Default)]
pub(super) struct Meetings {
    by_name: HashMap<String, Meeting>,
}

#[derive(Debug)]
struct Meeting {
    size: u32,
    /// The longest waiting come first.
    waiting: VecDeque<oneshot::Sender<Met>>,
    /// How many have been let go.
    seen: u64,
    /// The board does not know how many wait.
    has_news: bool,
    said: Option<Instant>,
}

impl Meetings {
    pub(super) fn has_news(&self) -> bool {
        self.by_name.values().any(|meeting| meeting.has_news)
    }

    /// What to ask of the board: what it does not know, and what has been waited for for a second.
    pub(super) fn asks(&mut self, now: Instant, most: usize) -> Vec<BoardAsk> {
        let mut asks = Vec::new();
        for (name, meeting) in &mut self.by_name {
            meeting.waiting.retain(|user| !user.is_closed());
            let is_due = !meeting.waiting.is_empty() && meeting.said.is_none_or(|said| now.saturating_duration_since(said) >= AGAIN);
            if (meeting.has_news || is_due) && asks.len() < most {
                (meeting.has_news, meeting.said) = (false, Some(now));
                let waiting = u32::try_from(meeting.waiting.len()).unwrap_or(u32::MAX);
                asks.push(BoardAsk::Gather { name: name.clone(), size: meeting.size, waiting, seen: meeting.seen });
            }
        }
        asks
    }

    pub(super) fn on_answer(&mut self, name: &str, answer: BoardAnswer) {
        match answer {
            BoardAnswer::Gathered { released } => self.on_released(name, released),
            BoardAnswer::Refused(why) => {
                let waiting = self.by_name.get_mut(name).map(|meeting| std::mem::take(&mut meeting.waiting));
                for user in waiting.into_iter().flatten() {
                    // One whose time is up does not hear it.
                    drop(user.send(Met::Refused(why.clone())));
                }
            }
            _ => {}
        }
    }

    /// So many of this worker's users have been let go, in all.
    pub(super) fn on_released(&mut self, name: &str, released: u64) {
        let Some(meeting) = self.by_name.get_mut(name) else { return };
        let mut left = released.saturating_sub(meeting.seen);
        meeting.seen = meeting.seen.max(released);
        while left > 0
            && let Some(user) = meeting.waiting.pop_front()
        {
            // One whose time was up meanwhile leaves its place to the next.
            left -= u64::from(user.send(Met::All).is_ok());
        }
    }

    pub(super) fn arrive(&mut self, name: &str, size: u32) -> Result<oneshot::Receiver<Met>, String> {
        if self.by_name.len() >= NAMES_MAX && !self.by_name.contains_key(name) {
            return Err(format!("a worker knows at most {NAMES_MAX} barriers in a run"));
        }
        let fresh = || Meeting { size, waiting: VecDeque::new(), seen: 0, has_news: true, said: None };
        let meeting = self.by_name.entry(name.to_owned()).or_insert_with(fresh);
        meeting.waiting.retain(|user| !user.is_closed());
        if meeting.waiting.is_empty() {
            meeting.size = size;
        }
        if meeting.size != size {
            return Err(format!("`{name}` is for {} users elsewhere, and for {size} here", meeting.size));
        }
        let (user, met) = oneshot::channel();
        meeting.waiting.push_back(user);
        meeting.has_news = true;
        Ok(met)
    }

    pub(super) fn leave(&mut self, name: &str) {
        if let Some(meeting) = self.by_name.get_mut(name) {
            let before = meeting.waiting.len();
            meeting.waiting.retain(|user| !user.is_closed());
            meeting.has_news |= meeting.waiting.len() < before;
        }
    }
}

/// How often the board is asked for what is waited for: its notice may be lost.
const AGAIN: Duration = Duration::from_secs(1);
/// Names of barriers, of which each has to be remembered.
const NAMES_MAX: usize = 1_000;
