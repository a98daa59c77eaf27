//! The part of a run that a threshold looks at: the clauses behind its condition. What the condition says is `threshold`'s, how windows stand `windows`'.

use std::time::Duration;

/// `over 30s`, `after 1m`, `or no data`, `abort`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// It must hold in each window of so many whole seconds; else over all of it.
    pub over_seconds: Option<u64>,
    /// Only what was measured from this second of the run's clock on.
    pub after_seconds: u64,
    /// Where there is nothing to judge, it holds.
    pub passes_without_data: bool,
    /// The run ends once it does not hold.
    pub aborts: bool,
}

impl Span {
    /// Whether it is judged as the run goes on, and not over the table of the whole run alone.
    #[must_use]
    pub const fn needs_windows(&self) -> bool {
        self.is_partial() || self.aborts
    }

    /// Whether some of the run is left out, or looked at by itself.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.over_seconds.is_some() || self.after_seconds > 0
    }

    /// What is wrong with it in a run that ends by itself at `end`.
    ///
    /// # Errors
    /// A span that such a run never fills.
    pub fn fits(&self, end: Duration) -> Result<(), String> {
        if !self.is_partial() {
            return Ok(());
        }
        let needed = self.after_seconds.saturating_add(self.over_seconds.unwrap_or(1));
        if Duration::from_secs(needed) <= end {
            return Ok(());
        }
        let end = end.as_secs_f64();
        Err(match self.over_seconds {
            Some(window) if self.after_seconds == 0 => format!("the window of {window}s is longer than the run, which takes {end}s"),
            Some(window) => format!("a window of {window}s after {}s does not fit into the run, which takes {end}s", self.after_seconds),
            None => format!("`after {}s` leaves nothing of the run, which takes {end}s", self.after_seconds),
        })
    }

    /// Splits a condition such as `p(99) < 300ms over 30s after 1m abort` into what must hold, and where.
    ///
    /// # Errors
    /// Says what is wrong with a clause, and how it is written.
    pub(super) fn split(text: &str) -> Result<(&str, Self), String> {
        let mut words = words_of(text).peekable();
        let begin = words.clone().find(|(_, word)| CLAUSES.contains(word)).map_or(text.len(), |(place, _)| place);
        let (mut span, mut seen) = (Self::default(), Vec::new());
        while words.next_if(|(place, _)| *place < begin).is_some() {}
        while let Some((place, word)) = words.next() {
            if seen.contains(&word) {
                return Err(format!("`{word}` stands in it twice"));
            }
            seen.push(word);
            match word {
                "over" => span.over_seconds = Some(seconds_of("over", words.next(), 1, 3_600)?),
                "after" => span.after_seconds = seconds_of("after", words.next(), 0, 31_536_000)?,
                "abort" => span.aborts = true,
                "or" if words.next().is_some_and(|(_, word)| word == "no") && words.next().is_some_and(|(_, word)| word == "data") => {
                    span.passes_without_data = true;
                }
                _ => return Err(format!("`{}` is not understood; {FORM}", text[place..].trim())),
            }
        }
        Ok((text[..begin].trim(), span))
    }
}

const CLAUSES: [&str; 4] = ["over", "after", "or", "abort"];
const FORM: &str = "behind the condition may stand `over 30s`, `after 1m`, `or no data` and `abort`";

/// Each word and its place.
fn words_of(text: &str) -> impl Iterator<Item = (usize, &str)> + Clone {
    text.split_whitespace().map(move |word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

/// Whole seconds, since a run's numbers are kept by these.
fn seconds_of(clause: &str, word: Option<(usize, &str)>, least: u64, most: u64) -> Result<u64, String> {
    let text = word.map_or("", |(_, word)| word);
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let factor = match &text[digits..] {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        _ => None,
    };
    let seconds = text[..digits].parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    let is_time = seconds.is_some_and(|seconds| (least..=most).contains(&seconds));
    seconds.filter(|_| is_time).ok_or_else(|| match text {
        "" => format!("`{clause}` has no time; write `{clause} 30s`"),
        text => {
            format!("`{clause} {text}`: the time must be whole seconds, minutes or hours from {least}s to {most}s, such as `30s` or `5m`")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_stand_behind_the_condition_in_any_order() {
        let all = Span { over_seconds: Some(30), after_seconds: 60, passes_without_data: true, aborts: true };
        for (text, condition, span) in [
            ("p(99) < 300ms", "p(99) < 300ms", Span::default()),
            ("p(99) < 300ms over 30s after 1m or no data abort", "p(99) < 300ms", all),
            (" rate<1%  abort or no data  after 60s over 30s ", "rate<1%", all),
            ("count > 5 or no data", "count > 5", Span { passes_without_data: true, ..Span::default() }),
            ("count > 5 over 1h", "count > 5", Span { over_seconds: Some(3_600), ..Span::default() }),
        ] {
            assert_eq!(Span::split(text), Ok((condition, span)), "{text}");
        }
    }

    #[test]
    fn a_clause_that_is_wrong_is_told_with_the_right_one() {
        for (text, why) in [
            ("rate < 1 over", "`over` has no time; write `over 30s`"),
            ("rate < 1 over 30", "`over 30`: the time must be whole seconds, minutes or hours from 1s to 3600s, such as `30s` or `5m`"),
            ("rate < 1 over 500ms", "`over 500ms`: the time must be"),
            ("rate < 1 over 0s", "`over 0s`: the time must be"),
            ("rate < 1 over -5s", "`over -5s`: the time must be"),
            ("rate < 1 over 99999999999999999999h", "the time must be"),
            ("rate < 1 over 2h", "from 1s to 3600s"),
            ("rate < 1 over 5s over 6s", "`over` stands in it twice"),
            ("rate < 1 or nothing", "`or nothing` is not understood; behind the condition may stand `over 30s`"),
            ("rate < 1 abort soon", "`soon` is not understood"),
        ] {
            let said = Span::split(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn a_span_that_no_second_of_the_run_fills_does_not_fit() {
        let fits = |text: &str, seconds| Span::split(text).unwrap().1.fits(Duration::from_secs(seconds));
        assert_eq!(fits("rate < 1 over 10s", 10), Ok(()));
        assert_eq!(fits("rate < 1 over 11s", 10), Err("the window of 11s is longer than the run, which takes 10s".into()));
        assert_eq!(fits("rate < 1 over 5s after 6s", 10), Err("a window of 5s after 6s does not fit into the run, which takes 10s".into()));
        assert_eq!(fits("rate < 1 after 10s", 10), Err("`after 10s` leaves nothing of the run, which takes 10s".into()));
    }
}
