//! Where and when something was counted: the first few of those who counted it, and the seconds. Knows them by number only.

use std::time::Duration;

/// Who counted something, and when. Bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    sources: Vec<u32>,
    has_more: bool,
    /// The first and the last second of the run's clock that are known.
    seconds: Option<(u64, u64)>,
    /// Some of it was counted before anybody wrote the seconds down.
    is_undated: bool,
}

impl Origin {
    /// It was counted by `source`, in `second` of the run's clock where that is known.
    pub fn note(&mut self, source: u32, second: Option<u64>) {
        if !self.sources.contains(&source) {
            if self.sources.len() < SOURCES {
                self.sources.push(source);
            } else {
                self.has_more = true;
            }
        }
        match (second, &mut self.seconds) {
            (None, _) => self.is_undated = true,
            (Some(second), Some((first, last))) => (*first, *last) = (second.min(*first), second.max(*last)),
            (Some(second), seconds @ None) => *seconds = Some((second, second)),
        }
    }

    /// The first [`SOURCES`] of those who counted it, in the order in which their numbers came.
    #[must_use]
    pub fn sources(&self) -> &[u32] {
        &self.sources
    }

    /// There are more than these.
    #[must_use]
    pub const fn has_more(&self) -> bool {
        self.has_more
    }

    /// The run's clock at the second of the first one; `None` where that is not known.
    #[must_use]
    pub fn first_seen(&self) -> Option<Duration> {
        self.seconds.filter(|_| !self.is_undated).map(|(first, _)| Duration::from_secs(first))
    }

    /// The run's clock at the second of the last one that is dated.
    #[must_use]
    pub fn last_seen(&self) -> Option<Duration> {
        self.seconds.map(|(_, last)| Duration::from_secs(last))
    }
}

/// Sources that are told by name.
pub const SOURCES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_names_each_source_once_and_only_the_first_ones() {
        let mut origin = Origin::default();
        [3, 1, 3].into_iter().for_each(|source| origin.note(source, Some(0)));
        assert_eq!((origin.sources(), origin.has_more()), (&[3, 1][..], false));
        (0..100).for_each(|source| origin.note(source, Some(0)));
        assert_eq!((origin.sources().len(), origin.has_more()), (SOURCES, true));
    }

    #[test]
    fn an_origin_knows_its_first_second_only_where_all_of_it_is_dated() {
        let mut origin = Origin::default();
        assert_eq!((origin.first_seen(), origin.last_seen()), (None, None));
        [5, 2, 9].into_iter().for_each(|second| origin.note(0, Some(second)));
        let seconds = |first: Option<u64>, last| (first.map(Duration::from_secs), Some(Duration::from_secs(last)));
        assert_eq!((origin.first_seen(), origin.last_seen()), seconds(Some(2), 9));
        origin.note(0, None);
        assert_eq!((origin.first_seen(), origin.last_seen()), seconds(None, 9));
    }
}
