//! Decodes header blocks (RFC 7541): hands each field on and keeps the dynamic table.

use std::cell::RefCell;

use super::fields::{DEFAULT_SIZE, Table};
use super::huffman;

/// What the server has told us to remember of its fields.
#[derive(Debug)]
pub(super) struct Decoder {
    table: Table,
}

/// The block breaks the rules of HPACK, so that nothing behind it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Undecodable;

impl Decoder {
    pub(super) fn new() -> Self {
        Self { table: Table::new(DEFAULT_SIZE) }
    }

    /// Decodes a whole block and hands each field to `take`.
    ///
    /// # Errors
    /// The block is none; some of its fields may have been handed on.
    pub(super) fn decode(&mut self, block: &[u8], take: impl FnMut(&[u8], &[u8])) -> Result<(), Undecodable> {
        SCRATCH.with_borrow_mut(|scratch| self.decode_with(scratch, block, take))
    }

    fn decode_with(&mut self, scratch: &mut Scratch, mut block: &[u8], mut take: impl FnMut(&[u8], &[u8])) -> Result<(), Undecodable> {
        let mut has_field = false;
        while let Some(&first) = block.first() {
            // The kinds of section 6, by the bits that they begin with.
            if first & 0x80 != 0 {
                let (name, value) = self.table.get(integer(&mut block, 7)?).ok_or(Undecodable)?;
                take(name, value);
            } else if first & 0xe0 == 0x20 {
                let max = integer(&mut block, 5)?;
                if has_field || max > DEFAULT_SIZE {
                    return Err(Undecodable);
                }
                self.table.resize(max);
                continue;
            } else {
                let is_kept = first & 0x40 != 0;
                let number = integer(&mut block, if is_kept { 6 } else { 4 })?;
                scratch.name.clear();
                scratch.value.clear();
                let own_name = if number == 0 { Some(string(&mut block, &mut scratch.name)?.of(&scratch.name)) } else { None };
                let value = string(&mut block, &mut scratch.value)?.of(&scratch.value);
                match own_name {
                    Some(name) => take(name, value),
                    None => take(self.table.get(number).ok_or(Undecodable)?.0, value),
                }
                if is_kept {
                    match own_name {
                        Some(name) => self.table.add(name, value),
                        None => self.table.add_named(number, value).then_some(()).ok_or(Undecodable)?,
                    }
                }
            }
            has_field = true;
        }
        Ok(())
    }
}

thread_local! {
    /// Borrowed for one block only.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Room for texts that are packed.
#[derive(Default)]
struct Scratch {
    name: Vec<u8>,
    value: Vec<u8>,
}

/// A text as it stands in the block, or unpacked elsewhere.
enum Text<'a> {
    Plain(&'a [u8]),
    Unpacked,
}

impl<'a> Text<'a> {
    fn of(&self, unpacked: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Plain(text) => text,
            Self::Unpacked => unpacked,
        }
    }
}

/// An integer whose first byte has a prefix of `bits` bits (section 5.1).
fn integer(block: &mut &[u8], bits: u32) -> Result<usize, Undecodable> {
    let mask = (1_usize << bits) - 1;
    let mut value = usize::from(take_byte(block)?) & mask;
    if value < mask {
        return Ok(value);
    }
    for shift in [0, 7, 14, 21] {
        let byte = usize::from(take_byte(block)?);
        value += (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    // More than 2^28: nothing that we read is so large.
    Err(Undecodable)
}

/// A text (section 5.2); one that is packed is unpacked into `scratch`.
fn string<'a>(block: &mut &'a [u8], scratch: &mut Vec<u8>) -> Result<Text<'a>, Undecodable> {
    let is_packed = block.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer(block, 7)?;
    let (text, rest) = block.split_at_checked(length).ok_or(Undecodable)?;
    *block = rest;
    if !is_packed {
        return Ok(Text::Plain(text));
    }
    huffman::unpack(text, scratch, TEXT_LIMIT).ok_or(Undecodable)?;
    Ok(Text::Unpacked)
}

fn take_byte(block: &mut &[u8]) -> Result<u8, Undecodable> {
    let (first, rest) = block.split_first().ok_or(Undecodable)?;
    *block = rest;
    Ok(*first)
}

/// Of one unpacked text: blocks are bounded before they are decoded, and packing makes 8 bits of 5.
const TEXT_LIMIT: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<String>, Undecodable> {
        let mut all = Vec::new();
        decoder.decode(block, |name, value| {
            all.push(format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
        })?;
        Ok(all)
    }

    /// RFC 7541, appendix C.6: three answers, packed, in a table of 256 bytes.
    #[test]
    fn the_examples_of_the_standard_are_read() {
        let mut decoder = Decoder::new();
        assert_eq!(decoded(&mut decoder, b"\x3f\xe1\x01"), Ok(vec![]));
        let first = b"\x48\x82\x64\x02\x58\x85\xae\xc3\x77\x1a\x4b\x61\x96\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\
            \xe0\x82\xa6\x2d\x1b\xff\x6e\x91\x9d\x29\xad\x17\x18\x63\xc7\x8f\x0b\x97\xc8\xe9\xae\x82\xae\x43\xd3";
        let common = |status: &str, date: &str| {
            vec![
                format!(":status: {status}"),
                "cache-control: private".to_owned(),
                format!("date: {date}"),
                "location: https://www.example.com".to_owned(),
            ]
        };
        assert_eq!(decoded(&mut decoder, first), Ok(common("302", "Mon, 21 Oct 2013 20:13:21 GMT")));
        assert_eq!(decoded(&mut decoder, b"\x48\x83\x64\x0e\xff\xc1\xc0\xbf"), Ok(common("307", "Mon, 21 Oct 2013 20:13:21 GMT")));
        let third = b"\x88\xc1\x61\x96\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x84\xa6\x2d\x1b\xff\xc0\x5a\x83\
            \x9b\xd9\xab\x77\xad\x94\xe7\x82\x1d\xd7\xf2\xe6\xc7\xb3\x35\xdf\xdf\xcd\x5b\x39\x60\xd5\xaf\x27\x08\x7f\x36\x72\xc1\xab\x27\
            \x0f\xb5\x29\x1f\x95\x87\x31\x60\x65\xc0\x03\xed\x4e\xe5\xb1\x06\x3d\x50\x07";
        let mut expected = common("200", "Mon, 21 Oct 2013 20:13:22 GMT");
        expected.push("content-encoding: gzip".to_owned());
        expected.push("set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1".to_owned());
        assert_eq!(decoded(&mut decoder, third), Ok(expected));
    }

    #[test]
    fn what_breaks_the_rules_is_refused() {
        let bad: [(&str, &[u8]); 9] = [
            ("number 0", b"\x80"),
            ("a number that is not in the table", b"\xbe"),
            ("a name that is not in the table", b"\x7f\x00\x01a"),
            ("a text that is cut", b"\x00\x05abc"),
            ("an integer without end", b"\xff\xff\xff\xff\xff\xff\xff\xff"),
            ("an integer that is cut", b"\xff"),
            ("a table larger than ours", b"\x3f\xe2\x1f"),
            ("a table's size behind a field", b"\x88\x20"),
            ("a packed text that is none", b"\x00\x81\xff\x00"),
        ];
        for (what, block) in bad {
            assert_eq!(decoded(&mut Decoder::new(), block), Err(Undecodable), "{what}");
        }
        assert_eq!(decoded(&mut Decoder::new(), b"\x3f\xe1\x1f\x88"), Ok(vec![":status: 200".to_owned()]));
    }

    proptest::proptest! {
        #[test]
        fn garbage_is_refused_or_read(block: Vec<u8>) {
            let _ = decoded(&mut Decoder::new(), &block);
        }
    }
}
