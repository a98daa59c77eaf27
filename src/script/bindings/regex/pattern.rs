//! A compiled pattern, and searches with it whose cost is bounded.
//!
//! The fast engines answer wherever the text is short for the pattern. Elsewhere the pattern's states are looked up as they come, with a bound on what
//! making them may cost; where that gives up, they are followed one by one ([`Threads`]), which can be broken off. Nothing here holds a processor for long
//! without asking whether it is enough.

use std::sync::{Arc, OnceLock};

use regex_automata::{hybrid, meta, Anchored, Input, Match, MatchError, MatchKind, PatternID};
use regex_automata::nfa::thompson::{self, NFA};
use regex_automata::util::captures::Captures;
use regex_automata::util::iter::Searcher;
use regex_automata::util::prefilter::Prefilter;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::util::syntax;

use super::TooLong;
use super::threads::Threads;

/// A regular expression; clones share it.
#[derive(Debug, Clone)]
pub struct Pattern(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    quick: meta::Regex,
    nfa: NFA,
    prefilter: Option<Prefilter>,
    source: String,
    /// States as they come; made for the first long text, `None` where it cannot be.
    lazy: OnceLock<Option<hybrid::regex::Regex>>,
}

impl Pattern {
    /// Compiles within the limits that scripts have.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn compile(pattern: &str) -> Result<Self, String> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(format!("the pattern is longer than {PATTERN_BYTES_MAX} bytes"));
        }
        // The crate draws an arrow below the pattern; the last line says what it means.
        let parsed = syntax::parse_with(pattern, &syntax_of_bytes()).map_err(|error| {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or(text.as_str());
            format!("`{pattern}`: {}", reason.strip_prefix("error: ").unwrap_or(reason))
        })?;
        let nfa = NFA::compiler().configure(states_of_bytes()).build_from_hir(&parsed).map_err(|_| TOO_LARGE.to_owned())?;
        if nfa.states().len() * nfa.group_info().slot_len() > SLOTS_MAX {
            return Err("the pattern has too many groups for its size; `(?:...)` is none".to_owned());
        }
        let limits = meta::Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(PROGRAM_BYTES_MAX))
            .hybrid_cache_capacity(CACHE_BYTES)
            .match_kind(MatchKind::LeftmostFirst);
        let quick = meta::Builder::new().configure(limits).build_from_hir(&parsed).map_err(|_| TOO_LARGE.to_owned())?;
        let prefilter = Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, &parsed);
        Ok(Self(Arc::new(Compiled { quick, nfa, prefilter, source: pattern.to_owned(), lazy: OnceLock::new() })))
    }

    /// Bytes that it takes, those that searches keep for it included where they can be known.
    pub fn weight(&self) -> usize {
        let Compiled { quick, nfa, source, .. } = &*self.0;
        let slots = 2 * nfa.states().len() * nfa.group_info().slot_len() * size_of::<usize>();
        source.len() + quick.memory_usage() + nfa.memory_usage() + slots
    }

    /// How many groups there are, the whole match not counted.
    pub fn groups(&self) -> usize {
        self.0.quick.captures_len() - 1
    }

    /// Whether a search in `length` bytes costs little, whatever they are.
    pub fn is_cheap(&self, length: usize) -> bool {
        length.saturating_mul(self.0.nfa.states().len()) <= CHEAP
    }

    /// Whether it matches somewhere in `text`.
    ///
    /// # Errors
    /// `is_over` said so.
    pub fn is_match(&self, text: &[u8], is_over: &dyn Fn() -> bool) -> Result<bool, TooLong> {
        Ok(self.search(text, is_over).find(&Input::new(text).earliest(true))?.is_some())
    }

    /// A search in `text`, which asks `is_over` now and then.
    pub fn search<'a>(&'a self, text: &'a [u8], is_over: &'a dyn Fn() -> bool) -> Search<'a> {
        let captures = self.0.quick.create_captures();
        Search { pattern: &self.0, is_over, matches: Searcher::new(Input::new(text)), captures, lazy: None, whole: None, grouped: None }
    }
}

/// A search, from match to match.
pub struct Search<'a> {
    pattern: &'a Compiled,
    is_over: &'a dyn Fn() -> bool,
    matches: Searcher<'a>,
    captures: Captures,
    lazy: Option<hybrid::regex::Cache>,
    whole: Option<Threads<'a>>,
    grouped: Option<Threads<'a>>,
}

impl<'a> Search<'a> {
    /// The first match that begins at `from` or behind it, in the whole text.
    ///
    /// # Errors
    /// It was broken off.
    pub fn find_at(&mut self, from: usize) -> Result<Option<Match>, TooLong> {
        let text = self.matches.input().haystack();
        if from > text.len() { Ok(None) } else { self.find(&Input::new(text).range(from..)) }
    }

    /// The next match with its groups.
    ///
    /// # Errors
    /// It was broken off.
    pub fn next(&mut self) -> Result<Option<&Captures>, TooLong> {
        let mut matches = self.matches.clone();
        let found = matches.try_advance(|input| self.capture(input).map_err(|TooLong| MatchError::gave_up(input.start())));
        self.matches = matches;
        Ok(found.map_err(|_| TooLong)?.map(|_| &self.captures))
    }

    fn capture(&mut self, input: &Input<'_>) -> Result<Option<Match>, TooLong> {
        let compiled: &'a Compiled = self.pattern;
        if compiled.is_cheap(input) {
            compiled.quick.search_captures(input, &mut self.captures);
            return Ok(self.captures.get_match());
        }
        self.captures.clear();
        let Some(whole) = self.find(input)? else { return Ok(None) };
        if compiled.nfa.group_info().slot_len() == 2 {
            self.captures.slots_mut().copy_from_slice(&[NonMaxUsize::new(whole.start()), NonMaxUsize::new(whole.end())]);
            self.captures.set_pattern(Some(PatternID::ZERO));
            return Ok(Some(whole));
        }
        // Where the match ends is known: its groups are looked for in it alone.
        let input = input.clone().span(whole.span()).anchored(Anchored::Yes);
        if compiled.is_cheap(&input) {
            compiled.quick.search_captures(&input, &mut self.captures);
        } else {
            let threads = self.grouped.get_or_insert_with(|| Threads::new(&compiled.nfa, None, compiled.nfa.group_info().slot_len()));
            let is_there = threads.search(&input, self.captures.slots_mut(), self.is_over)?;
            self.captures.set_pattern(is_there.then_some(PatternID::ZERO));
        }
        Ok(self.captures.get_match())
    }

    fn find(&mut self, input: &Input<'_>) -> Result<Option<Match>, TooLong> {
        let compiled: &'a Compiled = self.pattern;
        if compiled.is_cheap(input) {
            return Ok(compiled.quick.search(input));
        }
        if let Some(lazy) = compiled.lazy() {
            // It gives up where states come too often, and at letters beyond ASCII where the pattern asks for the borders of words.
            if let Ok(found) = lazy.try_search(self.lazy.get_or_insert_with(|| lazy.create_cache()), input) {
                return Ok(found);
            }
        }
        let mut ends: [Option<NonMaxUsize>; 2] = [None; 2];
        let threads = self.whole.get_or_insert_with(|| Threads::new(&compiled.nfa, compiled.prefilter.as_ref(), ends.len()));
        if !threads.search(input, &mut ends, self.is_over)? {
            return Ok(None);
        }
        let [Some(start), Some(end)] = ends else { return Ok(None) };
        Ok(Some(Match::must(0, start.get()..end.get())))
    }
}

impl Compiled {
    fn is_cheap(&self, input: &Input<'_>) -> bool {
        input.get_span().len().saturating_mul(self.nfa.states().len()) <= CHEAP
    }

    fn lazy(&self) -> Option<&hybrid::regex::Regex> {
        let make = || {
            // A state costs as much time as the pattern has states of its own: for a bounded time a byte, it must serve that many bytes.
            let serves = (self.nfa.states().len() / 2).max(10);
            let limits = hybrid::dfa::Config::new()
                .prefilter(self.prefilter.clone())
                .unicode_word_boundary(true)
                .cache_capacity(CACHE_BYTES)
                .skip_cache_capacity_check(true)
                .minimum_cache_clear_count(Some(3))
                .minimum_bytes_per_state(Some(serves));
            let mut builder = hybrid::regex::Regex::builder();
            builder.syntax(syntax_of_bytes()).thompson(states_of_bytes()).dfa(limits);
            builder.build(&self.source).ok()
        };
        self.lazy.get_or_init(make).as_ref()
    }
}

fn syntax_of_bytes() -> syntax::Config {
    syntax::Config::new().utf8(false).nest_limit(100)
}

fn states_of_bytes() -> thompson::Config {
    thompson::Config::new().utf8(false).nfa_size_limit(Some(PROGRAM_BYTES_MAX))
}

const TOO_LARGE: &str = "the pattern is too large once its repetitions are written out";

/// Bytes of one pattern.
const PATTERN_BYTES_MAX: usize = 16 << 10;

/// Bytes of one compiled pattern.
const PROGRAM_BYTES_MAX: usize = 1 << 20;

/// Bytes of the states that it makes while it runs.
const CACHE_BYTES: usize = 512 << 10;

/// States times slots: what the groups of one search may take, 8 bytes each.
const SLOTS_MAX: usize = 1 << 20;

/// States times bytes of text: some 30 ms with the slowest engine.
const CHEAP: usize = 1 << 22;

#[cfg(test)]
mod tests {
    use crate::script::bindings::regex::TooLong;
use proptest::prelude::*;

    use super::*;

    /// All matches with all groups.
    type Found = Vec<Vec<Option<(usize, usize)>>>;

    fn groups_of(captures: &Captures) -> Vec<Option<(usize, usize)>> {
        captures.iter().map(|group| group.map(|span| (span.start, span.end))).collect()
    }

    /// By the engines that are trusted.
    fn expected(pattern: &Pattern, text: &str) -> Found {
        pattern.0.quick.captures_iter(text).map(|captures| groups_of(&captures)).collect()
    }

    /// By the pattern's own states alone.
    fn by_threads(pattern: &Pattern, text: &str) -> Found {
        let Compiled { nfa, prefilter, quick, .. } = &*pattern.0;
        let mut threads = Threads::new(nfa, prefilter.as_ref(), nfa.group_info().slot_len());
        let mut captures = quick.create_captures();
        let (mut searcher, mut found) = (Searcher::new(Input::new(text)), Vec::new());
        let mut next = |input: &Input<'_>| {
            let is_there = threads.search(input, captures.slots_mut(), &|| false).unwrap();
            captures.set_pattern(is_there.then_some(PatternID::ZERO));
            if is_there {
                found.push(groups_of(&captures));
            }
            Ok(captures.get_match())
        };
        while searcher.try_advance(&mut next).unwrap().is_some() {}
        // A match that is empty and stands at the end of the last one is found, and not taken.
        let mut last = None;
        found.retain(|groups| {
            let whole = groups[0].unwrap();
            let is_taken = whole.0 != whole.1 || last != Some(whole.0);
            last = Some(whole.1);
            is_taken
        });
        found
    }

    const PIECES: [&str; 20] = [
        "a", "b", "(a|ab)", "(b?)", "(?:a*?)", "[ab]+", "(a)(b)?", "\\b", "^", "$", "(?:b{1,3})", "ö", "\\w", ".", "(?-u:[^a])", "(?i:A)", "(|a)",
        "(?P<n>b)", "\\B", "(?s:.)",
    ];

    proptest! {
        #[test]
        fn the_threads_find_what_the_quick_engines_find(
            pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 1..6),
            text in "[abAö \n]{0,12}",
        ) {
            let source = pieces.concat();
            // A name can be given once.
            prop_assume!(source.matches("?P<n>").count() < 2);
            let pattern = Pattern::compile(&source).unwrap();
            prop_assert_eq!(by_threads(&pattern, &text), expected(&pattern, &text), "`{}` in {:?}", source, text);
        }
    }

    /// Texts that are long for the pattern: with states as they come, and with threads where that gives up.
    #[test]
    fn a_long_text_is_searched_as_a_short_one_is() {
        let page = format!("{}<b>größe 42</b> id=(7;8) {}", "x y\n".repeat(60_000), "ü z\n".repeat(60_000));
        for source in [
            r"<b>(\w+) (\d+)</b>",
            r"\b(\d+)\b",
            r"id=\((\d);(\d)\)",
            r"(?s)x(.*)ü",
            r"(?-u)[xyz]{3}",
            r"\p{Greek}+",
            r"(?m)^ü (z)$",
            r"[a-y ]{2,60}\d",
            "(?:x{0,20})",
        ] {
            let pattern = Pattern::compile(source).unwrap();
            assert!(!pattern.is_cheap(page.len()), "{source}");
            let mut search = pattern.search(page.as_bytes(), &|| false);
            let mut expected = pattern.0.quick.captures_iter(&page);
            for _ in 0..3 {
                let found = search.next().unwrap().map(groups_of);
                assert_eq!(found, expected.next().map(|captures| groups_of(&captures)), "{source}");
            }
            assert_eq!(pattern.search(page.as_bytes(), &|| false).find_at(240_000), Ok(pattern.0.quick.find(Input::new(&page).range(240_000..))));
            assert_eq!(pattern.is_match(page.as_bytes(), &|| false), Ok(pattern.0.quick.is_match(&page)));
        }
    }

    #[test]
    fn a_search_that_takes_long_is_broken_off() {
        let text = "ab".repeat(100_000);
        // Each position begins a thread, and hardly two positions have the same ones.
        let pattern = Pattern::compile("(?-u)([ab]*a[ab]{3000}c)").unwrap();
        let asked = std::cell::Cell::new(0);
        let is_over = || asked.replace(asked.get() + 1) >= 5;
        assert_eq!(pattern.search(text.as_bytes(), &is_over).next().map(|_| ()), Err(TooLong));
        assert_eq!(asked.get(), 6, "the answer is heard at once");
        asked.set(0);
        assert_eq!(pattern.is_match(text.as_bytes(), &is_over), Err(TooLong));
    }

    #[test]
    fn a_pattern_takes_little_memory_or_is_refused() {
        for refused in ["(a)".repeat(5_000), "(?:a?){1000}{100}".to_owned(), r"\w".repeat(8_000)] {
            assert!(Pattern::compile(&refused).unwrap_err().starts_with("the pattern "), "{refused}");
        }
        let pattern = Pattern::compile(&"(a)".repeat(300)).unwrap();
        assert!(pattern.weight() < 40 << 20 && pattern.groups() == 300, "{}", pattern.weight());
    }
}
