//! Unpacking a body: gzip, deflate, br and zstd, in steps that each take little time, so that whoever unpacks can let others run in between.
//!
//! Who unpacks, when and where is decided elsewhere. A body with several codings is unpacked one after the other.

use brotli_decompressor::{BrotliResult, StandardAlloc};
use flate2::{Crc, Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};

use super::classify::Failure;
use super::kept::{Kept, make_room};

/// The known codings of a `content-encoding`, in the order in which they were applied.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Encodings([Option<Encoding>; ENCODINGS_LIMIT], IsTooDeep);

/// There are more codings than anybody undoes.
type IsTooDeep = bool;

impl Encodings {
    /// Reads all values of the field. One unknown coding leaves the whole body as it is: what lies below it cannot be reached.
    pub(super) fn of<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut encodings = Self::default();
        let (mut free, mut is_too_deep) = (encodings.0.iter_mut(), false);
        for token in values.flat_map(|value| value.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii) {
            let encoding = match token.to_ascii_lowercase().as_slice() {
                b"" | b"identity" => continue,
                b"gzip" | b"x-gzip" => Encoding::Gzip,
                b"deflate" => Encoding::Deflate,
                b"br" => Encoding::Brotli,
                b"zstd" => Encoding::Zstd,
                _ => return Self::default(),
            };
            // Nobody stacks more than two; each costs a window.
            match free.next() {
                Some(place) => *place = Some(encoding),
                None => is_too_deep = true,
            }
        }
        encodings.1 = is_too_deep;
        encodings
    }

    /// The bytes come as they are.
    pub(super) fn is_empty(&self) -> bool {
        self.0[0].is_none()
    }

    /// The one to be undone next.
    fn last(&self) -> Option<Encoding> {
        self.0.iter().rev().find_map(|place| *place)
    }

    /// That one is undone.
    fn pop(&mut self) {
        if let Some(place) = self.0.iter_mut().rev().find(|place| place.is_some()) {
            *place = None;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Encoding {
    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

/// The unpacked length that a packed body states itself: gzip behind its data, zstd before them. `None` where it states none, or one that its packed
/// length belies.
pub(super) fn stated_length(encodings: &Encodings, first: &[u8], last: &[u8], packed: u64) -> Option<u64> {
    let is_zstd = encodings.0 == [Some(Encoding::Zstd), None, None, None];
    let length = match encodings.0 {
        [Some(Encoding::Gzip), None, ..] if first.starts_with(GZIP_MAGIC) && packed >= 18 => u32::from_le_bytes(*last.last_chunk()?).into(),
        _ if is_zstd => zstd::zstd_safe::get_frame_content_size(first).ok().flatten()?,
        _ => return None,
    };
    // Deflate packs 1,032 to 1 at best, and what it cannot pack grows by an eighth at most.
    let is_likely = length <= packed.saturating_mul(1_032) && length.saturating_add(length / 8).saturating_add(100) >= packed;
    (is_zstd || is_likely).then_some(length)
}

/// A body that is being unpacked.
pub struct Unpacker {
    /// What is still to be undone, last first.
    encodings: Encodings,
    input: Kept,
    /// Of the input: bytes that the decoder has taken.
    taken: usize,
    decoder: Option<Decoder>,
    output: Kept,
    limit: u64,
}

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacker").field("encodings", &self.encodings).field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Unpacker {
    /// Nothing is unpacked yet. No more than `limit` bytes may come out of `packed`.
    pub(super) fn new(packed: Kept, encodings: Encodings, limit: u64) -> Self {
        Self { encodings, input: packed, taken: 0, decoder: None, output: Kept::default(), limit }
    }

    /// Bytes that are held for it.
    #[must_use]
    pub fn held(&self) -> usize {
        self.input.bytes.capacity() + self.output.bytes.capacity()
    }

    /// Of a body that is `packed` as the values of its `content-encoding` say.
    #[must_use]
    pub fn of<'a>(packed: Vec<u8>, encodings: impl Iterator<Item = &'a [u8]>, limit: u64) -> Self {
        Self::new(Kept { bytes: packed, lease: None }, Encodings::of(encodings), limit)
    }

    /// What has come out so far.
    pub(super) fn output(&self) -> &[u8] {
        &self.output.bytes
    }

    /// Bytes that have come out so far.
    #[must_use]
    pub fn unpacked(&self) -> usize {
        self.output.bytes.len()
    }

    /// Makes one step: takes and makes a few thousand bytes. `Some` with the whole body at its end.
    ///
    /// # Errors
    /// `protocol` for data that its decoder refuses, `too_large` past the limit, `local` where memory is short. It is not to be called again then.
    pub fn step(&mut self) -> Result<Option<Kept>, Failure> {
        if self.encodings.1 {
            return Err(Failure::protocol(format!("the body is packed more than {ENCODINGS_LIMIT} times")));
        }
        let Some(encoding) = self.encodings.last() else {
            return Ok(Some(std::mem::take(&mut self.input)));
        };
        // An empty body is no bad data.
        if self.input.bytes.is_empty() {
            return Ok(Some(Kept::default()));
        }
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            slot => slot.insert(Decoder::new(encoding, &self.input.bytes)?),
        };
        let mut buffer = [0_u8; STEP];
        let rest = &self.input.bytes[self.taken..];
        let made = decoder.step(rest, &mut buffer)?;
        self.taken += made.taken;
        let data = &buffer[..made.made];
        if (self.output.bytes.len() + data.len()) as u64 > self.limit {
            return Err(Failure::too_large(self.limit));
        }
        make_room(&mut self.output.bytes, data.len(), self.limit, &mut self.output.lease)?;
        self.output.bytes.extend_from_slice(data);
        if made.is_done {
            self.decoder = None;
            self.encodings.pop();
            self.taken = 0;
            self.input = std::mem::take(&mut self.output);
        } else if made.taken == 0 && made.made == 0 {
            return Err(if rest.is_empty() { cut(encoding.name()) } else { bad(encoding.name()) });
        }
        Ok(None)
    }
}

/// What one step did.
struct Made {
    taken: usize,
    made: usize,
    is_done: bool,
}

/// The decoder of one coding.
enum Decoder {
    Gzip(Box<Gzip>),
    Deflate(Box<Decompress>),
    Brotli(Box<BrotliState>),
    Zstd { decoder: Box<ZstdDecoder<'static>>, is_between: bool },
}

type BrotliState = brotli_decompressor::BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

impl Decoder {
    fn new(encoding: Encoding, input: &[u8]) -> Result<Self, Failure> {
        Ok(match encoding {
            Encoding::Gzip => Self::Gzip(Box::new(Gzip { inflate: Decompress::new(false), is_within: false, crc: Crc::new(), members: 0 })),
            Encoding::Deflate => {
                // Some servers send raw deflate data under this name; a zlib head is told by its check bits.
                let has_zlib_head = matches!(input, [first, second, ..]
                    if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)).is_multiple_of(31));
                Self::Deflate(Box::new(Decompress::new(has_zlib_head)))
            }
            Encoding::Brotli => {
                let alloc = StandardAlloc::default;
                Self::Brotli(Box::new(BrotliState::new(alloc(), alloc(), alloc())))
            }
            Encoding::Zstd => {
                let mut decoder = ZstdDecoder::new().map_err(|_| bad("zstd"))?;
                // RFC 9659: a window above 8 MiB must not be asked for on the web.
                decoder.set_parameter(DParameter::WindowLogMax(23)).map_err(|_| bad("zstd"))?;
                Self::Zstd { decoder: Box::new(decoder), is_between: false }
            }
        })
    }

    fn step(&mut self, rest: &[u8], buffer: &mut [u8]) -> Result<Made, Failure> {
        let part = &rest[..rest.len().min(STEP)];
        match self {
            Self::Gzip(gzip) => gzip.step(rest, buffer),
            Self::Deflate(inflate) => {
                let (taken, made, is_done) = inflate_step(inflate, part, buffer).ok_or_else(|| bad("deflate"))?;
                Ok(Made { taken, made, is_done })
            }
            Self::Brotli(state) => brotli_step(state, part, buffer),
            Self::Zstd { decoder, is_between } => zstd_step(decoder, is_between, part, buffer),
        }
    }
}

fn inflate_step(inflate: &mut Decompress, part: &[u8], buffer: &mut [u8]) -> Option<(usize, usize, bool)> {
    let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
    let status = inflate.decompress(part, buffer, FlushDecompress::None).ok()?;
    let taken = usize::try_from(inflate.total_in() - before_in).ok()?;
    let made = usize::try_from(inflate.total_out() - before_out).ok()?;
    Some((taken, made, status == Status::StreamEnd))
}

fn brotli_step(state: &mut BrotliState, part: &[u8], buffer: &mut [u8]) -> Result<Made, Failure> {
    let (mut available_in, mut taken, mut total) = (part.len(), 0, 0);
    let (mut available_out, mut made) = (buffer.len(), 0);
    let result = brotli_decompressor::BrotliDecompressStream(
        &mut available_in,
        &mut taken,
        part,
        &mut available_out,
        &mut made,
        buffer,
        &mut total,
        state,
    );
    match result {
        BrotliResult::ResultFailure => Err(bad("br")),
        result => Ok(Made { taken, made, is_done: matches!(result, BrotliResult::ResultSuccess) }),
    }
}

/// Frames may follow each other; what follows and is no frame is left aside, as curl does.
fn zstd_step(decoder: &mut ZstdDecoder<'static>, is_between: &mut bool, part: &[u8], buffer: &mut [u8]) -> Result<Made, Failure> {
    if *is_between {
        let is_frame = matches!(part, [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
        if !is_frame {
            return Ok(Made { taken: 0, made: 0, is_done: true });
        }
        decoder.reinit().map_err(|_| bad("zstd"))?;
        *is_between = false;
    }
    let mut from = InBuffer::around(part);
    let mut to = OutBuffer::around(buffer);
    let left = decoder.run(&mut from, &mut to).map_err(|_| bad("zstd"))?;
    // 0: the frame is whole and all of it has come out.
    *is_between = left == 0;
    Ok(Made { taken: from.pos(), made: to.as_slice().len(), is_done: false })
}

/// Gzip, RFC 1952: members one after the other, each with a head, deflated data, and a checksum.
struct Gzip {
    inflate: Decompress,
    /// The data of a member are under way.
    is_within: bool,
    crc: Crc,
    /// Members that have ended.
    members: u32,
}

impl Gzip {
    fn step(&mut self, rest: &[u8], buffer: &mut [u8]) -> Result<Made, Failure> {
        if !self.is_within {
            // What follows the last member and is none is left aside, as curl and browsers do.
            if self.members > 0 && !rest.starts_with(GZIP_MAGIC) {
                return Ok(Made { taken: 0, made: 0, is_done: true });
            }
            let taken = gzip_head(rest)?;
            self.inflate.reset(false);
            self.crc.reset();
            self.is_within = true;
            return Ok(Made { taken, made: 0, is_done: false });
        }
        let part = &rest[..rest.len().min(STEP)];
        let (mut taken, made, is_whole) = inflate_step(&mut self.inflate, part, buffer).ok_or_else(|| bad("gzip"))?;
        self.crc.update(&buffer[..made]);
        if is_whole {
            let Some(trailer) = rest[taken..].first_chunk::<8>() else { return Err(cut("gzip")) };
            let [a, b, c, d, length @ ..] = *trailer;
            if u32::from_le_bytes([a, b, c, d]) != self.crc.sum() {
                return Err(Failure::protocol("gzip data of the body do not have the checksum that they state"));
            }
            if u32::from_le_bytes(length) != self.crc.amount() {
                return Err(Failure::protocol("gzip data of the body do not have the length that they state"));
            }
            taken += trailer.len();
            self.is_within = false;
            self.members += 1;
        }
        Ok(Made { taken, made, is_done: false })
    }
}

/// The length of a member's head.
fn gzip_head(rest: &[u8]) -> Result<usize, Failure> {
    if !rest.starts_with(&GZIP_MAGIC[..rest.len().min(GZIP_MAGIC.len())]) {
        return Err(bad("gzip"));
    }
    let head = rest.first_chunk::<10>().ok_or_else(|| cut("gzip"))?;
    let flags = head[3];
    let mut at = head.len();
    if flags & HAS_EXTRA != 0 {
        let length = rest.get(at..).and_then(<[u8]>::first_chunk::<2>).ok_or_else(|| cut("gzip"))?;
        at += 2 + usize::from(u16::from_le_bytes(*length));
    }
    for text in [HAS_NAME, HAS_COMMENT] {
        if flags & text != 0 {
            let end = rest.get(at..).and_then(|text| text.iter().position(|&byte| byte == 0)).ok_or_else(|| cut("gzip"))?;
            at += end + 1;
        }
    }
    at += if flags & HAS_HEAD_CRC == 0 { 0 } else { 2 };
    if at > rest.len() { Err(cut("gzip")) } else { Ok(at) }
}

fn bad(encoding: &str) -> Failure {
    Failure::protocol(format!("bad {encoding} data in the body"))
}

fn cut(encoding: &str) -> Failure {
    Failure::protocol(format!("{encoding} data of the body ends too early"))
}

/// Bytes that a step takes, and makes, at most.
const STEP: usize = 16 * 1024;
const ENCODINGS_LIMIT: usize = 4;
/// With the method, which is always deflate.
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b, 8];
const HAS_HEAD_CRC: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::protocol::http::FailureKind;

    fn encode(encoding: &str, data: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::default();
        match encoding {
            "gzip" => {
                let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
                writer.write_all(data).unwrap();
                writer.finish().unwrap()
            }
            "deflate" => {
                let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), level);
                writer.write_all(data).unwrap();
                writer.finish().unwrap()
            }
            "raw" => {
                let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), level);
                writer.write_all(data).unwrap();
                writer.finish().unwrap()
            }
            "br" => {
                let mut out = Vec::new();
                brotli::BrotliCompress(&mut &*data, &mut out, &brotli::enc::BrotliEncoderParams::default()).unwrap();
                out
            }
            "zstd" => zstd::encode_all(data, 3).unwrap(),
            other => panic!("no encoder for {other}"),
        }
    }

    fn text() -> Vec<u8> {
        (0..20_000_u32).flat_map(|number| format!("{} ", number.wrapping_mul(2_654_435_761)).into_bytes()).collect()
    }

    fn encodings(field: &str) -> Encodings {
        Encodings::of(std::iter::once(field.as_bytes()))
    }

    fn unpack_within(field: &str, packed: &[u8], limit: u64) -> Result<Vec<u8>, Failure> {
        let kept = Kept { bytes: packed.to_vec(), lease: None };
        let mut unpacker = Unpacker::new(kept, encodings(field), limit);
        loop {
            let before = unpacker.unpacked();
            if let Some(plain) = unpacker.step()? {
                return Ok(plain.bytes);
            }
            assert!(unpacker.unpacked() <= before + STEP, "{field}: a step makes little");
        }
    }

    fn unpack(field: &str, packed: &[u8]) -> Result<Vec<u8>, Failure> {
        unpack_within(field, packed, 1 << 30)
    }

    #[test]
    fn every_coding_gives_the_text_back() {
        for (field, name) in
            [("gzip", "gzip"), ("X-GZIP", "gzip"), ("deflate", "deflate"), ("deflate", "raw"), ("br", "br"), ("zstd", "zstd")]
        {
            for data in [text(), b"x".to_vec(), vec![0; 100_000]] {
                assert!(unpack(field, &encode(name, &data)).unwrap() == data, "{name}");
            }
        }
        let stacked = encode("br", &encode("gzip", &text()));
        assert!(unpack("gzip, br", &stacked).unwrap() == text());
        let why = unpack("gzip, gzip, br, gzip, gzip", &stacked).unwrap_err().message;
        assert_eq!(why, "the body is packed more than 4 times", "what nobody has undone is no text");
    }

    #[test]
    fn members_and_frames_follow_each_other() {
        for name in ["gzip", "zstd"] {
            let two = [encode(name, b"one "), encode(name, b""), encode(name, b"two")].concat();
            assert_eq!(unpack(name, &two).unwrap(), b"one two", "{name}");
        }
    }

    #[test]
    fn bytes_behind_the_data_are_left_aside_as_curl_does() {
        for name in ["gzip", "deflate", "raw", "br", "zstd"] {
            let field = if name == "raw" { "deflate" } else { name };
            for junk in [&b"\0"[..], b"\0\0\0\0\0\0\0\0\0\0", b"some junk", b"\x1f", b"\x28\xb5"] {
                let packed = [encode(name, b"hello"), junk.to_vec()].concat();
                assert_eq!(unpack(field, &packed), Ok(b"hello".to_vec()), "{name} {junk:?}");
            }
        }
    }

    #[test]
    fn every_optional_field_of_a_gzip_head_is_passed_over() {
        let plain = encode("gzip", b"hello");
        let mut head = plain[..10].to_vec();
        head[3] = HAS_HEAD_CRC | HAS_EXTRA | HAS_NAME | HAS_COMMENT;
        head.extend_from_slice(b"\x03\0abcname\0comment\0\x12\x34");
        assert_eq!(unpack("gzip", &[&head[..], &plain[10..]].concat()), Ok(b"hello".to_vec()));
        for end in 1..head.len() {
            assert_eq!(unpack("gzip", &head[..end]), Err(cut("gzip")), "{end}");
        }
    }

    #[test]
    fn unknown_codings_leave_the_body_as_it_is() {
        assert_eq!(unpack("rot13", b"abc").unwrap(), b"abc");
        assert_eq!(unpack("gzip, rot13", b"abc").unwrap(), b"abc");
        assert_eq!(unpack("identity", b"abc").unwrap(), b"abc");
    }

    #[test]
    fn an_empty_body_is_no_bad_data() {
        for field in ["gzip", "deflate", "br", "zstd"] {
            assert_eq!(unpack(field, b"").unwrap(), b"");
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        for name in ["gzip", "deflate", "br", "zstd"] {
            let bomb = encode(name, &vec![0; 4_000_000]);
            assert_eq!(unpack_within(name, &bomb, 100_000).unwrap_err(), Failure::too_large(100_000), "{name}");
        }
    }

    #[test]
    fn bad_and_cut_data_are_protocol_failures_in_words_of_their_own() {
        for name in ["gzip", "deflate", "raw", "br", "zstd"] {
            let field = if name == "raw" { "deflate" } else { name };
            let packed = encode(name, &text());
            let short = unpack(field, &packed[..packed.len() - 3]).unwrap_err();
            assert!(name == "deflate" || short == cut(field), "{name}: {}", short.message);
            assert_eq!(short.kind, FailureKind::Protocol);
            let garbage = unpack(field, &[0xff; 100]).unwrap_err();
            assert_eq!(garbage, bad(field), "{name}");
        }
        let packed = encode("gzip", &text());
        let spoilt = |from_end: usize| {
            let mut spoilt = packed.clone();
            let place = packed.len() - from_end;
            spoilt[place] ^= 1;
            unpack("gzip", &spoilt).unwrap_err().message
        };
        assert_eq!(spoilt(8), "gzip data of the body do not have the checksum that they state");
        assert_eq!(spoilt(4), "gzip data of the body do not have the length that they state");
        assert_eq!(unpack("gzip", &packed[..5]).unwrap_err(), cut("gzip"));
    }

    #[test]
    fn what_a_packed_body_states_of_its_length_is_taken_where_it_can_be_true() {
        let length = |field: &str, packed: &[u8]| stated_length(&encodings(field), packed, packed, packed.len() as u64);
        for data in [text(), b"x".to_vec(), vec![0; 1_000_000], Vec::new()] {
            assert_eq!(length("gzip", &encode("gzip", &data)), Some(data.len() as u64));
            let mut packer = zstd::bulk::Compressor::new(3).unwrap();
            assert_eq!(length("zstd", &packer.compress(&data).unwrap()), Some(data.len() as u64));
        }
        assert_eq!(length("br", &encode("br", &text())), None);
        assert_eq!(length("deflate", &encode("deflate", &text())), None);
        assert_eq!(length("gzip, br", &encode("br", &encode("gzip", &text()))), None);
        assert_eq!(length("gzip", &[encode("gzip", &text()), b"\xff\xff\xff\xff".to_vec()].concat()), None);
        assert_eq!(length("gzip", &[encode("gzip", &text()), b"\0\0\0\0".to_vec()].concat()), None);
        assert_eq!(length("gzip", b"no gzip, but long enough for one"), None);
        assert_eq!(length("gzip", b""), None);
    }
}
