//! A strict JSON reader (RFC 8259) that hands what it reads to a sink, piece by piece. No document is built here.
//!
//! It never panics, whatever the bytes: its sinks run inside of Lua, where a panic could not be caught.

use std::borrow::Cow;

use crate::script::watchdog;

/// What takes the pieces of a document, in the order in which they stand.
pub trait Sink {
    /// `null`.
    fn null(&mut self);
    /// `true` or `false`.
    fn boolean(&mut self, value: bool);
    /// A number as it was written. `false` refuses it as out of range.
    fn number(&mut self, literal: &str) -> bool;
    /// A string, its escapes resolved.
    fn string(&mut self, text: &[u8]);
    /// `[`. `false` refuses it for want of room.
    fn begin_array(&mut self) -> bool;
    /// The element number `position` (1-based) is complete.
    fn end_element(&mut self, position: usize);
    /// `]` after `count` elements.
    fn end_array(&mut self, count: usize);
    /// `{`. `false` refuses it for want of room.
    fn begin_object(&mut self) -> bool;
    /// A member's key; its value follows.
    fn key(&mut self, key: &[u8]) {
        self.string(key);
    }
    /// The member is complete.
    fn end_member(&mut self);
    /// `}`.
    fn end_object(&mut self) {}
}

/// A sink that drops everything: for passing over values while they are judged.
pub struct Nowhere;

impl Sink for Nowhere {
    fn null(&mut self) {}
    fn boolean(&mut self, _: bool) {}
    fn number(&mut self, _: &str) -> bool {
        true
    }
    fn string(&mut self, _: &[u8]) {}
    fn begin_array(&mut self) -> bool {
        true
    }
    fn end_element(&mut self, _: usize) {}
    fn end_array(&mut self, _: usize) {}
    fn begin_object(&mut self) -> bool {
        true
    }
    fn end_member(&mut self) {}
}

/// Reads a document of JSON into a sink.
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    unescaped: Vec<u8>,
    /// Values since the watchdog was asked.
    unasked: u32,
}

impl<'a> Reader<'a> {
    /// Begins at the first byte; a byte order mark is passed over.
    ///
    /// # Errors
    /// The bytes are not UTF-8.
    pub fn new(bytes: &'a [u8]) -> Result<Self, String> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self { text: text.strip_prefix('\u{feff}').unwrap_or(text), at: 0, unescaped: Vec::new(), unasked: 0 }),
            Err(error) => Err(format!("not valid JSON: byte {} is not UTF-8", error.valid_up_to() + 1)),
        }
    }

    /// Reads the whole document into `sink`.
    ///
    /// # Errors
    /// What is wrong, with line and column.
    pub fn read(mut self, sink: &mut impl Sink) -> Result<(), String> {
        let read = self.value(sink, 0).and_then(|()| self.end());
        read.map_err(|fault| self.describe(&fault))
    }

    /// Judges the whole document and answers with the text of the value at `path`, if there is one. Of members of one name the last counts.
    ///
    /// # Errors
    /// What is wrong, with line and column.
    pub fn find(mut self, path: &[Cow<'_, str>]) -> Result<Option<&'a str>, String> {
        let found = self.seek(path, 0).and_then(|found| self.end().map(|()| found));
        match found {
            Ok(span) => Ok(span.and_then(|(from, to)| self.text.get(from..to))),
            Err(fault) => Err(self.describe(&fault)),
        }
    }

    fn seek(&mut self, path: &[Cow<'_, str>], depth: usize) -> Result<Option<(usize, usize)>, Fault> {
        let first = self.skip_space();
        let Some((step, rest)) = path.split_first() else {
            let from = self.at;
            self.value(&mut Nowhere, depth)?;
            return Ok(Some((from, self.at)));
        };
        let mut found = None;
        match first {
            Some(b'{') => {
                self.members(depth, |reader, key, depth| {
                    let is_it = reader.bytes_of(key) == step.as_bytes();
                    reader.colon()?;
                    if is_it { reader.seek(rest, depth).map(|value| found = value) } else { reader.value(&mut Nowhere, depth) }
                })?;
            }
            Some(b'[') => {
                let wanted = step.parse::<usize>().ok();
                self.elements(depth, |reader, position, depth| {
                    if wanted.is_some_and(|wanted| wanted.checked_add(1) == Some(position)) {
                        reader.seek(rest, depth).map(|value| found = value)
                    } else {
                        reader.value(&mut Nowhere, depth)
                    }
                })?;
            }
            _ => self.value(&mut Nowhere, depth)?,
        }
        Ok(found)
    }

    fn value<S: Sink>(&mut self, sink: &mut S, depth: usize) -> Result<(), Fault> {
        self.unasked += 1;
        if self.unasked >= ASK_EVERY {
            self.unasked = 0;
            if watchdog::is_struck() {
                return Err(self.fault("the script ran for too long"));
            }
        }
        match self.skip_space() {
            Some(b'"') => {
                let text = self.string()?;
                sink.string(self.bytes_of(text));
                Ok(())
            }
            Some(b'{') => {
                if !sink.begin_object() {
                    return Err(self.fault("the document does not fit into memory"));
                }
                self.members(depth, |reader, key, depth| {
                    sink.key(reader.bytes_of(key));
                    reader.colon()?;
                    reader.value(sink, depth)?;
                    sink.end_member();
                    Ok(())
                })?;
                sink.end_object();
                Ok(())
            }
            Some(b'[') => {
                if !sink.begin_array() {
                    return Err(self.fault("the document does not fit into memory"));
                }
                let count = self.elements(depth, |reader, position, depth| {
                    reader.value(sink, depth)?;
                    sink.end_element(position);
                    Ok(())
                })?;
                sink.end_array(count);
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => {
                let from = self.at;
                let literal = self.number()?;
                if sink.number(literal) { Ok(()) } else { Err(Fault { at: from, what: "this number is out of range" }) }
            }
            Some(b't') => self.literal(b"true").map(|()| sink.boolean(true)),
            Some(b'f') => self.literal(b"false").map(|()| sink.boolean(false)),
            Some(b'n') => self.literal(b"null").map(|()| sink.null()),
            Some(_) => Err(self.fault("a value was expected")),
            None => Err(self.fault("the text ends where a value was expected")),
        }
    }

    fn members(&mut self, depth: usize, mut each: impl FnMut(&mut Self, Text, usize) -> Result<(), Fault>) -> Result<(), Fault> {
        let depth = self.deeper(depth)?;
        if self.skip_space() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            match self.skip_space() {
                Some(b'"') => {}
                Some(_) => return Err(self.fault("a key in double quotes was expected")),
                None => return Err(self.fault("the text ends within an object")),
            }
            let key = self.string()?;
            each(self, key, depth)?;
            match self.skip_space() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) => return Err(self.fault("`,` or `}` was expected")),
                None => return Err(self.fault("the text ends within an object")),
            }
        }
    }

    fn elements(&mut self, depth: usize, mut each: impl FnMut(&mut Self, usize, usize) -> Result<(), Fault>) -> Result<usize, Fault> {
        let depth = self.deeper(depth)?;
        if self.skip_space() == Some(b']') {
            self.at += 1;
            return Ok(0);
        }
        let mut count = 0;
        loop {
            count += 1;
            each(self, count, depth)?;
            match self.skip_space() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(count);
                }
                Some(_) => return Err(self.fault("`,` or `]` was expected")),
                None => return Err(self.fault("the text ends within an array")),
            }
        }
    }

    /// Passes over the opening bracket.
    fn deeper(&mut self, depth: usize) -> Result<usize, Fault> {
        if depth >= DEPTH_MAX {
            return Err(self.fault("nested deeper than 128 levels"));
        }
        self.at += 1;
        Ok(depth + 1)
    }

    fn colon(&mut self) -> Result<(), Fault> {
        if self.skip_space() != Some(b':') {
            return Err(self.fault("`:` was expected"));
        }
        self.at += 1;
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        if self.skip_space().is_some() { Err(self.fault("nothing was expected after the value")) } else { Ok(()) }
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<(), Fault> {
        if !self.rest().starts_with(word) {
            return Err(self.fault("a value was expected"));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<&'a str, Fault> {
        let from = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.text.get(from..self.at).ok_or_else(|| self.fault("a number was expected"))
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == from { Err(self.fault("a digit was expected")) } else { Ok(()) }
    }

    fn string(&mut self) -> Result<Text, Fault> {
        let from = self.at + 1;
        self.at = from;
        self.skip_ordinary();
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(Text::Plain { from, to: self.at - 1 });
        }
        self.unescaped.clear();
        let mut copied = from;
        loop {
            let to = self.at;
            self.unescaped.extend_from_slice(self.text.as_bytes().get(copied..to).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Text::Unescaped);
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.fault("a control character must be escaped")),
                None => return Err(self.fault("the text ends within a string")),
            }
            copied = self.at;
            self.skip_ordinary();
        }
    }

    /// Goes on to the next quote, backslash or control character.
    fn skip_ordinary(&mut self) {
        let ordinary = self.rest().iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20);
        self.at = ordinary.map_or(self.text.len(), |count| self.at + count);
    }

    fn escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        let byte = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.fault("this escape is not known")),
        };
        self.at += 1;
        self.unescaped.push(byte);
        Ok(())
    }

    fn unicode_escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        let first = self.four_hex()?;
        let code = match first {
            0xd800..=0xdbff if self.rest().starts_with(b"\\u") => {
                let next = self.at;
                self.at += 2;
                match self.four_hex()? {
                    second @ 0xdc00..=0xdfff => 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                    _ => {
                        self.at = next;
                        first
                    }
                }
            }
            code => code,
        };
        // Half of a surrogate pair is no character, yet servers that cut texts send it: it is shown as browsers show it, and costs no more than itself.
        let letter = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.unescaped.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn four_hex(&mut self) -> Result<u32, Fault> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.fault("four hexadecimal digits were expected"))?;
            self.at += 1;
        }
        Ok(code)
    }

    #[inline]
    fn skip_space(&mut self) -> Option<u8> {
        loop {
            match self.peek() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other,
            }
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    #[inline]
    fn bytes_of(&self, text: Text) -> &[u8] {
        match text {
            Text::Plain { from, to } => self.text.as_bytes().get(from..to).unwrap_or_default(),
            Text::Unescaped => &self.unescaped,
        }
    }

    fn fault(&self, what: &'static str) -> Fault {
        Fault { at: self.at, what }
    }

    fn describe(&self, fault: &Fault) -> String {
        let before = self.text.as_bytes().get(..fault.at).unwrap_or_default();
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
        format!("not valid JSON: line {line}, column {column}: {}", fault.what)
    }
}

/// Values between two looks at the watchdog.
const ASK_EVERY: u32 = 4_096;

/// Where the text of a string is.
#[derive(Clone, Copy)]
enum Text {
    /// In the document itself.
    Plain { from: usize, to: usize },
    /// In `Reader::unescaped`, until the next string is read.
    Unescaped,
}

/// What is wrong, and where. Small, because it travels through every level.
struct Fault {
    at: usize,
    what: &'static str,
}

/// Arrays and objects within each other, both ways.
pub(super) const DEPTH_MAX: usize = 128;

/// Judges a JSON text.
///
/// # Errors
/// What is wrong with it, with line and column.
pub fn judge(bytes: &[u8]) -> Result<(), String> {
    Reader::new(bytes)?.read(&mut Nowhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(text: &str) -> Result<(), String> {
        Reader::new(text.as_bytes()).unwrap().read(&mut Nowhere)
    }

    #[test]
    fn what_rfc_8259_allows_is_read() {
        for text in ["null", " true ", "-0", "0.5e-3", "1E+2", "\"\\u00e4\\ud83d\\ude00\"", "[]", "[ 1 , [ ] ]", "{\"a\":{}}", "\u{feff}{}"]
        {
            assert_eq!(judge(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_rfc_8259_forbids_is_named_with_its_place() {
        for (text, why) in [
            ("", "line 1, column 1: the text ends where a value was expected"),
            ("[1,]", "line 1, column 4: a value was expected"),
            ("{\n\"a\" 1}", "line 2, column 5: `:` was expected"),
            ("{a:1}", "column 2: a key in double quotes was expected"),
            ("[1 2]", "column 4: `,` or `]` was expected"),
            ("{\"a\":1", "the text ends within an object"),
            ("01", "nothing was expected after the value"),
            ("1.", "a digit was expected"),
            ("-", "a digit was expected"),
            ("nul", "a value was expected"),
            ("\"\\x\"", "this escape is not known"),
            ("\"\\u12g4\"", "four hexadecimal digits were expected"),
            ("\"a\nb\"", "a control character must be escaped"),
            ("\"abc", "the text ends within a string"),
            ("NaN", "a value was expected"),
        ] {
            let error = judge(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(Reader::new(b"\"\xff\"").err().unwrap().contains("byte 2 is not UTF-8"));
    }

    #[test]
    fn nesting_is_bounded() {
        assert_eq!(judge(&format!("{}{}", "[".repeat(128), "]".repeat(128))), Ok(()));
        assert!(judge(&format!("{}{}", "[".repeat(129), "]".repeat(129))).unwrap_err().contains("deeper than 128"));
        assert!(judge(&"{\"a\":".repeat(100_000)).unwrap_err().contains("deeper than 128"));
    }

    #[test]
    fn a_path_is_found_and_the_rest_is_judged() {
        let find = |text: &'static str, path: &[&str]| {
            let path: Vec<Cow<'_, str>> = path.iter().map(|&step| Cow::Borrowed(step)).collect();
            Reader::new(text.as_bytes()).unwrap().find(&path)
        };
        assert_eq!(find("{\"items\":[{\"id\": 7 }]}", &["items", "0", "id"]), Ok(Some("7")));
        assert_eq!(find("{\"a\":1,\"a\":2}", &["a"]), Ok(Some("2")), "of two members the last counts, as in a whole document");
        assert_eq!(find("{\"a\":{\"b\":1},\"a\":2}", &["a", "b"]), Ok(None));
        assert_eq!(find("[1,2]", &["2"]), Ok(None));
        assert_eq!(find("[1,2]", &["x"]), Ok(None));
        assert_eq!(find("{\"0\":\"x\"}", &["0"]), Ok(Some("\"x\"")));
        assert_eq!(find(" 5 ", &[]), Ok(Some("5")));
        assert!(find("{\"a\":1,", &["a"]).is_err(), "a cut document is not a document");
    }
}
