//! The Huffman code of HPACK (RFC 7541, section 5.2 and appendix B). Decodes only: what we send is never packed so.

use std::sync::LazyLock;

/// Appends what `packed` stands for to `plain`. `None` where it is no text of this code, or would make more than `room` bytes.
pub(super) fn unpack(packed: &[u8], plain: &mut Vec<u8>, room: usize) -> Option<()> {
    let table = &*TABLE;
    let end = plain.len() + room;
    // No code is shorter than five bits.
    plain.reserve((packed.len() * 8 / 5).min(room));
    // The bits that are not decoded yet stand at the upper end, `count` of them; below them may stand some of the next ones.
    let (mut bits, mut count) = (0_u64, 0_u32);
    let mut rest = packed;
    loop {
        if let Some(next) = rest.first_chunk::<8>() {
            // As many whole bytes as there is room for.
            let bytes = (63 - count) / 8;
            bits |= u64::from_be_bytes(*next) >> count;
            count += bytes * 8;
            rest = &rest[bytes as usize..];
        } else {
            while count <= 56
                && let [byte, more @ ..] = rest
            {
                bits |= u64::from(*byte) << (56 - count);
                count += 8;
                rest = more;
            }
        }
        // As many symbols as there are bits for, whatever their length.
        while count >= LONGEST || rest.is_empty() {
            let (symbol, length) = match table.short[(bits >> (64 - SHORT_BITS)) as usize] {
                0 => table.find_long((bits >> (64 - LONGEST)) as u32)?,
                entry => (entry >> 8, u32::from(entry & 0xff)),
            };
            if length > count {
                // What is left is padding: less than a byte of ones.
                let is_padding = count < 8 && (count == 0 || bits >> (64 - count) == (1 << count) - 1);
                return is_padding.then_some(());
            }
            if symbol == END_OF_STRING || plain.len() >= end {
                return None;
            }
            plain.push(symbol as u8);
            bits <<= length;
            count -= length;
        }
    }
}

/// The code turned round.
struct Table {
    /// For each [`SHORT_BITS`] bits the symbol that they begin with, and below it the length of its code; 0 where that is longer.
    short: [u16; 1 << SHORT_BITS],
    /// Codes that are longer: the first 30 bits of a text lie between this one's, left-aligned, and the next one's; with length and symbol.
    long: Vec<(u32, u32, u16)>,
}

impl Table {
    /// The symbol with which these 30 bits begin, and the length of its code.
    fn find_long(&self, bits: u32) -> Option<(u16, u32)> {
        let at = self.long.partition_point(|(code, ..)| *code <= bits).checked_sub(1)?;
        let (_, length, symbol) = self.long[at];
        Some((symbol, length))
    }
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table { short: [0; 1 << SHORT_BITS], long: Vec::new() };
    // The code is canonical: shorter ones first, and those of one length in the order of their symbols.
    let mut code = 0_u32;
    for length in 5..=LONGEST {
        for symbol in (0..=END_OF_STRING).filter(|symbol| u32::from(LENGTHS[usize::from(*symbol)]) == length) {
            if length <= SHORT_BITS {
                let first = (code << (SHORT_BITS - length)) as usize;
                table.short[first..first + (1 << (SHORT_BITS - length))].fill(symbol << 8 | length as u16);
            } else {
                table.long.push((code << (LONGEST - length), length, symbol));
            }
            code += 1;
        }
        code <<= 1;
    }
    table
});

/// Codes up to this length are looked up at once: letters, digits and most marks have them.
const SHORT_BITS: u32 = 9;

const LONGEST: u32 = 30;

/// It never stands in a text.
const END_OF_STRING: u16 = 256;

/// The length of each symbol's code in bits; the last one is [`END_OF_STRING`]'s.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, 6, 10,
    10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6,
    7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23,
    21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22,
    22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28,
    27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27,
    26, 30,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(packed: &[u8]) -> Option<String> {
        let mut plain = Vec::new();
        unpack(packed, &mut plain, 1_000)?;
        Some(String::from_utf8(plain).unwrap())
    }

    /// RFC 7541, appendix C.4 and C.6.
    #[test]
    fn the_examples_of_the_standard_are_read() {
        let examples: [(&[u8], &str); 5] = [
            (b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff", "www.example.com"),
            (b"\xa8\xeb\x10\x64\x9c\xbf", "no-cache"),
            (b"\xae\xc3\x77\x1a\x4b", "private"),
            (b"\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff", "Mon, 21 Oct 2013 20:13:21 GMT"),
            (b"\x9d\x29\xad\x17\x18\x63\xc7\x8f\x0b\x97\xc8\xe9\xae\x82\xae\x43\xd3", "https://www.example.com"),
        ];
        for (packed, plain) in examples {
            assert_eq!(unpacked(packed).as_deref(), Some(plain));
        }
    }

    /// Packs by the code that the lengths make.
    fn packed(plain: &[u8]) -> Vec<u8> {
        let mut codes = vec![(0_u32, 0_u32); 257];
        let mut code = 0;
        for length in 5..=LONGEST {
            for symbol in (0..257).filter(|symbol| u32::from(LENGTHS[*symbol]) == length) {
                codes[symbol] = (code, length);
                code += 1;
            }
            code <<= 1;
        }
        // All codes are used up: a prefix code that has room for nothing more.
        assert_eq!(codes[256], (0x3fff_ffff, 30));
        let bits: String = plain
            .iter()
            .map(|byte| codes[usize::from(*byte)])
            .map(|(code, length)| format!("{code:0width$b}", width = length as usize))
            .collect();
        let bits = bits + "1111111";
        bits.as_bytes().chunks_exact(8).map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap()).collect()
    }

    #[test]
    fn each_byte_is_read_at_each_place() {
        for byte in 0..=255 {
            for before in 0..8 {
                let plain: Vec<u8> = std::iter::repeat_n(b'0', before).chain([byte, b'a', byte]).collect();
                let mut read = Vec::new();
                assert_eq!((unpack(&packed(&plain), &mut read, 100), &read), (Some(()), &plain), "{byte} {before}");
            }
        }
    }

    #[test]
    fn what_is_no_text_is_refused() {
        // Padding of zeros, a byte of padding, the end of string, a code that is cut.
        for bad in [&b"\xa8\xeb\x10\x64\x9c\xb0"[..], b"\xa8\xeb\x10\x64\x9c\xbf\xff", b"\xff\xff\xff\xff", b"\xfe", b"\xff\xff"] {
            assert_eq!(unpacked(bad), None, "{bad:x?}");
        }
        assert_eq!(unpack(b"\xa8\xeb\x10\x64\x9c\xbf", &mut Vec::new(), 7), None, "more than there is room for");
        assert_eq!(unpacked(b"").as_deref(), Some(""));
    }
}
