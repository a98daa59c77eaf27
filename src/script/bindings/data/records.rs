//! Where one record of a file ends and the next begins: lines, CSV as people have it, elements of a JSON array.
//!
//! Works on bytes and allocates nothing: what a record holds is made when somebody asks for it.

use std::ops::Range;

/// How a file of CSV is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) delimiter: u8,
    /// `None` where quotes are characters as all others.
    pub(crate) quote: Option<u8>,
}

/// One field of a record of CSV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// In the text, without its quotes.
    pub(super) range: Range<usize>,
    /// It holds doubled quotes that stand for one.
    pub(super) has_pairs: bool,
}

/// What is wrong, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) what: &'static str,
}

/// The next line at or behind `at` that is not empty, without its end, and where the one after it begins.
pub(super) fn next_line(bytes: &[u8], mut at: usize) -> Option<(Range<usize>, usize)> {
    while at < bytes.len() {
        let end = memchr::memchr2(b'\n', b'\r', &bytes[at..]).map_or(bytes.len(), |length| at + length);
        let next = behind_line_end(bytes, end);
        if end > at {
            return Some((at..end, next));
        }
        at = next;
    }
    None
}

/// `\r\n`, `\n` and `\r` end a line.
fn behind_line_end(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at..) {
        Some([b'\r', b'\n', ..]) => at + 2,
        Some([_, ..]) => at + 1,
        _ => at,
    }
}

/// The fields of the record at or behind `at`, empty lines passed over; where it begins, and where the next one does. `None` at the end.
pub(super) fn next_csv(
    bytes: &[u8],
    mut at: usize,
    dialect: Dialect,
    mut on_field: impl FnMut(Field),
) -> Result<Option<(usize, usize)>, Fault> {
    while matches!(bytes.get(at), Some(b'\n' | b'\r')) {
        at += 1;
    }
    if at >= bytes.len() {
        return Ok(None);
    }
    let begin = at;
    loop {
        let is_quoted = dialect.quote.is_some() && bytes.get(at).copied() == dialect.quote;
        let end = if is_quoted { quoted(bytes, at, dialect, &mut on_field)? } else { plain(bytes, at, dialect, &mut on_field) };
        match bytes.get(end) {
            Some(&byte) if byte == dialect.delimiter => at = end + 1,
            Some(b'\n' | b'\r') | None => return Ok(Some((begin, behind_line_end(bytes, end)))),
            Some(_) => return Err(Fault { at: end, what: "there is text behind a closing quote; a quote within quotes is written twice" }),
        }
    }
}

fn plain(bytes: &[u8], at: usize, dialect: Dialect, on_field: &mut impl FnMut(Field)) -> usize {
    let end = memchr::memchr3(dialect.delimiter, b'\n', b'\r', &bytes[at..]).map_or(bytes.len(), |length| at + length);
    on_field(Field { range: at..end, has_pairs: false });
    end
}

fn quoted(bytes: &[u8], at: usize, dialect: Dialect, on_field: &mut impl FnMut(Field)) -> Result<usize, Fault> {
    let Some(quote) = dialect.quote else { return Ok(at) };
    let (begin, mut from, mut has_pairs) = (at + 1, at + 1, false);
    loop {
        let Some(length) = memchr::memchr(quote, &bytes[from..]) else {
            return Err(Fault { at, what: "a quote is opened and never closed" });
        };
        let close = from + length;
        if bytes.get(close + 1) == Some(&quote) {
            has_pairs = true;
            from = close + 2;
        } else {
            on_field(Field { range: begin..close, has_pairs });
            return Ok(close + 1);
        }
    }
}

/// The delimiter that a header line most likely has: a comma unless there is none and another one is.
pub(super) fn likely_delimiter(bytes: &[u8], quote: Option<u8>) -> u8 {
    let mut counts = [0_usize; 4];
    let mut is_inside = false;
    for &byte in bytes.iter().skip_while(|byte| matches!(byte, b'\n' | b'\r')) {
        match byte {
            _ if Some(byte) == quote => is_inside = !is_inside,
            _ if is_inside => {}
            b'\n' | b'\r' => break,
            _ => {
                if let Some(place) = DELIMITERS.iter().position(|delimiter| *delimiter == byte) {
                    counts[place] += 1;
                }
            }
        }
    }
    if counts[0] > 0 {
        return b',';
    }
    let most = (0..DELIMITERS.len()).max_by_key(|place| (counts[*place], DELIMITERS.len() - place));
    most.map_or(b',', |place| DELIMITERS[place])
}

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The next element of a JSON array at or behind `at`, which is behind the bracket or a comma; and where to go on. The text is known to be valid.
pub(super) fn next_element(bytes: &[u8], mut at: usize) -> Option<(Range<usize>, usize)> {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r' | b',')) {
        at += 1;
    }
    if matches!(bytes.get(at), None | Some(b']')) {
        return None;
    }
    let (begin, mut depth) = (at, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = behind_string(bytes, at),
            b'[' | b'{' => {
                depth += 1;
                at += 1;
            }
            b']' | b'}' if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            b',' | b']' if depth == 0 => break,
            _ => at += 1,
        }
    }
    let end = begin + bytes[begin..at].trim_ascii_end().len();
    Some((begin..end, at))
}

fn behind_string(bytes: &[u8], at: usize) -> usize {
    let mut from = at + 1;
    while let Some(length) = memchr::memchr2(b'"', b'\\', &bytes[from.min(bytes.len())..]) {
        if bytes[from + length] == b'"' {
            return from + length + 1;
        }
        from += length + 2;
    }
    bytes.len()
}
