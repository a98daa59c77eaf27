//! Whether a Lua pattern comes to an end in time on a text: LuaJIT's own matcher cannot be interrupted, and it backtracks.
//!
//! The matcher here follows Lua's (`lstrlib.c` of 5.1), counts its steps, and keeps no captures beyond what a back reference needs. It only answers
//! whether the search is affordable; the search itself is LuaJIT's. The Lua side asks only where text and pattern make a long search possible.

/// Which function searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    /// `find` and `match`: until the first match; `^` is an anchor.
    First,
    /// `gmatch`: all matches; `^` is no anchor.
    Each,
    /// `gsub`: all matches; `^` is an anchor.
    Replace,
}

/// Whether the search takes at most [`STEPS`]. A malformed pattern is affordable: LuaJIT finds its fault at once.
pub(super) fn is_affordable(text: &[u8], pattern: &[u8], search: Search, start: usize) -> bool {
    let is_anchored = search != Search::Each && pattern.first() == Some(&b'^');
    let mut matcher = Matcher { text, pattern, left: STEPS, depth: 0, captures: Vec::new() };
    let mut at = start.min(text.len());
    loop {
        matcher.captures.clear();
        match matcher.run(at, usize::from(is_anchored)) {
            Err(Stop::TooLong) => return false,
            Err(Stop::Malformed) => return true,
            Ok(Some(_)) if search == Search::First => return true,
            Ok(Some(end)) if end > at => at = end,
            Ok(_) => at += 1,
        }
        if is_anchored || at > text.len() {
            return true;
        }
    }
}

/// A search under way.
struct Matcher<'a> {
    text: &'a [u8],
    pattern: &'a [u8],
    /// Steps that it may still take.
    left: u64,
    /// Of the recursion.
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

    fn single(&self, s: usize, p: usize, end: usize) -> bool {
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

/// Steps of one search: about a tenth of a second in LuaJIT. Fewer in a debug build, whose steps take ten times as long here.
const STEPS: u64 = if cfg!(debug_assertions) { 4_000_000 } else { 20_000_000 };

/// LuaJIT's own limit is of this order; each level takes some hundred bytes of the stack.
const DEEPEST: u32 = 200;

#[cfg(test)]
mod tests {
    use mlua::Lua;

    use super::*;

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
    fn malformed_patterns_are_left_to_luajit() {
        for pattern in ["[a", "%", "(a", "a)", "%b", "%f", "%1", "[^", "[%"] {
            assert!(is_affordable(b"aaaa", pattern.as_bytes(), Search::First, 0), "{pattern}");
        }
    }
}
