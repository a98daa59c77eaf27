//! What every layout is made of: numbers, texts, times, lists, and the budget of memory.
//!
//! The only file that names `bincode`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::de::read::Reader;
use bincode::de::{Decode, Decoder as _, DecoderImpl};
use bincode::enc::write::Writer;
use bincode::enc::{Encode, Encoder as _, EncoderImpl};
use bincode::error::{DecodeError, EncodeError};

use super::error::CodecError;

/// A type with a layout.
pub trait Wire: Sized {
    /// Appends the bytes of this value.
    fn put(&self, out: &mut Output);

    /// Reads it, and checks it.
    fn take(input: &mut Input<'_>) -> Result<Self, CodecError>;
}

pub struct Output {
    encoder: EncoderImpl<Sink, Settings>,
}

impl Output {
    pub fn new() -> Self {
        Self { encoder: EncoderImpl::new(Sink(Vec::new()), SETTINGS) }
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.encoder.into_writer().0
    }

    /// A varint of any value.
    #[inline]
    pub fn number(&mut self, value: u64) {
        self.write(value);
    }

    /// A count; what a merge would not stand is written as the greatest that it does.
    #[inline]
    pub fn count(&mut self, value: u64) {
        self.write(value.min(MOST));
    }

    /// A second of the run's clock.
    pub fn second(&mut self, value: u64) {
        self.write(value.min(LAST_SECOND));
    }

    /// One byte as it is.
    #[inline]
    pub fn byte(&mut self, value: u8) {
        self.write(value);
    }

    /// One byte, 0 or 1.
    pub fn flag(&mut self, value: bool) {
        self.byte(u8::from(value));
    }

    /// How many elements follow.
    #[inline]
    pub fn length(&mut self, value: usize) {
        self.write(value as u64);
    }

    /// 8 bytes. What is not finite becomes the nearest number that is.
    pub fn float(&mut self, value: f64) {
        let finite = if value.is_nan() { 0.0 } else { value.clamp(f64::MIN, f64::MAX) };
        self.write(finite);
    }

    /// A varint of any value.
    pub fn wide(&mut self, value: u128) {
        self.write(value);
    }

    /// Bytes as they are, without their length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.encoder.writer().0.extend_from_slice(bytes);
    }

    /// A text of at most `most` bytes; the rest of a longer one is cut off between characters.
    pub fn text(&mut self, text: &str, most: usize) {
        let clipped = &text[..text.floor_char_boundary(most)];
        self.length(clipped.len());
        self.raw(clipped.as_bytes());
    }

    /// Nanoseconds; five centuries at most.
    #[inline]
    pub fn duration(&mut self, value: Duration) {
        self.write(u64::try_from(value.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Nanoseconds since 1970; an earlier time is written as that.
    pub fn time(&mut self, value: SystemTime) {
        self.duration(value.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
    }

    /// The first `most` elements of a list.
    pub fn list<T: Wire>(&mut self, list: &[T], most: usize) {
        let list = &list[..list.len().min(most)];
        self.length(list.len());
        for element in list {
            element.put(self);
        }
    }

    /// A flag, and the value if there is one.
    pub fn option<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            put(self, value);
        }
    }

    #[inline]
    fn write(&mut self, value: impl Encode) {
        value.encode(&mut self.encoder).expect("a vector takes all bytes");
    }
}

/// Bytes that are read.
pub struct Input<'a> {
    decoder: DecoderImpl<Source<'a>, Settings, ()>,
}

impl<'a> Input<'a> {
    /// Begins at the first byte.
    ///
    /// # Errors
    /// Too many bytes for the greatest budget.
    pub fn new(bytes: &'a [u8]) -> Result<Self, CodecError> {
        let mut decoder = DecoderImpl::new(Source { rest: bytes }, SETTINGS, ());
        // The limit is a constant of the type. What short input may not take of it is claimed beforehand.
        let withheld = CLAIMS_MAX.checked_sub(decoded_bytes_max(bytes.len())).ok_or(CodecError::TooLarge)?;
        decoder.claim_bytes_read(withheld).map_err(error)?;
        Ok(Self { decoder })
    }

    /// How many bytes have not been read.
    pub fn left(&mut self) -> usize {
        self.decoder.reader().rest.len()
    }

    /// A varint of any value.
    #[inline]
    pub fn number(&mut self) -> Result<u64, CodecError> {
        match self.short_number() {
            Some(value) => Ok(value),
            None => self.read(),
        }
    }

    /// A varint of at most `most`.
    #[inline]
    pub fn number_within(&mut self, most: u64, what: &'static str) -> Result<u64, CodecError> {
        let value = self.number()?;
        if value <= most { Ok(value) } else { Err(CodecError::Invalid { what }) }
    }

    /// A varint that fits 32 bits.
    pub fn number_32(&mut self, what: &'static str) -> Result<u32, CodecError> {
        u32::try_from(self.number()?).map_err(|_| CodecError::Invalid { what })
    }

    /// A count, below 2^53.
    #[inline]
    pub fn count(&mut self) -> Result<u64, CodecError> {
        self.number_within(MOST, "count")
    }

    /// A second of the run's clock.
    pub fn second(&mut self) -> Result<u64, CodecError> {
        self.number_within(LAST_SECOND, "second")
    }

    /// One byte as it is.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, CodecError> {
        self.read()
    }

    /// One byte, 0 or 1.
    pub fn flag(&mut self) -> Result<bool, CodecError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CodecError::Invalid { what: "flag" }),
        }
    }

    /// How many elements follow, at most `most`. Each takes a byte at least, so that a length beyond the bytes left is none.
    pub fn length(&mut self, most: usize, what: &'static str) -> Result<usize, CodecError> {
        let length = self.number()?;
        if length > self.left() as u64 {
            return Err(CodecError::Cut);
        }
        if length > most as u64 {
            return Err(CodecError::Invalid { what });
        }
        Ok(length as usize)
    }

    /// Neither infinite nor `NaN`: neither ever stands in a message.
    pub fn float(&mut self) -> Result<f64, CodecError> {
        let value: f64 = self.read()?;
        if value.is_finite() { Ok(value) } else { Err(CodecError::Invalid { what: "number" }) }
    }

    /// A varint of any value.
    pub fn wide(&mut self) -> Result<u128, CodecError> {
        match self.short_number() {
            Some(value) => Ok(value.into()),
            None => self.read(),
        }
    }

    /// `length` bytes as they are.
    pub fn raw(&mut self, length: usize) -> Result<&'a [u8], CodecError> {
        let source = self.decoder.reader();
        let (raw, rest) = source.rest.split_at_checked(length).ok_or(CodecError::Cut)?;
        source.rest = rest;
        Ok(raw)
    }

    /// A text of at most `most` bytes, not copied.
    pub fn text(&mut self, most: usize, what: &'static str) -> Result<&'a str, CodecError> {
        let length = self.length(most, what)?;
        self.claim(length)?;
        std::str::from_utf8(self.raw(length)?).map_err(|_| CodecError::Invalid { what })
    }

    /// A text of at most `most` bytes.
    pub fn string(&mut self, most: usize, what: &'static str) -> Result<String, CodecError> {
        self.text(most, what).map(str::to_owned)
    }

    /// A text of at most `most` bytes.
    pub fn shared(&mut self, most: usize, what: &'static str) -> Result<Arc<str>, CodecError> {
        self.text(most, what).map(Arc::from)
    }

    /// A varint of nanoseconds, up to 584 years.
    #[inline]
    pub fn duration(&mut self) -> Result<Duration, CodecError> {
        self.number().map(Duration::from_nanos)
    }

    /// A varint of nanoseconds since 1970.
    pub fn time(&mut self) -> Result<SystemTime, CodecError> {
        SystemTime::UNIX_EPOCH.checked_add(self.duration()?).ok_or(CodecError::Invalid { what: "time" })
    }

    /// A list of at most `most` elements.
    pub fn list<T: Wire>(&mut self, most: usize, what: &'static str) -> Result<Vec<T>, CodecError> {
        let length = self.length(most, what)?;
        self.claim(length.saturating_mul(size_of::<T>()))?;
        let mut list = Vec::with_capacity(length);
        for _ in 0..length {
            list.push(T::take(self)?);
        }
        Ok(list)
    }

    /// A flag, and the value if there is one.
    pub fn option<T>(&mut self, take: impl FnOnce(&mut Self) -> Result<T, CodecError>) -> Result<Option<T>, CodecError> {
        if self.flag()? { take(self).map(Some) } else { Ok(None) }
    }

    /// Takes memory out of the budget, before it is allocated.
    pub fn claim(&mut self, bytes: usize) -> Result<(), CodecError> {
        self.decoder.claim_bytes_read(bytes).map_err(error)
    }

    /// A varint of at most four bytes behind its mark, which nearly all are, read without `bincode`'s detours: they took a fifth of the
    /// time of decoding. `None` leaves everything else to `bincode`, errors included. What it does not claim is no memory.
    #[inline]
    fn short_number(&mut self) -> Option<u64> {
        let source = self.decoder.reader();
        let (value, rest) = match *source.rest {
            [value @ ..ONE_BYTE_END, ref rest @ ..] => (value.into(), rest),
            [TWO_BYTES, a, b, ref rest @ ..] => (u16::from_le_bytes([a, b]).into(), rest),
            [FOUR_BYTES, a, b, c, d, ref rest @ ..] => (u32::from_le_bytes([a, b, c, d]).into(), rest),
            _ => return None,
        };
        source.rest = rest;
        Some(value)
    }

    #[inline]
    fn read<T: Decode<()>>(&mut self) -> Result<T, CodecError> {
        T::decode(&mut self.decoder).map_err(error)
    }
}

/// How much memory the decoding of `length` bytes may take: a small multiple of them.
#[must_use]
pub const fn decoded_bytes_max(length: usize) -> usize {
    length.saturating_mul(CLAIMS_PER_BYTE).saturating_add(CLAIMS_FREE)
}

/// The greatest count that a message holds: 2^53 - 1, which an `f64` still tells from its neighbours.
pub const MOST: u64 = (1 << 53) - 1;

/// No run is longer than a year.
pub const LAST_SECOND: u64 = 366 * 86_400;

/// The longest text for people: an error, a line of a log.
pub const TEXT_BYTES: usize = 16_384;

/// Bytes below it are varints as they are. With the two marks that follow, part of `bincode`'s documented layout.
const ONE_BYTE_END: u8 = 251;
const TWO_BYTES: u8 = 251;
const FOUR_BYTES: u8 = 252;

type Settings = Configuration<LittleEndian, Varint, Limit<CLAIMS_MAX>>;

const SETTINGS: Settings = bincode::config::standard().with_limit::<CLAIMS_MAX>();

/// Claims for each byte of input: a hop count without anything in it takes some 60 times its bytes; `bincode` itself claims 8 for a varint.
const CLAIMS_PER_BYTE: usize = 64;

/// Claims for whatever the input is: sets of slots, seconds in which nothing happened.
const CLAIMS_FREE: usize = 1 << 20;

const CLAIMS_MAX: usize = decoded_bytes_max(RECORD_BYTES);

struct Sink(Vec<u8>);

impl Writer for Sink {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

struct Source<'a> {
    rest: &'a [u8],
}

impl Reader for Source<'_> {
    #[inline]
    fn read(&mut self, bytes: &mut [u8]) -> Result<(), DecodeError> {
        let missing = || DecodeError::UnexpectedEnd { additional: bytes.len() };
        let (head, rest) = self.rest.split_at_checked(bytes.len()).ok_or_else(missing)?;
        bytes.copy_from_slice(head);
        self.rest = rest;
        Ok(())
    }

    #[inline]
    fn peek_read(&mut self, length: usize) -> Option<&[u8]> {
        self.rest.get(..length)
    }

    #[inline]
    fn consume(&mut self, length: usize) {
        self.rest = self.rest.get(length..).unwrap_or_default();
    }
}

#[cold]
#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn error(error: DecodeError) -> CodecError {
    match error {
        DecodeError::UnexpectedEnd { .. } => CodecError::Cut,
        DecodeError::LimitExceeded => CodecError::TooLarge,
        _ => CodecError::Invalid { what: "number" },
    }
}

/// A record is no longer than this: the totals of one worker with some thousands of names.
pub const RECORD_BYTES: usize = 256 << 20;
