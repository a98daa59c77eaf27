//! The body of an answer as it arrives: decoded, counted, bounded, kept or thrown away.
//!
//! Decoders work in small steps and their output is checked against the limit at each, so a small body that unpacks to a huge one is
//! stopped at the limit without ever being held.

use std::io::Write;

use flate2::write::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};

use super::classify::Failure;

/// The body of an answer under way.
#[derive(Debug, Default)]
pub(super) struct Body {
    plain: Plain,
    /// Empty for a body that is not encoded.
    stages: Vec<Stage>,
}

impl Body {
    pub(super) fn new(limit: u64, discard: bool) -> Self {
        Self { plain: Plain { bytes: Vec::new(), count: 0, limit, discard }, stages: Vec::new() }
    }

    /// Bytes to come follow these encodings.
    pub(super) fn decode(&mut self, encodings: Encodings) {
        // Applied in the order of the list, so undone from its end.
        self.stages = encodings.0.into_iter().rev().map(Stage::new).collect();
    }

    /// `length` bytes will come.
    pub(super) fn expect(&mut self, length: u64) {
        if !self.plain.discard {
            let reserve = length.min(self.plain.limit).min(RESERVE_LIMIT);
            self.plain.bytes.reserve_exact(usize::try_from(reserve).unwrap_or(0));
        }
    }

    /// Takes bytes as they came.
    ///
    /// # Errors
    /// `too_large` past the limit, `protocol` for data that its decoder refuses.
    pub(super) fn push(&mut self, input: &[u8]) -> Result<(), Failure> {
        if self.stages.is_empty() {
            return self.plain.push(input);
        }
        run(&mut self.stages, input, &mut self.plain)
    }

    /// The last byte has come.
    ///
    /// # Errors
    /// `protocol` when a decoder waits for more.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        for at in 0..self.stages.len() {
            let (stage, rest) = self.stages[at..].split_first_mut().unwrap_or_else(|| unreachable!("`at` is in range"));
            let plain = &mut self.plain;
            stage.finish(&mut |output| run(rest, output, plain))?;
        }
        // The decoders have done their work; their windows are large.
        self.stages = Vec::new();
        Ok(())
    }

    /// The decoded bytes and their number; no bytes where they were to be thrown away.
    pub(super) fn into_parts(self) -> (Vec<u8>, u64) {
        (self.plain.bytes, self.plain.count)
    }
}

/// The known codings of a `content-encoding`, in the order in which they were applied.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Encodings(Vec<Encoding>);

impl Encodings {
    /// Reads all values of the field. One unknown coding leaves the whole body as it is: what lies below it cannot be reached.
    pub(super) fn of<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut encodings = Vec::new();
        for token in values.flat_map(|value| value.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii) {
            match token.to_ascii_lowercase().as_slice() {
                b"" | b"identity" => {}
                b"gzip" | b"x-gzip" => encodings.push(Encoding::Gzip),
                b"deflate" => encodings.push(Encoding::Deflate),
                b"br" => encodings.push(Encoding::Brotli),
                b"zstd" => encodings.push(Encoding::Zstd),
                _ => return Self::default(),
            }
        }
        // Nobody stacks more than two; each stage costs a window.
        if encodings.len() > STAGES_LIMIT { Self::default() } else { Self(encodings) }
    }
}

/// What is handed to the caller.
#[derive(Debug, Default)]
struct Plain {
    bytes: Vec<u8>,
    count: u64,
    limit: u64,
    discard: bool,
}

impl Plain {
    fn push(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.count += data.len() as u64;
        if self.count > self.limit {
            return Err(Failure::too_large(self.limit));
        }
        if !self.discard {
            self.bytes.extend_from_slice(data);
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// One decoder. Made when the first byte comes: an empty body is no bad gzip.
enum Stage {
    Waiting(Encoding),
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Deflate { inflate: Box<Decompress>, is_done: bool },
    DeflateHead(u8),
    Brotli { state: Box<BrotliState>, is_done: bool },
    Zstd { decoder: Box<ZstdDecoder<'static>>, is_done: bool },
}

type BrotliState = brotli::BrotliState<brotli::enc::StandardAlloc, brotli::enc::StandardAlloc, brotli::enc::StandardAlloc>;
type Output<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Failure>;

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stage")
    }
}

impl Stage {
    fn new(encoding: Encoding) -> Self {
        Self::Waiting(encoding)
    }

    fn begin(encoding: Encoding, first: u8) -> Result<Self, Failure> {
        Ok(match encoding {
            Encoding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Encoding::Deflate => Self::DeflateHead(first),
            Encoding::Brotli => {
                let alloc = brotli::enc::StandardAlloc::default;
                Self::Brotli { state: Box::new(BrotliState::new(alloc(), alloc(), alloc())), is_done: false }
            }
            Encoding::Zstd => {
                let mut decoder = ZstdDecoder::new().map_err(|_| bad("zstd"))?;
                // RFC 9659: a window above 8 MiB must not be asked for on the web.
                decoder.set_parameter(DParameter::WindowLogMax(23)).map_err(|_| bad("zstd"))?;
                Self::Zstd { decoder: Box::new(decoder), is_done: false }
            }
        })
    }

    fn write(&mut self, mut input: &[u8], output: Output<'_>) -> Result<(), Failure> {
        if let (Self::Waiting(encoding), Some(&first)) = (&*self, input.first()) {
            let encoding = *encoding;
            *self = Self::begin(encoding, first)?;
            if encoding == Encoding::Deflate {
                input = &input[1..];
            }
        }
        if let (Self::DeflateHead(first), Some(&second)) = (&*self, input.first()) {
            let first = *first;
            // Some servers send raw deflate data under this name; a zlib head is told by its check bits.
            let has_zlib_head = first & 0x0f == 8 && (u16::from(first) << 8 | u16::from(second)).is_multiple_of(31);
            *self = Self::Deflate { inflate: Box::new(Decompress::new(has_zlib_head)), is_done: false };
            self.write(&[first], output)?;
        }
        match self {
            Self::Waiting(_) | Self::DeflateHead(_) => Ok(()),
            Self::Gzip(decoder) => write_gzip(decoder, input, output),
            Self::Deflate { inflate, is_done } => write_deflate(inflate, is_done, input, output),
            Self::Brotli { state, is_done } => write_brotli(state, is_done, input, output),
            Self::Zstd { decoder, is_done } => write_zstd(decoder, is_done, input, output),
        }
    }

    fn finish(&mut self, output: Output<'_>) -> Result<(), Failure> {
        match self {
            Self::Waiting(_) => Ok(()),
            Self::Gzip(decoder) => {
                decoder.try_finish().map_err(|_| cut("gzip"))?;
                output(decoder.get_ref())?;
                decoder.get_mut().clear();
                Ok(())
            }
            Self::Deflate { is_done: true, .. } | Self::Brotli { is_done: true, .. } | Self::Zstd { is_done: true, .. } => Ok(()),
            Self::Deflate { .. } | Self::DeflateHead(_) => Err(cut("deflate")),
            Self::Brotli { .. } => Err(cut("br")),
            Self::Zstd { .. } => Err(cut("zstd")),
        }
    }
}

/// Sends `input` through all stages, each output step on its own.
fn run(stages: &mut [Stage], input: &[u8], plain: &mut Plain) -> Result<(), Failure> {
    match stages.split_first_mut() {
        None => plain.push(input),
        Some((first, rest)) => first.write(input, &mut |output| run(rest, output, plain)),
    }
}

fn write_gzip(decoder: &mut MultiGzDecoder<Vec<u8>>, input: &[u8], output: Output<'_>) -> Result<(), Failure> {
    // deflate unpacks at most 1,032 to 1, so a small step bounds what waits in the decoder's vector.
    for step in input.chunks(1024) {
        decoder.write_all(step).map_err(|_| bad("gzip"))?;
        output(decoder.get_ref())?;
        decoder.get_mut().clear();
    }
    Ok(())
}

fn write_deflate(inflate: &mut Decompress, is_done: &mut bool, mut input: &[u8], output: Output<'_>) -> Result<(), Failure> {
    let mut buffer = [0_u8; STEP];
    while !*is_done {
        let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
        let status = inflate.decompress(input, &mut buffer, FlushDecompress::None).map_err(|_| bad("deflate"))?;
        let taken = usize::try_from(inflate.total_in() - before_in).unwrap_or(0);
        let made = usize::try_from(inflate.total_out() - before_out).unwrap_or(0);
        input = &input[taken..];
        output(&buffer[..made])?;
        *is_done = status == Status::StreamEnd;
        if taken == 0 && made == 0 || input.is_empty() && made < STEP {
            break;
        }
    }
    Ok(())
}

fn write_brotli(state: &mut BrotliState, is_done: &mut bool, input: &[u8], output: Output<'_>) -> Result<(), Failure> {
    let mut buffer = [0_u8; STEP];
    let (mut available_in, mut input_offset, mut total) = (input.len(), 0, 0);
    while !*is_done {
        let (mut available_out, mut made) = (STEP, 0);
        let result = brotli::BrotliDecompressStream(
            &mut available_in,
            &mut input_offset,
            input,
            &mut available_out,
            &mut made,
            &mut buffer,
            &mut total,
            state,
        );
        output(&buffer[..made])?;
        match result {
            brotli::BrotliResult::ResultSuccess => *is_done = true,
            brotli::BrotliResult::NeedsMoreInput => break,
            brotli::BrotliResult::NeedsMoreOutput => {}
            brotli::BrotliResult::ResultFailure => return Err(bad("br")),
        }
    }
    Ok(())
}

fn write_zstd(decoder: &mut ZstdDecoder<'static>, is_done: &mut bool, input: &[u8], output: Output<'_>) -> Result<(), Failure> {
    let mut buffer = [0_u8; STEP];
    let mut from = InBuffer::around(input);
    loop {
        let mut to = OutBuffer::around(&mut buffer[..]);
        if *is_done && from.pos() < input.len() {
            decoder.reinit().map_err(|_| bad("zstd"))?;
        }
        let before = from.pos();
        let left = decoder.run(&mut from, &mut to).map_err(|_| bad("zstd"))?;
        let made = to.as_slice();
        // 0: the frame is whole. Another one may follow.
        *is_done = left == 0;
        output(made)?;
        let is_stuck = from.pos() == before && made.is_empty();
        if is_stuck || from.pos() == input.len() && (made.len() < STEP || *is_done) {
            return Ok(());
        }
    }
}

fn bad(encoding: &str) -> Failure {
    Failure::protocol(format!("bad {encoding} data in the body"))
}

fn cut(encoding: &str) -> Failure {
    Failure::protocol(format!("{encoding} data of the body ends too early"))
}

/// Decoded bytes that are made between two looks at the limit.
const STEP: usize = 16 * 1024;
/// A server that promises a huge body gets no huge buffer before it has sent one.
const RESERVE_LIMIT: u64 = 1024 * 1024;
const STAGES_LIMIT: usize = 4;

#[cfg(test)]
mod tests {
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
            other => panic!("{other}"),
        }
    }

    fn decode(field: &str, input: &[u8], piece: usize, limit: u64, discard: bool) -> Result<(Vec<u8>, u64), Failure> {
        let mut body = Body::new(limit, discard);
        body.decode(Encodings::of(std::iter::once(field.as_bytes())));
        for part in input.chunks(piece) {
            body.push(part)?;
        }
        body.finish()?;
        Ok(body.into_parts())
    }

    fn text() -> Vec<u8> {
        (0..5_000_u32).flat_map(|number| number.to_string().into_bytes()).collect()
    }

    #[test]
    fn every_encoding_is_undone_from_any_pieces() {
        for (name, field) in
            [("gzip", "gzip"), ("gzip", "X-GZIP"), ("deflate", "deflate"), ("raw", "deflate"), ("br", "br"), ("zstd", "zstd")]
        {
            let packed = encode(name, &text());
            for piece in [1, 2, 7, 1000, 1_000_000] {
                assert_eq!(
                    decode(field, &packed, piece, 1 << 30, false).unwrap(),
                    (text(), text().len() as u64),
                    "{name} in pieces of {piece}"
                );
            }
        }
    }

    #[test]
    fn stacked_encodings_are_undone_in_reverse() {
        let packed = encode("br", &encode("gzip", &text()));
        assert_eq!(decode("gzip, br", &packed, 100, 1 << 30, false).unwrap().0, text());
    }

    #[test]
    fn several_members_follow_each_other() {
        for name in ["gzip", "zstd"] {
            let packed = [encode(name, b"one "), encode(name, b"two")].concat();
            assert_eq!(decode(name, &packed, 5, 100, false).unwrap().0, b"one two", "{name}");
        }
    }

    #[test]
    fn unknown_encodings_stay_as_they_are() {
        assert_eq!(decode("rot13", b"abc", 1, 100, false).unwrap().0, b"abc");
        assert_eq!(decode("gzip, rot13", b"abc", 1, 100, false).unwrap().0, b"abc");
    }

    #[test]
    fn an_empty_body_is_no_bad_data() {
        for field in ["gzip", "deflate", "br", "zstd"] {
            assert_eq!(decode(field, b"", 1, 100, false).unwrap(), (Vec::new(), 0));
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        for name in ["gzip", "deflate", "br", "zstd"] {
            let bomb = encode(name, &vec![0; 4_000_000]);
            let mut body = Body::new(100_000, false);
            body.decode(Encodings::of(std::iter::once(name.as_bytes())));
            assert_eq!(body.push(&bomb).unwrap_err().kind, FailureKind::TooLarge, "{name}");
            assert!(body.plain.bytes.capacity() <= 300_000, "{name} held {}", body.plain.bytes.capacity());
        }
    }

    #[test]
    fn bad_and_cut_data_are_protocol_failures() {
        for name in ["gzip", "deflate", "raw", "br", "zstd"] {
            let field = if name == "raw" { "deflate" } else { name };
            let packed = encode(name, &text());
            let cut = decode(field, &packed[..packed.len() - 3], 1000, 1 << 30, false).unwrap_err();
            assert_eq!(cut.kind, FailureKind::Protocol, "{name}: {}", cut.message);
            let garbage = decode(field, &[0xff; 100], 1000, 1 << 30, false).unwrap_err();
            assert_eq!(garbage.kind, FailureKind::Protocol, "{name}: {}", garbage.message);
        }
    }

    #[test]
    fn a_discarded_body_is_counted_after_decoding() {
        assert_eq!(decode("gzip", &encode("gzip", &text()), 100, 1 << 30, true).unwrap(), (Vec::new(), text().len() as u64));
    }
}
