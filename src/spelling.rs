//! Names that people misspell: which of the known ones was meant.
//!
//! Knows no room's names. How a hint is worded is the business of whoever gives it.

/// The one of `known` that whoever wrote `wrong` most likely meant, capitals aside; of several as near the first. `None` where more letters
/// differ than `may_differ` allows for that name: further away a suggestion misleads.
#[must_use]
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>, may_differ: impl Fn(&str) -> usize) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wrong, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= may_differ(name))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// A third of the letters of `name`, and one at least: what may differ in a slip of the fingers.
#[must_use]
pub fn third(name: &str) -> usize {
    (name.chars().count() / 3).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognized_and_another_word_is_none() {
        let near = |wrong: &str| nearest(wrong, ["timeout", "name", "tags"], third);
        assert_eq!(
            [near("timout"), near("TimeOut"), near("naem"), near("tag")],
            [Some("timeout"), Some("timeout"), Some("name"), Some("tags")]
        );
        assert_eq!([near("zebra"), near("")], [None, None]);
        assert_eq!(nearest("b", ["aa", "ab", "bb"], |_| 1), Some("ab"), "the first of those that are as near");
    }
}
