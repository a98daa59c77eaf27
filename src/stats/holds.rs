//! Who held a lane: class and task of a script that did not yield for so long that all others waited, and where it was.
//!
//! Owns the bound of how many are told apart. When a lane is held is the script's watchdog's to say.

use std::sync::Arc;
use std::time::Duration;

use super::names::{NameMap, OTHER, clip};

/// Who held a lane, and where.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Holder {
    /// Class and task, such as `Shopper:checkout`; `(other)` of those for whom there was no room.
    pub by: Arc<str>,
    /// File and line, such as `main.lua:12`; empty where it is not known, as inside of a native.
    pub place: Arc<str>,
}

impl Holder {
    /// Texts that are too long are cut.
    #[must_use]
    pub fn new(by: &str, place: &str) -> Self {
        Self { by: clip(by, HOLDER_BYTES).into(), place: clip(place, HOLDER_BYTES).into() }
    }

    /// In a sentence for people, such as `Shopper:checkout held the lane for 340 ms at main.lua:12`.
    #[must_use]
    pub fn words(&self, counts: HoldCounts) -> String {
        let (by, place, longest) = (&self.by, &self.place, counts.longest.as_millis());
        let (most, times) = if counts.count > 1 { ("up to ", format!(" ({} times)", counts.count)) } else { ("", String::new()) };
        let at = if place.is_empty() { String::new() } else { format!(" at {place}") };
        format!("{by} held the lane for {most}{longest} ms{at}{times}")
    }

    fn other() -> Self {
        Self { by: OTHER.into(), place: "".into() }
    }
}

/// How often and how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HoldCounts {
    /// How often a lane was held.
    pub count: u64,
    /// The longest single time of it.
    pub longest: Duration,
}

impl HoldCounts {
    /// Adds what `other` counted.
    pub fn merge(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.longest = self.longest.max(other.longest);
    }
}

/// Adds to the sums of a holder; to those of `(other)` where there are [`HOLDERS`] already.
pub fn add(holds: &mut NameMap<Holder, HoldCounts>, holder: Holder, counts: HoldCounts) {
    let holder = if holds.len() >= HOLDERS && !holds.contains_key(&holder) { Holder::other() } else { holder };
    holds.entry(holder).or_default().merge(counts);
}

/// Holders that are told apart, `(other)` aside.
pub const HOLDERS: usize = 16;

/// Bytes of each of a holder's texts.
pub const HOLDER_BYTES: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_past_the_limit_are_one_and_nothing_is_lost() {
        let mut holds = NameMap::default();
        for number in 0..3 * HOLDERS as u64 {
            let length = Duration::from_millis(100 + number);
            add(&mut holds, Holder::new(&format!("Shopper:task{number}"), "main.lua:7"), HoldCounts { count: 2, longest: length });
        }
        add(&mut holds, Holder::new("Shopper:task0", "main.lua:7"), HoldCounts { count: 1, longest: Duration::from_millis(50) });
        assert_eq!((holds.len(), holds.values().map(|counts| counts.count).sum::<u64>()), (HOLDERS + 1, 6 * HOLDERS as u64 + 1));
        assert_eq!(holds[&Holder::new("Shopper:task0", "main.lua:7")], HoldCounts { count: 3, longest: Duration::from_millis(100) });
        assert_eq!(holds[&Holder::other()].longest, Duration::from_millis(99 + 3 * HOLDERS as u64));
        let words = |by, place, count| Holder::new(by, place).words(HoldCounts { count, longest: Duration::from_millis(340) });
        assert_eq!(words("Shopper:checkout", "main.lua:12", 1), "Shopper:checkout held the lane for 340 ms at main.lua:12");
        assert_eq!(words("Shopper:checkout", "", 3), "Shopper:checkout held the lane for up to 340 ms (3 times)");
        assert_eq!(Holder::new(&"x".repeat(1_000), "").by.len(), HOLDER_BYTES);
    }
}
