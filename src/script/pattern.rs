//! Whether a Lua pattern comes to an end in time on a text: LuaJIT's own matcher cannot be interrupted, and it backtracks.
//!
//! The matcher here follows Lua's (`lstrlib.c` of 5.1), counts its steps, and keeps no captures beyond what a back reference needs. It only answers
//! whether the search is affordable; the search itself is LuaJIT's. The Lua side asks only where text and pattern make a long search possible.

use mlua::{Lua, LuaString, Table};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Search {
    /// `find` and `match`: until the first match; `^` is an anchor.
    First,
    /// `gmatch`: all matches; `^` is no anchor.
    Each,
    /// `gsub`: all matches; `^` is an anchor.
    Replace,
}

/// What a search would cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// LuaJIT may be let loose.
    Affordable,
    /// More than [`STEPS`].
    TooLong,
    /// A result of more than [`LONGEST_RESULT`].
    TooLarge,
}

/// What each match of a `gsub` puts in its place.
#[derive(Debug, Clone, Copy, Default)]
struct Replacement {
    bytes: usize,
    /// How often it may repeat what was matched.
    repeats: usize,
}

/// Judges a search before it is made. A malformed pattern is affordable: LuaJIT finds its fault at once.
fn judge(text: &[u8], pattern: &[u8], search: Search, start: usize, replacement: Replacement) -> Verdict {
    let is_anchored = search != Search::Each && pattern.first() == Some(&b'^');
    let mut matcher = Matcher { text, pattern, left: STEPS, depth: 0, captures: Vec::new() };
    let literal =
        pattern.first().copied().filter(|byte| !b"^$*+?.([%-".contains(byte) && !matches!(pattern.get(1), Some(b'*' | b'?' | b'-')));
    let mut at = start.min(text.len());
    let mut grown = text.len();
    loop {
        if let (Some(literal), false) = (literal, is_anchored) {
            // Where the first byte is not there, LuaJIT takes one step.
            let skipped = memchr::memchr(literal, &text[at..]).unwrap_or(text.len() - at);
            at += skipped;
            matcher.left = matcher.left.saturating_sub(skipped as u64);
        }
        matcher.captures.clear();
        match matcher.run(at, usize::from(is_anchored)) {
            Err(Stop::TooLong) => return Verdict::TooLong,
            Err(Stop::Malformed) => return Verdict::Affordable,
            Ok(Some(_)) if search == Search::First => return Verdict::Affordable,
            Ok(Some(end)) => {
                grown = grown.saturating_add(replacement.bytes).saturating_add(replacement.repeats.saturating_mul(end - at));
                if grown > LONGEST_RESULT {
                    return Verdict::TooLarge;
                }
                at = if end > at { end } else { at + 1 };
            }
            Ok(None) => at += 1,
        }
        if is_anchored || at > text.len() {
            return Verdict::Affordable;
        }
    }
}

/// Gives `native` what `lua-stdlib/engine/strings.lua` is built on.
pub(super) fn add_natives(lua: &Lua, native: &Table) -> mlua::Result<()> {
    native.set("judge_pattern", lua.create_function(judge_call)?)?;
    native.set("find_plain", lua.create_function(find_plain)?)
}

/// `native.judge_pattern(text, pattern, function, start, replacement)`: 0 where the search may be made, 1 where it takes too long, 2 where its result
/// is too large.
fn judge_call(
    _: &Lua,
    (text, pattern, function, start, with): (LuaString, LuaString, LuaString, f64, Option<LuaString>),
) -> mlua::Result<u8> {
    let search = match &*function.as_bytes() {
        b"gmatch" => Search::Each,
        b"gsub" => Search::Replace,
        _ => Search::First,
    };
    let replacement = with.map_or_else(Replacement::default, |with| {
        let with = with.as_bytes();
        Replacement { bytes: with.len(), repeats: with.iter().filter(|byte| **byte == b'%').count() }
    });
    let text = text.as_bytes();
    let start = offset_of(start, text.len());
    Ok(match judge(&text, &pattern.as_bytes(), search, start, replacement) {
        Verdict::Affordable => 0,
        Verdict::TooLong => 1,
        Verdict::TooLarge => 2,
    })
}

/// `native.find_plain(text, what, start)`, in time that is proportional to the text, whatever it is searched for.
fn find_plain(_: &Lua, (text, what, start): (LuaString, LuaString, f64)) -> mlua::Result<(Option<usize>, Option<usize>)> {
    let (text, what) = (text.as_bytes(), what.as_bytes());
    let start = offset_of(start, text.len());
    let found = text.get(start..).and_then(|rest| memchr::memmem::find(rest, &what));
    Ok((found.map(|at| start + at + 1), found.map(|at| start + at + what.len())))
}

/// As in Lua, counted from 1, and from the end where it is negative; beyond the text it is beyond its end.
fn offset_of(start: f64, length: usize) -> usize {
    let first = if start < 0.0 { length as f64 + start } else { start - 1.0 };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and beyond the text is the text's end"
    )]
    let first = first.max(0.0) as usize;
    first
}

/// A search under way.
struct Matcher<'a> {
    text: &'a [u8],
    pattern: &'a [u8],
    /// Steps that it may still take.
    left: u64,
    /// How deep the recursion is.
    depth: u32,
    /// Start and end; no end while a capture is open or is a position.
    captures: Vec<(usize, Option<usize>)>,
}

/// Why a search ended without an answer.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    TooLong,
    Malformed,
}

type Outcome = Result<Option<usize>, Stop>;

impl Matcher<'_> {
    fn step(&mut self) -> Result<(), Stop> {
        self.left = self.left.checked_sub(1).ok_or(Stop::TooLong)?;
        Ok(())
    }

    /// Matches the pattern from `p` on at `s`: the match's end.
    fn run(&mut self, s: usize, p: usize) -> Outcome {
        // LuaJIT gives up at this depth with an error of its own.
        if self.depth >= DEEPEST {
            return Err(Stop::Malformed);
        }
        self.depth += 1;
        let outcome = self.run_items(s, p);
        self.depth -= 1;
        outcome
    }

    fn run_items(&mut self, mut s: usize, mut p: usize) -> Outcome {
        loop {
            self.step()?;
            let Some(&item) = self.pattern.get(p) else { return Ok(Some(s)) };
            match (item, self.pattern.get(p + 1)) {
                (b'(', Some(b')')) => return self.capture(s, p + 2, (s, None)),
                (b'(', _) => return self.capture(s, p + 1, (s, None)),
                (b')', _) => return self.close(s, p + 1),
                (b'$', None) => return Ok((s == self.text.len()).then_some(s)),
                (b'%', Some(b'b')) => match self.balanced(s, p + 2)? {
                    Some(end) => (s, p) = (end, p + 4),
                    None => return Ok(None),
                },
                (b'%', Some(b'f')) => {
                    let end = self.class_end(p + 2)?;
                    self.left = self.left.saturating_sub((end - p) as u64 / SET_ITEMS_A_STEP);
                    let before = if s == 0 { 0 } else { self.text[s - 1] };
                    let here = self.text.get(s).copied().unwrap_or(0);
                    if self.in_class(before, p + 2, end) || !self.in_class(here, p + 2, end) {
                        return Ok(None);
                    }
                    p = end;
                }
                (b'%', Some(digit)) if digit.is_ascii_digit() => match self.back_reference(s, *digit)? {
                    Some(end) => (s, p) = (end, p + 2),
                    None => return Ok(None),
                },
                _ => {
                    let end = self.class_end(p)?;
                    match self.pattern.get(end) {
                        Some(b'?') => {
                            if self.single(s, p, end)
                                && let Some(end) = self.run(s + 1, end + 1)?
                            {
                                return Ok(Some(end));
                            }
                            p = end + 1;
                        }
                        Some(b'*') => return self.longest(s, p, end),
                        Some(b'+') => return if self.single(s, p, end) { self.longest(s + 1, p, end) } else { Ok(None) },
                        Some(b'-') => return self.shortest(s, p, end),
                        _ if self.single(s, p, end) => (s, p) = (s + 1, end),
                        _ => return Ok(None),
                    }
                }
            }
        }
    }

    fn longest(&mut self, s: usize, p: usize, end: usize) -> Outcome {
        let mut count = 0;
        while self.single(s + count, p, end) {
            self.step()?;
            count += 1;
        }
        loop {
            if let Some(end) = self.run(s + count, end + 1)? {
                return Ok(Some(end));
            }
            if count == 0 {
                return Ok(None);
            }
            count -= 1;
        }
    }

    fn shortest(&mut self, mut s: usize, p: usize, end: usize) -> Outcome {
        loop {
            if let Some(end) = self.run(s, end + 1)? {
                return Ok(Some(end));
            }
            if !self.single(s, p, end) {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn capture(&mut self, s: usize, p: usize, capture: (usize, Option<usize>)) -> Outcome {
        self.captures.push(capture);
        let outcome = self.run(s, p)?;
        if outcome.is_none() {
            self.captures.pop();
        }
        Ok(outcome)
    }

    fn close(&mut self, s: usize, p: usize) -> Outcome {
        let open = self.captures.iter().rposition(|capture| capture.1.is_none()).ok_or(Stop::Malformed)?;
        self.captures[open].1 = Some(s);
        let outcome = self.run(s, p)?;
        if outcome.is_none() {
            self.captures[open].1 = None;
        }
        Ok(outcome)
    }

    fn back_reference(&mut self, s: usize, digit: u8) -> Outcome {
        let capture = self.captures.get(usize::from(digit.wrapping_sub(b'1')));
        let Some(&(start, Some(end))) = capture else { return Err(Stop::Malformed) };
        self.left = self.left.saturating_sub((end - start) as u64);
        Ok(self.text[s..].starts_with(&self.text[start..end]).then_some(s + end - start))
    }

    fn balanced(&mut self, s: usize, p: usize) -> Outcome {
        let (Some(&open), Some(&close)) = (self.pattern.get(p), self.pattern.get(p + 1)) else { return Err(Stop::Malformed) };
        if self.text.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1_u64;
        for (at, &byte) in self.text.iter().enumerate().skip(s + 1) {
            self.step()?;
            if byte == close {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(at + 1));
                }
            } else if byte == open {
                depth += 1;
            }
        }
        Ok(None)
    }

    /// Where the single item at `p` ends in the pattern.
    fn class_end(&self, p: usize) -> Result<usize, Stop> {
        match self.pattern.get(p).ok_or(Stop::Malformed)? {
            b'%' if p + 1 < self.pattern.len() => Ok(p + 2),
            b'%' => Err(Stop::Malformed),
            b'[' => {
                let mut at = p + 1;
                if self.pattern.get(at) == Some(&b'^') {
                    at += 1;
                }
                // The first byte of a set stands for itself, even `]`.
                loop {
                    at += if *self.pattern.get(at).ok_or(Stop::Malformed)? == b'%' { 2 } else { 1 };
                    if *self.pattern.get(at).ok_or(Stop::Malformed)? == b']' {
                        return Ok(at + 1);
                    }
                }
            }
            _ => Ok(p + 1),
        }
    }

    fn single(&mut self, s: usize, p: usize, end: usize) -> bool {
        // A set is gone through item by item.
        self.left = self.left.saturating_sub((end - p) as u64 / SET_ITEMS_A_STEP);
        self.text.get(s).is_some_and(|&byte| self.in_class(byte, p, end))
    }

    fn in_class(&self, byte: u8, p: usize, end: usize) -> bool {
        match self.pattern[p] {
            b'.' => true,
            b'%' => is_in_named_class(byte, self.pattern[p + 1]),
            b'[' => self.in_set(byte, p + 1, end - 1),
            own => own == byte,
        }
    }

    /// `from` is behind the `[`, `to` at the `]`.
    fn in_set(&self, byte: u8, from: usize, to: usize) -> bool {
        let is_negated = self.pattern[from] == b'^';
        let mut at = from + usize::from(is_negated);
        while at < to {
            let item = self.pattern[at];
            if item == b'%' {
                if is_in_named_class(byte, self.pattern[at + 1]) {
                    return !is_negated;
                }
                at += 2;
            } else if self.pattern[at + 1] == b'-' && at + 2 < to {
                if (item..=self.pattern[at + 2]).contains(&byte) {
                    return !is_negated;
                }
                at += 3;
            } else {
                if item == byte {
                    return !is_negated;
                }
                at += 1;
            }
        }
        is_negated
    }
}

fn is_in_named_class(byte: u8, class: u8) -> bool {
    let is_in = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'g' => byte.is_ascii_graphic(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => byte.is_ascii_whitespace() || byte == 0x0b,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return class == byte,
    };
    is_in != class.is_ascii_uppercase()
}

/// Steps of one search: some 50 ms in LuaJIT. Fewer in a debug build, whose steps take ten times as long here.
const STEPS: u64 = if cfg!(debug_assertions) { 2_000_000 } else { 10_000_000 };

/// Items of a set that are looked at in the time of a step.
const SET_ITEMS_A_STEP: u64 = 8;

/// Bytes of what a `gsub` may make.
const LONGEST_RESULT: usize = 64 << 20;

/// LuaJIT's own limit is of this order; each level takes some hundred bytes of the stack.
const DEEPEST: u32 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn is_affordable(text: &[u8], pattern: &[u8], search: Search, start: usize) -> bool {
        judge(text, pattern, search, start, Replacement::default()) == Verdict::Affordable
    }

    fn end_of(text: &str, pattern: &str) -> Outcome {
        let mut matcher = Matcher { text: text.as_bytes(), pattern: pattern.as_bytes(), left: STEPS, depth: 0, captures: Vec::new() };
        matcher.run(0, 0)
    }

    /// Goal: the steps are counted of the very search that LuaJIT makes. Method: the end of an anchored match, against LuaJIT's own.
    #[test]
    fn the_matcher_agrees_with_luajit() {
        let lua = Lua::new();
        let find: mlua::Function = lua.load("return function(t, p) local _, e = t:find('^' .. p) return e end").eval().unwrap();
        let texts = ["", "a", "aaab", "key = value", "<a href='x'>(y (z))</a>", "THE (quick) fox", "x1y22", "\tab \0c", "abab", "]-^%"];
        let patterns = [
            "a*",
            "a+b",
            "a-b",
            ".-=",
            "(%w+) = (%w+)",
            "%b()",
            ".*%b()",
            "<(%a).-</%1>",
            "%f[%a]%a+",
            "[^%s]+",
            "[a-c]?b",
            "[]-^%%]+",
            "(a)(b)%1%2",
            "()ab()",
            ".-$",
            "%u+ ",
            "[%a_][%w_]*",
            "%d%d?",
            "%D*%d+",
            ".?.?.?.?c",
            "%S-%s",
            "[%z\t]a",
        ];
        for text in texts {
            for pattern in patterns {
                let expected: Option<usize> = find.call((text, pattern)).unwrap();
                assert_eq!(end_of(text, pattern), Ok(expected), "{pattern} on {text:?}");
            }
        }
    }

    #[test]
    fn a_search_without_end_is_not_affordable_and_a_long_one_is() {
        let text = "a".repeat(300_000);
        assert!(!is_affordable(text.as_bytes(), b".-b", Search::First, 0));
        assert!(!is_affordable(&text.as_bytes()[..2_000], b"a*a*a*b", Search::First, 0));
        assert!(is_affordable(text.as_bytes(), b"^a*", Search::First, 0));
        let page = format!("{}name=\"csrf\" value=\"42\"", "<p>text</p>".repeat(20_000));
        assert!(is_affordable(page.as_bytes(), b"name=\"csrf\" value=\"(.-)\"", Search::First, 0));
        assert!(is_affordable(page.as_bytes(), b"<p>(.-)</p>", Search::Each, 0));
        assert!(is_affordable(page.as_bytes(), b"%s+", Search::Replace, 0));
    }

    #[test]
    fn long_prefixes_and_sets_count_as_what_they_cost() {
        let text = "a".repeat(300_000);
        let prefix = format!("{}b", "a".repeat(10_000));
        assert!(!is_affordable(text.as_bytes(), prefix.as_bytes(), Search::First, 0));
        let set = format!("[{}]+b", "xyz0".repeat(3_000));
        assert!(!is_affordable(text.as_bytes(), format!("[^{}]-b", "xyz0".repeat(3_000)).as_bytes(), Search::First, 0));
        assert!(!is_affordable(text.as_bytes(), set.as_bytes(), Search::First, 0));
        assert!(!is_affordable(text.as_bytes(), format!("%f[{}]b", "xyz0".repeat(3_000)).as_bytes(), Search::First, 0));
    }

    #[test]
    fn a_replacement_that_grows_beyond_bounds_is_known_before_it_is_made() {
        let text = "x".repeat(100_000);
        let verdict =
            |pattern: &str, bytes, repeats| judge(text.as_bytes(), pattern.as_bytes(), Search::Replace, 0, Replacement { bytes, repeats });
        assert_eq!(verdict("x", 10_000, 0), Verdict::TooLarge);
        assert_eq!(verdict("", 10_000, 0), Verdict::TooLarge);
        assert_eq!(verdict("^x+", 2_000, 1_000), Verdict::TooLarge);
        assert_eq!(verdict("x", 100, 1), Verdict::Affordable);
        assert_eq!(verdict("y", 1_000_000, 1), Verdict::Affordable);
    }

    #[test]
    fn a_plain_search_finds_what_luajit_finds() {
        let lua = Lua::new();
        let theirs: mlua::Function = lua.load("return function(t, w, s) return t:find(w, s, true) end").eval().unwrap();
        let ours = lua.create_function(find_plain).unwrap();
        for (text, what) in [("abcabc", "c"), ("abcabc", ""), ("", ""), ("", "x"), ("aXbX", "bX"), ("aaa", "aaaa"), ("a\0b", "\0b")] {
            for start in [-10.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0, 6.0, 7.0] {
                if start > text.len() as f64 + 1.0 {
                    continue; // Nothing is found by either; LuaJIT says so before it looks.
                }
                let expected: (Option<usize>, Option<usize>) = theirs.call((text, what, start)).unwrap();
                assert_eq!(
                    ours.call::<(Option<usize>, Option<usize>)>((text, what, start)).unwrap(),
                    expected,
                    "{what} in {text} from {start}"
                );
            }
        }
    }

    #[test]
    fn malformed_patterns_are_left_to_luajit() {
        for pattern in ["[a", "%", "(a", "a)", "%b", "%f", "%1", "[^", "[%"] {
            assert!(is_affordable(b"aaaa", pattern.as_bytes(), Search::First, 0), "{pattern}");
        }
    }
}
