//! When the generator's own part in the numbers is too large to say that they are the target's: which seconds of which worker are *unsound*,
//! why, and how many requests they touch.
//!
//! Owns the judgement on one second of one worker, and the account of them. Knows workers by number only.

use std::collections::BTreeMap;
use std::time::Duration;

use super::drop_reason::DropReason;
use super::holds::{self, HoldCounts, Holder};
use super::known::KnownSeconds;
use super::names::NameMap;
use super::tally::Tally;

/// The lag of a lane's timers above which a second is unsound: what the target is said to have taken may be the generator's own
/// delay to this extent.
pub const LAG_LIMIT: Duration = Duration::from_millis(50);

/// Why a second of a worker is unsound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unsound {
    /// A lane's own timers were late by more than [`LAG_LIMIT`].
    Late,
    /// The cgroup kept the process from running.
    Throttled,
    /// Requests failed for want of descriptors, ports or buffers here.
    Exhausted,
    /// Iterations that were due did not begin, since the generator came to them too late.
    Behind,
}

impl Unsound {
    /// All of them, in the order of their bits.
    pub const ALL: [Self; 4] = [Self::Late, Self::Throttled, Self::Exhausted, Self::Behind];

    /// One word, as in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Throttled => "throttled",
            Self::Exhausted => "exhausted",
            Self::Behind => "behind",
        }
    }

    /// For people, after `the generator`.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Late => "was late: it came to its timers after more than 50 ms",
            Self::Throttled => "was held back by its cgroup's limit",
            Self::Exhausted => "had no descriptors, ports or buffers left",
            Self::Behind => "dropped iterations that it came to too late",
        }
    }
}

/// Reasons of one second or stretch; none where it is sound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reasons(u8);

impl Reasons {
    /// What a tally, which is of one worker and one second, says of that second.
    #[must_use]
    pub fn of(tally: &Tally) -> Self {
        let local = tally.entries.values().any(|counts| counts.hops.local() > 0);
        let behind = tally.events.iterations_dropped[DropReason::GeneratorLate as usize] > 0;
        let mut reasons = Self::default();
        for (holds, reason) in
            [(tally.times.lag.spread.max() > LAG_LIMIT, Unsound::Late), (local, Unsound::Exhausted), (behind, Unsound::Behind)]
        {
            if holds {
                reasons.add(reason);
            }
        }
        reasons
    }

    /// Adds a reason, which may be there already.
    pub fn add(&mut self, reason: Unsound) {
        self.0 |= 1 << reason as u8;
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether there is any.
    #[must_use]
    pub const fn any(self) -> bool {
        self.0 != 0
    }

    /// The reasons, in the order of [`Unsound::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Unsound> {
        Unsound::ALL.into_iter().filter(move |reason| self.0 & (1 << *reason as u8) != 0)
    }

    /// A bit for each reason, by its number.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Of such a byte; none of one with bits that mean nothing.
    #[must_use]
    pub const fn of_bits(bits: u8) -> Option<Self> {
        if bits < 1 << Self::COUNT { Some(Self(bits)) } else { None }
    }

    const COUNT: usize = Unsound::ALL.len();
}

/// The unsound seconds of a run by worker and reason, since this process counts.
#[derive(Debug, Clone, Default)]
pub struct Account {
    rows: BTreeMap<(u32, Unsound), Row>,
    /// By worker: scripts that held its lanes.
    holds: BTreeMap<u32, NameMap<Holder, HoldCounts>>,
    /// Requests that came to their end in an unsound second of their own worker.
    touched: u64,
}

#[derive(Debug, Clone, Default)]
struct Row {
    seconds: KnownSeconds,
    count: u64,
    first: u64,
    last: u64,
}

/// The unsound seconds of one worker for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The worker's number in the table.
    pub source: u32,
    /// Why they are unsound.
    pub reason: Unsound,
    /// How many there were; not all need lie side by side.
    pub seconds: u64,
    /// The run's clock at the begin of the first one.
    pub first: Duration,
    /// The run's clock at the end of the last one.
    pub end: Duration,
}

impl Account {
    /// Takes in what `reasons` say of the second of a tally of `source`.
    pub fn note(&mut self, source: u32, tally: &Tally, reasons: Reasons) {
        // A hold may be counted a second before the lateness that came of it.
        for (holder, counts) in &tally.holds {
            holds::add(self.holds.entry(source).or_default(), holder.clone(), *counts);
        }
        if !reasons.any() {
            return;
        }
        let requests = tally.entries.values().map(|counts| counts.hops.timed());
        self.touched = requests.fold(self.touched, u64::saturating_add);
        let second = tally.second;
        for reason in reasons.iter() {
            let row = self.rows.entry((source, reason)).or_insert_with(|| Row { first: second, last: second, ..Row::default() });
            row.count += u64::from(row.seconds.insert(second));
            (row.first, row.last) = (row.first.min(second), row.last.max(second));
        }
    }

    /// By worker and reason.
    pub fn stretches(&self) -> impl Iterator<Item = Stretch> + '_ {
        self.rows.iter().map(|(&(source, reason), row)| Stretch {
            source,
            reason,
            seconds: row.count,
            first: Duration::from_secs(row.first),
            end: Duration::from_secs(row.last + 1),
        })
    }

    /// Who held the lanes of a worker, the longest first: where it was late, these are why.
    #[must_use]
    pub fn holds_of(&self, source: u32) -> Vec<(Holder, HoldCounts)> {
        let mut holds: Vec<_> = self.holds.get(&source).into_iter().flatten().map(|(holder, counts)| (holder.clone(), *counts)).collect();
        holds.sort_by(|(one, a), (other, b)| b.longest.cmp(&a.longest).then_with(|| one.cmp(other)));
        holds
    }

    /// Requests that came to their end in an unsound second of their own worker.
    #[must_use]
    pub const fn touched(&self) -> u64 {
        self.touched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_of_reasons_reads_back_and_one_that_means_nothing_is_none() {
        for bits in 0..=u8::MAX {
            let read = Reasons::of_bits(bits);
            assert_eq!(read.map(Reasons::bits), (bits < 16).then_some(bits));
            assert_eq!(read.map_or(0, |reasons| reasons.iter().count()), if bits < 16 { bits.count_ones() as usize } else { 0 });
        }
    }

    #[test]
    fn a_second_is_counted_once_for_each_worker_and_reason_however_often_it_is_told() {
        let mut account = Account::default();
        let (mut late, mut both) = (Reasons::default(), Reasons::default());
        late.add(Unsound::Late);
        both.merge(late);
        both.add(Unsound::Throttled);
        let at = |second| Tally { second, ..Tally::default() };
        for (source, second, reasons) in [(1, 7, late), (1, 7, late), (1, 5, both), (2, 5, late), (2, 6, Reasons::default())] {
            account.note(source, &at(second), reasons);
        }
        let seconds = Duration::from_secs;
        let row = |source, reason, count, first, end| Stretch { source, reason, seconds: count, first: seconds(first), end: seconds(end) };
        let expected = [row(1, Unsound::Late, 2, 5, 8), row(1, Unsound::Throttled, 1, 5, 6), row(2, Unsound::Late, 1, 5, 6)];
        assert_eq!(account.stretches().collect::<Vec<Stretch>>(), expected);
    }
}
