//! Rows that are given out once in the whole cluster: what this worker has of them, for all its lanes, and what it asks for.
//!
//! Lanes take; the worker's shell carries questions to the master and answers back. Where nobody does, as in a look at the script, the stock
//! serves itself. Decides nothing about who gets which rows: that is the master's.
//!
//! The iterations of a profile that has a number of them are given out like rows, as a source of their own, [`iterations_of`] it. Users take them for as long as they
//! live: when the last one that could has left, what is left over goes back, for other workers' users to take.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The source of a profile's iterations, where it has a number of them. No file has such a name.
#[must_use]
pub fn iterations_of(profile: usize) -> String {
    if profile == 0 { String::new() } else { format!("{MARK}{profile}") }
}

/// The profile whose iterations a source has; `None` of a file.
#[must_use]
pub fn profile_of(source: &str) -> Option<usize> {
    if source.is_empty() { Some(0) } else { source.strip_prefix(MARK)?.parse().ok() }
}

/// How many iterations have begun that are given out by their number, by profile; what is missing at the end is zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IterationsBegun(pub Vec<u64>);

impl IterationsBegun {
    /// Of the profile with this index.
    #[must_use]
    pub fn of(&self, profile: usize) -> u64 {
        self.0.get(profile).copied().unwrap_or(0)
    }

    /// The greater of both, for each profile.
    pub fn raise(&mut self, other: &Self) {
        self.merge(other, u64::max);
    }

    /// Adds what `other` counted to these.
    pub fn add(&mut self, other: &Self) {
        self.merge(other, u64::saturating_add);
    }

    fn merge(&mut self, other: &Self, merge: impl Fn(u64, u64) -> u64) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (sum, count) in self.0.iter_mut().zip(&other.0) {
            *sum = merge(*sum, *count);
        }
    }
}

/// A worker's question for rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Whose rows: the name of a file.
    pub source: String,
    /// 1 for the worker's first question of this source. The next one comes when all rows of the answer before are taken.
    pub number: u64,
    /// How many it would like.
    pub wanted: u64,
    /// How many there are; `None` where they begin again after the last.
    pub limit: Option<u64>,
}

/// The answer to an `Ask`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// As in the question.
    pub source: String,
    /// As in the question.
    pub number: u64,
    /// What the worker gets.
    pub given: Given,
}

/// What a worker gets of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// These rows, which nobody else gets.
    Rows(Range<u64>),
    /// None now; another worker may bring some back.
    Later,
    /// None now, and none will come.
    Over,
    /// Nobody knows which rows are given out: the master that did is gone, and kept no journal.
    Unknown,
}

/// Rows of an answer that were not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The source that the rows are of.
    pub source: String,
    /// The number of the answer that gave them.
    pub number: u64,
    /// The rest of it.
    pub rows: Range<u64>,
}

/// What a lane gets that takes a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The row with this number is the lane's own.
    Row(u64),
    /// Nothing yet: see [`Stock::arrival`].
    Wait,
    /// There are no more.
    Over,
    /// As [`Given::Unknown`].
    Unknown,
}

/// The rows of one worker.
#[derive(Debug, Default)]
pub struct Stock {
    content: Mutex<Content>,
    /// There is a question to carry.
    asked: Notify,
    /// An answer has come.
    came: Notify,
}

#[derive(Debug, Default)]
struct Content {
    shelves: BTreeMap<String, Shelf>,
    /// What goes back and that nobody has carried yet, in its order.
    returns: Vec<Leftover>,
    /// Somebody carries questions to a master.
    is_attended: bool,
}

#[derive(Debug, Default)]
struct Shelf {
    /// Users that live and may take some, of iterations.
    customers: usize,
    limit: Option<u64>,
    rows: Range<u64>,
    number: u64,
    wanted: u64,
    state: State,
    /// When the last rows came.
    filled: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// There are rows, or nobody has asked for any.
    #[default]
    Idle,
    /// A question waits for the shell.
    Asking,
    /// The shell has it.
    Asked,
    /// The master said so: ask again from then on.
    Later(Instant),
    Over,
    Unknown,
}

impl Stock {
    /// One row of a source of so many rows.
    pub fn take(&self, source: &str, limit: Option<u64>, now: Instant) -> Taken {
        let mut content = self.lock();
        let is_attended = content.is_attended;
        if !content.shelves.contains_key(source) {
            content.shelves.insert(source.to_owned(), Shelf { limit, wanted: FIRST_WISH, ..Shelf::default() });
        }
        let shelf = content.shelves.get_mut(source).expect("it has just been put there");
        if let Some(row) = shelf.rows.next() {
            return Taken::Row(row);
        }
        if !is_attended {
            let next = shelf.rows.end;
            shelf.rows = next..limit.map_or(next + FIRST_WISH, |limit| limit.min(next + FIRST_WISH));
            return shelf.rows.next().map_or(Taken::Over, Taken::Row);
        }
        match shelf.state {
            State::Over => return Taken::Over,
            State::Unknown => return Taken::Unknown,
            State::Asking | State::Asked => return Taken::Wait,
            State::Later(until) if now < until => return Taken::Wait,
            State::Idle | State::Later(_) => {}
        }
        if shelf.state == State::Idle {
            // What lasts for a second or so: few questions, and little in the hands of a worker that is lost.
            shelf.wanted = match shelf.filled.map(|filled| now.saturating_duration_since(filled)) {
                Some(lasted) if lasted < SOON => (shelf.wanted * 2).min(LARGEST_WISH),
                Some(lasted) if lasted > LATE => (shelf.wanted / 2).max(1),
                _ => shelf.wanted,
            };
            shelf.number += 1;
        }
        shelf.state = State::Asking;
        self.asked.notify_one();
        Taken::Wait
    }

    /// A user begins that may take iterations of this source, of which there are so many.
    pub fn enter(&self, source: &str, limit: u64) {
        let mut content = self.lock();
        let shelf = || Shelf { limit: Some(limit), wanted: FIRST_WISH, ..Shelf::default() };
        content.shelves.entry(source.to_owned()).or_insert_with(shelf).customers += 1;
    }

    /// One of those that entered wants no more rows.
    pub fn leave(&self, source: &str) {
        let mut content = self.lock();
        if let Some(shelf) = content.shelves.get_mut(source) {
            shelf.customers = shelf.customers.saturating_sub(1);
        }
        self.give_back(source, &mut content);
    }

    /// Iterations that nobody is left to take.
    fn give_back(&self, source: &str, content: &mut Content) {
        let is_attended = content.is_attended;
        let is_left = |shelf: &&mut Shelf| is_attended && shelf.customers == 0 && !shelf.rows.is_empty();
        let Some(shelf) = content.shelves.get_mut(source).filter(is_left) else { return };
        let rows = std::mem::replace(&mut shelf.rows, 0..0);
        content.returns.push(Leftover { source: source.to_owned(), number: shelf.number, rows });
        self.asked.notify_one();
    }

    /// Whether it is known that there is nothing more of a source.
    pub fn is_over(&self, source: &str) -> bool {
        let content = self.lock();
        content.shelves.get(source).is_some_and(|shelf| shelf.rows.is_empty() && matches!(shelf.state, State::Over | State::Unknown))
    }

    /// Hears of each answer that comes from here on.
    pub fn news(&self) -> Notified<'_> {
        self.came.notified()
    }

    /// Waits until an answer has come, or for [`LOOK_AGAIN`]: then take again.
    pub async fn arrival(&self) {
        // An answer that came between the take and this wait is seen at the next look.
        let _ = tokio::time::timeout(LOOK_AGAIN, self.news()).await;
    }

    /// From here on somebody carries questions.
    pub fn attend(&self) {
        self.lock().is_attended = true;
    }

    /// Waits until there is a question, or something goes back.
    pub async fn question(&self) {
        self.asked.notified().await;
    }

    /// What goes back and that nobody has carried yet. To be carried before any question that is taken after it.
    pub fn take_returns(&self) -> Vec<Leftover> {
        std::mem::take(&mut self.lock().returns)
    }

    /// The questions that nobody has carried yet.
    pub fn take_questions(&self) -> Vec<Ask> {
        let mut content = self.lock();
        let waiting = content.shelves.iter_mut().filter(|(_, shelf)| shelf.state == State::Asking);
        waiting
            .map(|(source, shelf)| {
                shelf.state = State::Asked;
                Ask { source: source.clone(), number: shelf.number, wanted: shelf.wanted, limit: shelf.limit }
            })
            .collect()
    }

    /// An answer came. One that was not asked for changes nothing.
    pub fn on_grant(&self, grant: Grant, now: Instant) {
        let mut content = self.lock();
        let Some(shelf) = content.shelves.get_mut(&grant.source) else { return };
        if grant.number != shelf.number || !matches!(shelf.state, State::Asking | State::Asked) {
            return;
        }
        shelf.state = match grant.given {
            Given::Rows(rows) => {
                shelf.rows = rows;
                shelf.filled = Some(now);
                State::Idle
            }
            Given::Later => State::Later(now + ASK_AGAIN),
            Given::Over => State::Over,
            Given::Unknown => State::Unknown,
        };
        if profile_of(&grant.source).is_some() {
            // Those who wanted them may have left meanwhile.
            self.give_back(&grant.source, &mut content);
        }
        drop(content);
        self.came.notify_waiters();
    }

    /// What was granted and never taken, once the lanes are closed.
    #[must_use]
    pub fn leftovers(&self) -> Vec<Leftover> {
        let content = self.lock();
        let left = content.shelves.iter().filter(|(_, shelf)| content.is_attended && !shelf.rows.is_empty());
        left.map(|(source, shelf)| Leftover { source: source.clone(), number: shelf.number, rows: shelf.rows.clone() }).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        // Each change is complete before anything can panic.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What begins the name of a source that is no file.
const MARK: char = '\0';

/// Rows of the first question.
const FIRST_WISH: u64 = 64;

/// Rows of one question at most.
const LARGEST_WISH: u64 = 1 << 16;

/// Rows that lasted for less are asked for twice as many.
const SOON: Duration = Duration::from_millis(250);

/// Rows that lasted for longer are asked for half as many.
const LATE: Duration = Duration::from_secs(2);

/// After an answer that there are none now.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Between two looks of a lane that waits.
pub const LOOK_AGAIN: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(number: u64, given: Given) -> Grant {
        Grant { source: "a.csv".into(), number, given }
    }

    #[test]
    fn a_stock_that_nobody_attends_serves_itself() {
        let stock = Stock::default();
        let now = Instant::now();
        let taken: Vec<_> = (0..4).map(|_| stock.take("a.csv", Some(3), now)).collect();
        assert_eq!(taken, [Taken::Row(0), Taken::Row(1), Taken::Row(2), Taken::Over]);
        assert!((0..1_000).all(|row| stock.take("b.csv", None, now) == Taken::Row(row)));
        assert!(stock.leftovers().is_empty());
    }

    #[test]
    fn one_question_is_asked_at_a_time_and_its_answer_is_taken_row_by_row() {
        let stock = Stock::default();
        stock.attend();
        let now = Instant::now();
        assert_eq!((stock.take("a.csv", Some(9), now), stock.take("a.csv", Some(9), now)), (Taken::Wait, Taken::Wait));
        assert_eq!(stock.take_questions(), [Ask { source: "a.csv".into(), number: 1, wanted: 64, limit: Some(9) }]);
        assert_eq!((stock.take("a.csv", Some(9), now), stock.take_questions()), (Taken::Wait, vec![]));
        stock.on_grant(grant(2, Given::Rows(5..9)), now);
        assert_eq!(stock.take("a.csv", Some(9), now), Taken::Wait, "an answer to no question");
        stock.on_grant(grant(1, Given::Rows(3..5)), now);
        stock.on_grant(grant(1, Given::Rows(3..5)), now);
        assert_eq!(stock.take("a.csv", Some(9), now), Taken::Row(3));
        assert_eq!(stock.leftovers(), [Leftover { source: "a.csv".into(), number: 1, rows: 4..5 }]);
        assert_eq!((stock.take("a.csv", Some(9), now), stock.take("a.csv", Some(9), now)), (Taken::Row(4), Taken::Wait));
        assert_eq!(stock.take_questions()[0], Ask { source: "a.csv".into(), number: 2, wanted: 128, limit: Some(9) });
        assert!(stock.leftovers().is_empty());
    }

    #[test]
    fn none_now_is_asked_again_under_its_number_and_none_any_more_is_the_end() {
        let stock = Stock::default();
        stock.attend();
        let now = Instant::now();
        assert_eq!((stock.take("a.csv", Some(9), now), stock.take_questions().len()), (Taken::Wait, 1));
        stock.on_grant(grant(1, Given::Later), now);
        assert_eq!((stock.take("a.csv", Some(9), now), stock.take_questions().len()), (Taken::Wait, 0));
        assert_eq!((stock.take("a.csv", Some(9), now + ASK_AGAIN), stock.take_questions()[0].number), (Taken::Wait, 1));
        stock.on_grant(grant(1, Given::Over), now);
        assert_eq!((stock.take("a.csv", Some(9), now), stock.take_questions().len()), (Taken::Over, 0));
    }

    #[test]
    fn iterations_that_nobody_is_left_to_take_go_back_and_are_asked_for_anew_by_the_next_user() {
        let stock = Stock::default();
        stock.attend();
        let now = Instant::now();
        let iterations = iterations_of(3);
        let grant = |number, rows| Grant { source: iterations.clone(), number, given: Given::Rows(rows) };
        stock.enter(&iterations, 9);
        stock.enter(&iterations, 9);
        stock.enter(&iterations_of(0), 9);
        assert_eq!((stock.take(&iterations, Some(9), now), stock.take_questions().len()), (Taken::Wait, 1));
        stock.on_grant(grant(1, 3..6), now);
        assert_eq!(stock.take(&iterations, Some(9), now), Taken::Row(3));
        stock.leave(&iterations);
        assert_eq!(stock.take_returns(), [], "another one may take them");
        stock.leave(&iterations);
        assert_eq!(stock.take_returns(), [Leftover { source: iterations.clone(), number: 1, rows: 4..6 }]);
        assert!(stock.take_returns().is_empty() && stock.leftovers().is_empty());
        stock.enter(&iterations, 9);
        assert_eq!((stock.take(&iterations, Some(9), now), stock.take_questions()[0].number), (Taken::Wait, 2));
        stock.leave(&iterations);
        stock.on_grant(grant(2, 6..9), now);
        assert_eq!(stock.take_returns(), [Leftover { source: iterations.clone(), number: 2, rows: 6..9 }], "they came too late");
    }
}
