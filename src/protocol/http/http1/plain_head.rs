//! The head of a usual answer, read in one pass.
//!
//! Takes only what is whole and beyond doubt: a status line with a reason, lines `name: value` of visible ASCII, each ended by CR LF. All else (a part of
//! a head, tabs, obsolete forms, bytes above 127, every error) is left to the general parser, so this one has no error of its own to be wrong about.

use std::cell::RefCell;

use super::found::Found;
use crate::protocol::http::exchange::Version;

/// A head that was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlainHead {
    pub status: u16,
    pub version: Version,
    pub found: Found,
    /// Where the first field begins.
    pub fields_at: usize,
    /// Of the head, with the empty line.
    pub length: usize,
}

impl PlainHead {
    /// The head at the beginning of `input`; `None` where the general parser has to look.
    ///
    /// A server says the same again and again, but for the second in its date; so the last head is remembered, and one of the same bytes is the same head.
    pub(super) fn read(input: &[u8]) -> Option<Self> {
        LAST.with_borrow_mut(|(bytes, head)| {
            if let Some(head) = *head
                && input.starts_with(bytes)
            {
                return Some(head);
            }
            let read = Self::parse(input)?;
            if read.length <= REMEMBERED_BYTES {
                bytes.clear();
                bytes.extend_from_slice(&input[..read.length]);
                *head = Some(read);
            }
            Some(read)
        })
    }

    fn parse(input: &[u8]) -> Option<Self> {
        let (start, rest) = input.split_first_chunk::<13>()?;
        let version = match &start[..9] {
            b"HTTP/1.1 " => Version::Http11,
            b"HTTP/1.0 " => Version::Http10,
            _ => return None,
        };
        let [hundreds, tens, ones, b' '] = start[9..] else { return None };
        if ![hundreds, tens, ones].iter().all(u8::is_ascii_digit) {
            return None;
        }
        let digit = |byte: u8| u16::from(byte - b'0');
        let status = digit(hundreds) * 100 + digit(tens) * 10 + digit(ones);
        let mut at = start.len() + line_end(rest)?;
        let fields_at = at;
        let mut found = Found::default();
        loop {
            let line = input.get(at..)?;
            if line.starts_with(b"\r\n") {
                return Some(Self { status, version, found, fields_at, length: at + 2 });
            }
            let name = line.iter().position(|&byte| !IS_TOKEN[usize::from(byte)])?;
            if name == 0 || line[name] != b':' {
                return None;
            }
            let value = line.get(name + 1..)?;
            let end = line_end(value)?;
            found.note(&line[..name], &value[..end - 2]).ok()?;
            at += name + 1 + end;
        }
    }
}

/// Where the line behind the next CR LF begins, if nothing but visible ASCII and spaces stands before it.
fn line_end(text: &[u8]) -> Option<usize> {
    let (words, rest) = text.as_chunks::<8>();
    let mut at = words.len() * 8;
    for (place, word) in words.iter().enumerate() {
        let odd = odd_bytes(u64::from_le_bytes(*word));
        if odd != 0 {
            at = place * 8 + (odd.trailing_zeros() / 8) as usize;
            return text[at..].starts_with(b"\r\n").then_some(at + 2);
        }
    }
    at += rest.iter().position(|byte| !matches!(byte, b' '..=b'~'))?;
    text[at..].starts_with(b"\r\n").then_some(at + 2)
}

/// The highest bit of each byte that is no visible ASCII and no space; exact up to the first such byte, the lowest one.
fn odd_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let below_space = word.wrapping_sub(ONES * 0x20);
    let delete = (word ^ (ONES * 0x7f)).wrapping_sub(ONES);
    (below_space | delete | word) & HIGH
}

thread_local! {
    /// The last head of this thread, and what was read of it.
    static LAST: RefCell<(Vec<u8>, Option<PlainHead>)> = const { RefCell::new((Vec::new(), None)) };
}

/// Longer heads are not remembered.
const REMEMBERED_BYTES: usize = 4 * 1024;

/// RFC 9110, section 5.6.2.
const IS_TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~');
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &[u8] =
        b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 20\r\nset-cookie: a=b\r\nEmpty:\r\nConnection: keep-alive\r\n\r\n{\"a\"";

    /// What the general parser says: status, number of fields, length.
    fn general(input: &[u8]) -> Option<(u16, usize)> {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Response::new(&mut fields);
        match head.parse(input) {
            Ok(httparse::Status::Complete(length)) => Some((head.code?, length)),
            _ => None,
        }
    }

    fn plain(input: &[u8]) -> Option<(u16, usize)> {
        PlainHead::read(input).map(|head| (head.status, head.length))
    }

    #[test]
    fn a_usual_head_is_read_with_what_decides_about_framing() {
        let head = PlainHead::read(HEAD).unwrap();
        assert_eq!((head.status, head.version, head.fields_at, head.length), (200, Version::Http11, 17, HEAD.len() - 4));
        assert_eq!(head.found.length, Some(20));
        assert!(head.found.keeps_alive && head.found.sets_cookies && !head.found.closes);
    }

    #[test]
    fn a_head_like_the_last_one_is_not_taken_for_it() {
        let other = |from: &str, to: &str| String::from_utf8_lossy(HEAD).replace(from, to).into_bytes();
        for _ in 0..2 {
            assert_eq!(PlainHead::read(HEAD).unwrap().found.length, Some(20));
            assert_eq!(PlainHead::read(HEAD).unwrap().found.length, Some(20));
            assert_eq!(PlainHead::read(&other("20\r", "21\r")).unwrap().found.length, Some(21));
            assert_eq!(plain(&other("\r\n\r\n", "\r\nA: b\r\n\r\n")), Some((200, HEAD.len() - 4 + 6)));
            assert_eq!(plain(&HEAD[..HEAD.len() - 5]), None);
        }
    }

    #[test]
    fn a_part_of_a_head_and_every_odd_form_are_left_to_the_general_parser() {
        for end in 0..HEAD.len() - 4 {
            assert_eq!(plain(&HEAD[..end]), None, "{end}");
        }
        for odd in [
            &b"HTTP/1.1 200\r\n\r\n"[..],
            b"HTTP/2.0 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\n\n",
            b"HTTP/1.1 200 OK\r\na : b\r\n\r\n",
            b"HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n",
            b"HTTP/1.1 200 OK\r\na: \x7f\r\n\r\n",
            b"HTTP/1.1 200 OK\r\na: 12345678\0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n: b\r\n\r\n",
        ] {
            assert_eq!(plain(odd), None, "{}", String::from_utf8_lossy(odd));
        }
    }

    proptest! {
        #[test]
        fn what_is_read_here_the_general_parser_reads_alike(
            changes in prop::collection::vec((0..HEAD.len(), any::<u8>()), 0..4),
            cut in 0..=HEAD.len(),
        ) {
            let mut input = HEAD.to_vec();
            for (place, byte) in changes {
                input[place] = byte;
            }
            input.truncate(cut.max(HEAD.len() / 2));
            if let Some(read) = plain(&input) {
                prop_assert_eq!(Some(read), general(&input));
            }
        }

        #[test]
        fn each_byte_of_a_word_is_judged_as_by_itself(bytes in any::<[u8; 8]>()) {
            let first = bytes.iter().position(|byte| !matches!(byte, b' '..=b'~'));
            let odd = odd_bytes(u64::from_le_bytes(bytes));
            prop_assert_eq!(first, (odd != 0).then(|| (odd.trailing_zeros() / 8) as usize));
        }
    }
}
