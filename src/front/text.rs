//! Text for people: safe, cut to a width, aligned; numbers with their units. Knows no snapshot.

use std::borrow::Cow;
use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Makes text from a target or a script harmless for a terminal: control characters and direction marks are spelled out.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().fold(String::with_capacity(text.len() + 8), |mut safe, c| {
        if is_harmful(c) {
            safe.extend(c.escape_default())
        } else {
            safe.push(c)
        }
        safe
    }))
}

/// Text in an attribute or an element of XML. What XML has no character for is left out.
#[must_use]
pub fn xml_text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            letter => safe.push(letter),
        }
    }
    safe
}

/// Characters that move the cursor, colour the screen, or reverse what is read.
fn is_harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A number with so many decimals, or a dash where nobody knows it.
#[must_use]
pub fn known(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

/// Cuts text to `width` columns, out of its middle, where paths and names differ least. `text` must be escaped.
#[must_use]
pub fn shorten(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let Some(rest) = width.checked_sub(1) else { return Cow::Borrowed("") };
    let head: String = take_columns(text.chars(), rest.div_ceil(2));
    let tail: String = take_columns(text.chars().rev(), rest / 2).chars().rev().collect();
    Cow::Owned(format!("{head}…{tail}"))
}

/// Breaks text into lines of at most `width` columns, between words where there are any. `text` must be escaped.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut line, mut used) = (String::new(), 0);
    for word in text.split_inclusive(' ') {
        let needed = word.trim_end_matches(' ').width();
        // A word that fits no line begins where it stands.
        if used > 0 && used + needed > width && needed <= width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        for c in word.chars() {
            let columns = c.width().unwrap_or(0);
            let is_full = used + columns > width;
            if is_full && c == ' ' {
                continue;
            }
            if is_full && used > 0 {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(c);
            used += columns;
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines.iter_mut().for_each(|line| line.truncate(line.trim_end_matches(' ').len()));
    lines
}

fn take_columns(characters: impl Iterator<Item = char>, columns: usize) -> String {
    let mut used = 0;
    characters
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= columns
        })
        .collect()
}

/// Fills text with blanks up to `width` columns.
#[must_use]
pub fn pad(text: &str, width: usize, align: Align) -> String {
    let blanks = " ".repeat(width.saturating_sub(text.width()));
    match align {
        Align::Left => format!("{text}{blanks}"),
        Align::Right => format!("{blanks}{text}"),
    }
}

/// At which side of its column a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// For columns of words.
    Left,
    /// For columns of numbers.
    Right,
}

/// Milliseconds without a unit: two decimals below 10 ms, whole ones from there.
#[must_use]
pub fn milliseconds(duration: Duration) -> String {
    let milliseconds = duration.as_secs_f64() * 1e3;
    // 9.995 would be rounded up to 10.00, which is the other form's.
    if milliseconds < 9.995 { format!("{milliseconds:.2}") } else { format!("{milliseconds:.0}") }
}

/// A duration with the unit that suits it: `420us`, `1.25ms`, `183ms`, `2.40s`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds == 0.0 {
        "0".to_owned()
    } else if seconds < 0.000_999_5 {
        format!("{:.0}us", seconds * 1e6)
    } else if seconds < 0.999_5 {
        format!("{}ms", milliseconds(duration))
    } else {
        format!("{seconds:.2}s")
    }
}

/// A length that somebody tells in seconds; `None` where it is none: negative, endless, or no number.
#[must_use]
pub fn length(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

/// So many seconds as `show` has them, such as [`clock`]; a dash where they are no length.
#[must_use]
pub fn of_seconds(seconds: f64, show: impl Fn(Duration) -> String) -> String {
    length(seconds).map_or_else(|| "-".to_owned(), show)
}

/// A clock for run times: `0:07`, `12:30`, `1:02:03`.
#[must_use]
pub fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours == 0 { format!("{minutes}:{seconds:02}") } else { format!("{hours}:{minutes:02}:{seconds:02}") }
}

/// Bytes with a binary unit: `512 B`, `1.5 KiB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let mut amount = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if amount < 1023.95 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{amount:.1} {unit}") };
        }
        amount /= 1024.0;
    }
    format!("{amount:.1} TiB")
}

/// A plain number with at most three decimals, without zeros at its end.
#[must_use]
pub fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `part` of `whole` in percent with two decimals; a dash of nothing. A part is never shown as none, nor as all.
#[must_use]
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let percent = part as f64 * 100.0 / whole as f64;
    let bounded = if part == 0 || part == whole { percent } else { percent.clamp(0.01, 99.99) };
    format!("{bounded:.2}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_length_is_a_dash_and_no_zero() {
        assert_eq!([7.9, 0.0].map(|seconds| of_seconds(seconds, clock)), ["0:07", "0:00"]);
        for seconds in [-1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!((length(seconds), of_seconds(seconds, clock)), (None, "-".to_owned()));
        }
    }

    #[test]
    fn text_of_targets_cannot_move_the_cursor() {
        assert_eq!(escape("a\x1b[2Jb\nc\u{202e}"), "a\\u{1b}[2Jb\\nc\\u{202e}");
        assert_eq!(escape("/köszönöm/日本"), "/köszönöm/日本");
    }

    #[test]
    fn long_names_lose_their_middle_and_keep_their_columns() {
        assert_eq!(shorten("abcdefghij", 5), "ab…ij");
        assert_eq!(shorten("abc", 3), "abc");
        assert_eq!(shorten("日本語日本語", 7), "日…語");
        assert_eq!(shorten("abc", 0), "");
        assert_eq!(pad("日本", 6, Align::Left), "日本  ");
        assert_eq!(pad("7", 3, Align::Right), "  7");
    }

    #[test]
    fn long_lines_break_between_words_and_long_words_anywhere() {
        assert_eq!(wrap("a run is under way", 8), ["a run is", "under", "way"]);
        assert_eq!(wrap("abcdefghij kl", 4), ["abcd", "efgh", "ij", "kl"]);
        assert_eq!(wrap("GET /abcdefgh", 6), ["GET /a", "bcdefg", "h"]);
        assert_eq!(wrap("日本語 日本", 5), ["日本", "語", "日本"]);
        assert_eq!(wrap("fits", 4), ["fits"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(wrap("ab", 0), ["a", "b"], "no width at all loses no text, and ends");
    }

    #[test]
    fn numbers_have_enough_digits() {
        let micros = Duration::from_micros;
        assert_eq!([420, 9_994, 9_995, 10_400, 1_234_600].map(|us| milliseconds(micros(us))), ["0.42", "9.99", "10", "10", "1235"]);
        assert_eq!([0, 420, 1_250, 183_000, 2_400_000].map(|us| duration(micros(us))), ["0", "420us", "1.25ms", "183ms", "2.40s"]);
        assert_eq!([7, 750, 3_723].map(|s| clock(Duration::from_secs(s))), ["0:07", "12:30", "1:02:03"]);
        assert_eq!([512, 1_536, 1_048_575, 1 << 40].map(bytes), ["512 B", "1.5 KiB", "1.0 MiB", "1.0 TiB"]);
        assert_eq!([1.0, 0.5, 12.345_6].map(number), ["1", "0.5", "12.346"]);
    }

    #[test]
    fn one_failure_in_a_million_is_not_zero_percent() {
        assert_eq!(percent(1, 1_000_000), "0.01%");
        assert_eq!(percent(999_999, 1_000_000), "99.99%");
        assert_eq!((percent(0, 5), percent(5, 5), percent(0, 0)), ("0.00%".into(), "100.00%".into(), "-".into()));
    }
}
