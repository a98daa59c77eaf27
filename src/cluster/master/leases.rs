//! Who was given which rows: each row once in the whole cluster. No I/O, no clock of its own.
//!
//! | event | rows of the source | answer |
//! |---|---|---|
//! | a question with a number that was answered | | the same answer |
//! | the next question: the rows before are used up | some were brought back | those |
//! | | some were never given out | the next of them |
//! | | all are given out, a worker that is there may still hold some | later; over after ten seconds, if they are no iterations |
//! | | all are given out, and whoever is there has begun all the iterations that it was given | over |
//! | | all are given out | over |
//! | a worker brings rows back | are free again | |
//! | a worker says goodbye, and how many it has taken | the rest of what it was given is free again | |
//!
//! Invariant: a row is in no two of `free`, the rows not given out yet, and the blocks of workers.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::super::message::WorkerId;
use super::super::record::KeptLease;
use crate::load::stock::{Ask, Given, Grant, Leftover, profile_of};

/// The rows of all sources of a run.
#[derive(Debug, Default)]
pub(super) struct Leases {
    sources: BTreeMap<String, Source>,
    /// What was given out before this master is known to nobody.
    pub is_unknown: bool,
}

#[derive(Debug, Default)]
struct Source {
    /// All rows from here on were never given out.
    next: u64,
    free: Vec<Range<u64>>,
    /// The last block of each worker; those before it are used up.
    blocks: BTreeMap<WorkerId, Block>,
    /// How many each worker was given, without what it brought back.
    given: BTreeMap<WorkerId, u64>,
    /// Since when somebody waits for rows that others hold.
    waiting_since: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Block {
    number: u64,
    /// Empty where the worker has used them up, or brought them back.
    rows: Range<u64>,
    /// As it was granted, for a question that comes again.
    granted: Range<u64>,
}

impl Leases {
    /// A worker asks. The answer, and what is to be kept of it before it is sent; nothing where the question is an old one.
    /// `may_hold` says whether a worker that was given so many rows in all may still have some of them in its hands.
    pub fn on_ask(
        &mut self,
        worker: &WorkerId,
        ask: &Ask,
        may_hold: impl Fn(&WorkerId, u64) -> bool,
        now: Instant,
    ) -> Option<(Grant, Option<KeptLease>)> {
        let answer = |given| Grant { source: ask.source.clone(), number: ask.number, given };
        if self.is_unknown {
            return Some((answer(Given::Unknown), None));
        }
        if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&ask.source) {
            return Some((answer(Given::Over), None));
        }
        let source = self.sources.entry(ask.source.clone()).or_default();
        match source.blocks.get_mut(worker) {
            Some(block) if ask.number < block.number => return None,
            // What was brought back is no longer its own.
            Some(block) if ask.number == block.number && block.rows.is_empty() => return None,
            Some(block) if ask.number == block.number => return Some((answer(Given::Rows(block.granted.clone())), None)),
            Some(block) => block.rows = block.granted.end..block.granted.end,
            None => {}
        }
        if let Some(rows) = source.cut(ask.wanted, ask.limit) {
            source.waiting_since = None;
            source.blocks.insert(worker.clone(), Block { number: ask.number, rows: rows.clone(), granted: rows.clone() });
            source.note_given(worker, &rows);
            let kept =
                KeptLease { source: ask.source.clone(), worker: worker.clone(), number: ask.number, rows: rows.clone(), is_return: false };
            return Some((answer(Given::Rows(rows)), Some(kept)));
        }
        let given = |holder: &WorkerId| source.given.get(holder).copied().unwrap_or(0);
        let is_held =
            source.blocks.iter().any(|(holder, block)| holder != worker && !block.rows.is_empty() && may_hold(holder, given(holder)));
        let since = *source.waiting_since.get_or_insert(now);
        // Users that wait for iterations do nothing else, and whoever holds some begins them or brings them back, and tells of both.
        let is_patient = profile_of(&ask.source).is_some() || now.saturating_duration_since(since) < PATIENCE;
        let is_over = !is_held || !is_patient;
        Some((answer(if is_over { Given::Over } else { Given::Later }), None))
    }

    /// A worker that leaves brings rows back. What is to be kept of it.
    pub fn on_leftover(&mut self, worker: &WorkerId, leftover: &Leftover) -> Option<KeptLease> {
        let source = self.sources.get_mut(&leftover.source)?;
        let block = source.blocks.get_mut(worker).filter(|block| block.number == leftover.number)?;
        let is_part = block.rows.start <= leftover.rows.start && leftover.rows.end == block.rows.end && !leftover.rows.is_empty();
        if !is_part {
            return None;
        }
        block.rows = block.rows.end..block.rows.end;
        source.free.push(leftover.rows.clone());
        source.note_returned(worker, &leftover.rows);
        let Leftover { source, number, rows } = leftover.clone();
        Some(KeptLease { source, worker: worker.clone(), number, rows, is_return: true })
    }

    /// A worker has left that has taken so many of all that it was given of a source, in their order: the others never came to it, or came too late,
    /// and are free again. What is to be kept of it.
    pub fn on_left(&mut self, worker: &WorkerId, source: &str, taken: u64) -> Option<KeptLease> {
        let of_source = self.sources.get(source)?;
        let block = of_source.blocks.get(worker)?;
        let rest = of_source.given.get(worker)?.saturating_sub(taken).min(block.rows.end - block.rows.start);
        let leftover = Leftover { source: source.to_owned(), number: block.number, rows: block.rows.end - rest..block.rows.end };
        self.on_leftover(worker, &leftover)
    }

    /// What the journal says was given out and brought back, in its order.
    pub fn restore(&mut self, kept: &[KeptLease]) {
        for lease in kept {
            let source = self.sources.entry(lease.source.clone()).or_default();
            if lease.is_return {
                source.free.push(lease.rows.clone());
                source.note_returned(&lease.worker, &lease.rows);
                if let Some(block) = source.blocks.get_mut(&lease.worker) {
                    block.rows = block.rows.end..block.rows.end;
                }
                continue;
            }
            source.free = source.free.iter().flat_map(|free| without(free, &lease.rows)).collect();
            source.next = source.next.max(lease.rows.end);
            source.note_given(&lease.worker, &lease.rows);
            let block = Block { number: lease.number, rows: lease.rows.clone(), granted: lease.rows.clone() };
            source.blocks.insert(lease.worker.clone(), block);
        }
    }

    /// How many rows of a source each worker was given, without what it brought back.
    pub fn given(&self, source: &str) -> impl Iterator<Item = (&WorkerId, u64)> {
        self.sources.get(source).into_iter().flat_map(|source| source.given.iter().map(|(worker, count)| (worker, *count)))
    }

    /// What workers have in their hands at most: the source, who, and which rows.
    pub fn held(&self) -> impl Iterator<Item = (&str, &WorkerId, &Range<u64>)> {
        let blocks = self
            .sources
            .iter()
            .flat_map(|(name, source)| source.blocks.iter().map(move |(worker, block)| (name.as_str(), worker, &block.rows)));
        blocks.filter(|(_, _, rows)| !rows.is_empty())
    }
}

impl Source {
    fn note_given(&mut self, worker: &WorkerId, rows: &Range<u64>) {
        *self.given.entry(worker.clone()).or_default() += rows.end - rows.start;
    }

    fn note_returned(&mut self, worker: &WorkerId, rows: &Range<u64>) {
        if let Some(given) = self.given.get_mut(worker) {
            *given = given.saturating_sub(rows.end - rows.start);
        }
    }

    /// Takes a block of at most `wanted` rows, and of a sixty-fourth of all.
    fn cut(&mut self, wanted: u64, limit: Option<u64>) -> Option<Range<u64>> {
        let share = limit.map_or(u64::MAX, |limit| (limit / SHARES).max(1));
        let length = wanted.clamp(1, share);
        if let Some(mut free) = self.free.pop() {
            let rows = free.start..free.end.min(free.start.saturating_add(length));
            free.start = rows.end;
            if !free.is_empty() {
                self.free.push(free);
            }
            return Some(rows);
        }
        let end = self.next.saturating_add(length).min(limit.unwrap_or(u64::MAX));
        let rows = self.next..end;
        if rows.is_empty() {
            return None;
        }
        self.next = end;
        Some(rows)
    }
}

/// What is left of `all` without `part`.
fn without(all: &Range<u64>, part: &Range<u64>) -> Vec<Range<u64>> {
    let before = all.start..all.end.min(part.start);
    let behind = all.start.max(part.end)..all.end;
    [before, behind].into_iter().filter(|left| !left.is_empty()).collect()
}

/// Of a file, no block is larger than this part: so much at most is in the hands of a worker that is lost.
const SHARES: u64 = 64;

/// How long those wait who found nothing, for what others may bring back.
const PATIENCE: Duration = Duration::from_secs(10);

/// Files of one run.
const SOURCES_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn worker(number: u8) -> WorkerId {
        WorkerId { host: "w".into(), incarnation: u128::from(number) }
    }

    fn ask(number: u64, wanted: u64, limit: Option<u64>) -> Ask {
        Ask { source: "a.csv".into(), number, wanted, limit }
    }

    fn rows_of(leases: &mut Leases, of: u8, number: u64) -> Given {
        leases.on_ask(&worker(of), &ask(number, 10, Some(640)), |_, _| true, Instant::now()).unwrap().0.given
    }

    #[test]
    fn blocks_follow_each_other_and_a_question_that_comes_again_gets_the_same() {
        let mut leases = Leases::default();
        assert_eq!(rows_of(&mut leases, 1, 1), Given::Rows(0..10));
        assert_eq!(rows_of(&mut leases, 2, 1), Given::Rows(10..20));
        assert_eq!(rows_of(&mut leases, 1, 1), Given::Rows(0..10));
        assert_eq!(rows_of(&mut leases, 1, 2), Given::Rows(20..30));
        assert!(leases.on_ask(&worker(1), &ask(1, 10, Some(640)), |_, _| true, Instant::now()).is_none());
        let held: Vec<_> = leases.held().map(|(source, holder, rows)| (source, holder.incarnation, rows.clone())).collect();
        assert_eq!(held, [("a.csv", 1, 20..30), ("a.csv", 2, 10..20)]);
    }

    #[test]
    fn a_block_is_no_more_than_a_share_of_the_file() {
        let mut leases = Leases::default();
        let (grant, _) = leases.on_ask(&worker(1), &ask(1, 1_000_000, Some(30_000)), |_, _| true, Instant::now()).unwrap();
        assert_eq!(grant.given, Given::Rows(0..468));
        let (grant, _) = leases.on_ask(&worker(1), &ask(2, 1_000_000, None), |_, _| true, Instant::now()).unwrap();
        assert_eq!(grant.given, Given::Rows(468..1_000_468));
    }

    #[test]
    fn who_finds_nothing_waits_for_those_who_are_there_and_hold_rows() {
        let mut leases = Leases::default();
        let now = Instant::now();
        let mut given = |of: u8, number: u64, is_here: bool, now: Instant| {
            leases.on_ask(&worker(of), &ask(number, 10, Some(2)), |_, _| is_here, now).unwrap().0.given
        };
        assert_eq!((given(1, 1, true, now), given(2, 1, true, now)), (Given::Rows(0..1), Given::Rows(1..2)));
        assert_eq!(given(1, 2, true, now), Given::Later);
        assert_eq!(given(1, 2, false, now), Given::Over, "the other is lost");
        assert_eq!(given(1, 2, true, now + PATIENCE), Given::Over);
        assert_eq!(given(2, 2, true, now), Given::Over, "nobody holds any");
    }

    #[test]
    fn who_finds_no_iteration_waits_for_as_long_as_somebody_is_there_who_holds_some() {
        let mut leases = Leases::default();
        let now = Instant::now();
        let mut given = |of: u8, number: u64, is_here: bool, now: Instant| {
            let ask = Ask { source: String::new(), ..ask(number, 10, Some(2)) };
            leases.on_ask(&worker(of), &ask, |_, _| is_here, now).unwrap().0.given
        };
        assert_eq!((given(1, 1, true, now), given(2, 1, true, now)), (Given::Rows(0..1), Given::Rows(1..2)));
        assert_eq!(given(1, 2, true, now), Given::Later);
        assert_eq!(given(1, 2, true, now + PATIENCE * 100), Given::Later);
        assert_eq!(given(1, 2, false, now), Given::Over, "the other is lost");
    }

    #[test]
    fn who_finds_no_iteration_waits_for_nobody_who_has_begun_all_that_it_was_given() {
        let mut leases = Leases::default();
        let now = Instant::now();
        let mut given = |of: u8, number: u64, begun: u64| {
            let ask = Ask { source: String::new(), ..ask(number, 10, Some(2)) };
            leases.on_ask(&worker(of), &ask, |_, given| begun < given, now).unwrap().0.given
        };
        assert_eq!((given(1, 1, 0), given(1, 2, 1)), (Given::Rows(0..1), Given::Rows(1..2)));
        assert_eq!((given(2, 1, 1), given(2, 1, 2)), (Given::Later, Given::Over));
    }

    #[test]
    fn what_each_worker_was_given_is_known_and_to_the_next_master_as_well() {
        let mut leases = Leases::default();
        let mut journal = Vec::new();
        for (of, number) in [(1, 1), (2, 1), (1, 2)] {
            let (_, kept) = leases.on_ask(&worker(of), &ask(number, 10, Some(640)), |_, _| true, Instant::now()).unwrap();
            journal.extend(kept);
        }
        journal.extend(leases.on_leftover(&worker(1), &Leftover { source: "a.csv".into(), number: 2, rows: 27..30 }));
        let mut next = Leases::default();
        next.restore(&journal);
        for leases in [leases, next] {
            let given: Vec<_> = leases.given("a.csv").map(|(worker, count)| (worker.incarnation, count)).collect();
            assert_eq!(given, [(1, 17), (2, 10)]);
        }
    }

    #[test]
    fn what_is_brought_back_is_given_to_the_next_and_once() {
        let mut leases = Leases::default();
        assert_eq!(rows_of(&mut leases, 1, 1), Given::Rows(0..10));
        let leftover = Leftover { source: "a.csv".into(), number: 1, rows: 4..10 };
        assert!(leases.on_leftover(&worker(2), &leftover).is_none(), "not its own");
        assert!(leases.on_leftover(&worker(1), &leftover).is_some());
        assert!(leases.on_leftover(&worker(1), &leftover).is_none(), "a second time");
        assert_eq!(leases.held().count(), 0);
        assert_eq!(rows_of(&mut leases, 2, 1), Given::Rows(4..10));
        assert_eq!(rows_of(&mut leases, 2, 2), Given::Rows(10..20));
    }

    #[test]
    fn what_a_worker_that_has_left_did_not_take_is_given_to_the_next_and_once() {
        let mut leases = Leases::default();
        assert_eq!((rows_of(&mut leases, 1, 1), rows_of(&mut leases, 1, 2)), (Given::Rows(0..10), Given::Rows(10..20)));
        assert!(leases.on_left(&worker(2), "a.csv", 0).is_none(), "it was given nothing");
        assert_eq!(leases.on_left(&worker(1), "a.csv", 10).map(|kept| kept.rows), Some(10..20), "the answer has not come to it");
        assert!(leases.on_left(&worker(1), "a.csv", 10).is_none(), "a second goodbye");
        assert_eq!(rows_of(&mut leases, 2, 1), Given::Rows(10..20));
        assert_eq!(leases.on_left(&worker(2), "a.csv", 7).map(|kept| kept.rows), Some(17..20), "it has come too late for some");
    }

    #[test]
    fn without_a_memory_nothing_is_given_out() {
        let mut leases = Leases { is_unknown: true, ..Leases::default() };
        assert_eq!(rows_of(&mut leases, 1, 1), Given::Unknown);
    }

    /// Goal: whatever workers do, and however often the master is restarted from its journal, no row is given out twice, and each that was not given out is
    /// still to be had. Method: any order of questions, repeated ones, returns, goodbyes and restarts; then one worker takes all that is left.
    #[derive(Debug, Clone)]
    enum Event {
        Ask {
            of: u8,
            wanted: u64,
            is_repeat: bool,
        },
        Return {
            of: u8,
            used: u64,
        },
        /// Before the answer to its last question has come to it, if it asked one.
        Leave {
            of: u8,
            used: u64,
            asks: bool,
        },
        Restart,
    }

    proptest! {
        #[test]
        fn no_row_is_given_twice_and_none_is_forgotten(
            events in prop::collection::vec(prop_oneof![
                5 => (0_u8..4, 1_u64..40, any::<bool>()).prop_map(|(of, wanted, is_repeat)| Event::Ask { of, wanted, is_repeat }),
                2 => (0_u8..4, 0_u64..12).prop_map(|(of, used)| Event::Return { of, used }),
                1 => (0_u8..4, 0_u64..12, any::<bool>()).prop_map(|(of, used, asks)| Event::Leave { of, used, asks }),
                1 => Just(Event::Restart),
            ], 0..80),
        ) {
            const ROWS: u64 = 300;
            let mut leases = Leases::default();
            let mut journal: Vec<KeptLease> = Vec::new();
            let mut taken = [0_u32; ROWS as usize];
            let mut counts = [0_u64; 4];
            let mut take = |of: u8, rows: Range<u64>| {
                counts[of as usize] += rows.end - rows.start;
                rows.for_each(|row| taken[row as usize] += 1);
                counts[of as usize]
            };
            // The number and the rows of each worker's last answer.
            let mut hands: BTreeMap<u8, (u64, Range<u64>)> = BTreeMap::new();
            let now = Instant::now();
            for event in events {
                match event {
                    Event::Ask { of, wanted, is_repeat } => {
                        let (number, rows) = hands.get(&of).cloned().unwrap_or((0, 0..0));
                        let number = if is_repeat && number > 0 { number } else {
                            take(of, rows);
                            hands.insert(of, (number, 0..0));
                            number + 1
                        };
                        let Some((grant, kept)) = leases.on_ask(&worker(of), &ask(number, wanted, Some(ROWS)), |_, _| true, now) else {
                            continue;
                        };
                        journal.extend(kept);
                        if let Given::Rows(given) = grant.given && hands.get(&of).is_none_or(|hand| hand.0 < number) {
                            hands.insert(of, (number, given));
                        }
                    }
                    Event::Return { of, used } => {
                        let Some((number, rows)) = hands.get(&of).cloned() else { continue };
                        let from = rows.end.min(rows.start + used);
                        take(of, rows.start..from);
                        hands.insert(of, (number, 0..0));
                        let leftover = Leftover { source: "a.csv".into(), number, rows: from..rows.end };
                        journal.extend(leases.on_leftover(&worker(of), &leftover));
                    }
                    Event::Leave { of, used, asks } => {
                        let (number, rows) = hands.get(&of).cloned().unwrap_or((0, 0..0));
                        let from = if asks { rows.end } else { rows.end.min(rows.start + used) };
                        let count = take(of, rows.start..from);
                        if asks && let Some((_, kept)) = leases.on_ask(&worker(of), &ask(number + 1, 10, Some(ROWS)), |_, _| true, now) {
                            journal.extend(kept);
                        }
                        hands.insert(of, (number + u64::from(asks), 0..0));
                        journal.extend(leases.on_left(&worker(of), "a.csv", count));
                    }
                    Event::Restart => {
                        leases = Leases::default();
                        leases.restore(&journal);
                    }
                }
            }
            for (of, (_, rows)) in hands {
                take(of, rows);
            }
            for number in 1.. {
                match leases.on_ask(&worker(9), &ask(number, 1_000, Some(ROWS)), |_, _| false, now).unwrap().0.given {
                    Given::Rows(rows) => rows.for_each(|row| taken[row as usize] += 1),
                    _ => break,
                }
            }
            prop_assert!(taken.iter().all(|count| *count == 1), "{taken:?}");
        }
    }
}
