//! The body of an answer as it came: framing undone, counted, bounded, kept or thrown away. Unpacking is `unpack`'s, and only when somebody looks.

use std::borrow::Cow;

use super::classify::Failure;
use super::kept::{Kept, UNCOUNTED_BYTES, make_room};
use super::memory::Lease;
use super::unpack::{Encodings, Unpacker, stated_length};

/// The body of an answer as it came.
#[derive(Debug, Default)]
pub struct Body {
    bytes: Vec<u8>,
    /// Bytes that came, kept or not.
    count: u64,
    limit: u64,
    discard: bool,
    encodings: Encodings,
    /// Of a body that is thrown away: its first bytes and its last, which may state its length.
    ends: Option<Box<Ends>>,
    /// Of a large one.
    lease: Option<Lease>,
}

impl Body {
    /// Nothing has come. No more than `limit` bytes may, packed or unpacked.
    pub(super) fn new(limit: u64, discard: bool) -> Self {
        Self { limit, discard, ..Self::default() }
    }

    /// Bytes to come are packed so.
    pub(super) fn is_packed_by(&mut self, encodings: Encodings) {
        if self.discard && !encodings.is_empty() {
            self.ends = Some(Box::default());
        }
        self.encodings = encodings;
    }

    /// `length` bytes will come.
    pub(super) fn expect(&mut self, length: u64) {
        if !self.discard {
            let reserve = length.min(self.limit).min(UNCOUNTED_BYTES as u64);
            self.bytes.reserve_exact(usize::try_from(reserve).unwrap_or(0));
        }
    }

    /// Takes bytes as they came.
    ///
    /// # Errors
    /// `too_large` past the limit; `local` where all bodies together would take too much memory.
    pub(super) fn push(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.count += data.len() as u64;
        if self.count > self.limit {
            return Err(Failure::too_large(self.limit));
        }
        if self.discard {
            if let Some(ends) = &mut self.ends {
                ends.note(data);
            }
            return Ok(());
        }
        make_room(&mut self.bytes, data.len(), self.limit, &mut self.lease)?;
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// The bytes as they came; none where they were to be thrown away.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The first bytes of the unpacked body, for people to see; what cannot be unpacked is left out.
    #[must_use]
    pub fn beginning(&self) -> Cow<'_, [u8]> {
        if !self.is_packed() {
            return Cow::Borrowed(&self.bytes);
        }
        let packed = Kept { bytes: self.bytes.clone(), lease: None };
        let mut unpacker = Unpacker::new(packed, self.encodings, self.limit);
        loop {
            match unpacker.step() {
                Ok(Some(plain)) => return Cow::Owned(plain.bytes),
                Ok(None) if unpacker.output().len() < BEGINNING_BYTES => {}
                Ok(None) | Err(_) => return Cow::Owned(unpacker.output().to_vec()),
            }
        }
    }

    /// Whether the bytes have to be unpacked before they mean anything.
    #[must_use]
    pub fn is_packed(&self) -> bool {
        !self.encodings.is_empty() && self.count > 0
    }

    /// The length of the unpacked body, where it is known without unpacking: that of a plain one, or what the last bytes of gzip or the first ones of zstd
    /// state.
    #[must_use]
    pub fn plain_length(&self) -> Option<u64> {
        if !self.is_packed() {
            return Some(self.count);
        }
        match &self.ends {
            Some(ends) => stated_length(&self.encodings, &ends.first, &ends.last, self.count),
            None => stated_length(&self.encodings, &self.bytes, &self.bytes, self.count),
        }
    }

    /// Takes the bytes away, to be unpacked.
    #[must_use]
    pub fn take_packed(&mut self) -> Unpacker {
        let packed = Kept { bytes: std::mem::take(&mut self.bytes), lease: self.lease.take() };
        Unpacker::new(packed, std::mem::take(&mut self.encodings), self.limit)
    }

    /// The body is this from here on.
    pub fn put_plain(&mut self, plain: Kept) {
        self.count = plain.bytes.len() as u64;
        (self.bytes, self.lease) = (plain.bytes, plain.lease);
        self.encodings = Encodings::default();
    }

    /// Takes the bytes away, packed or not.
    #[must_use]
    pub fn take(&mut self) -> Kept {
        Kept { bytes: std::mem::take(&mut self.bytes), lease: self.lease.take() }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self { count: bytes.len() as u64, limit: u64::MAX, bytes, ..Self::default() }
    }
}

/// What is known of a packed body that is thrown away.
#[derive(Debug, Default)]
struct Ends {
    first: Vec<u8>,
    last: Vec<u8>,
}

impl Ends {
    fn note(&mut self, data: &[u8]) {
        let room = END_BYTES.saturating_sub(self.first.len()).min(data.len());
        self.first.extend_from_slice(&data[..room]);
        self.last.extend_from_slice(&data[data.len().saturating_sub(END_BYTES)..]);
        self.last.drain(..self.last.len().saturating_sub(END_BYTES));
    }
}

/// More than people read.
const BEGINNING_BYTES: usize = 16 * 1024;
/// A zstd frame states its length within the first 18 bytes; gzip in its last 4.
const END_BYTES: usize = 18;

#[cfg(test)]
mod tests {
    use crate::protocol::http::BodyMemory;
    use std::io::Write;

    use super::*;
    use crate::protocol::http::FailureKind;

    #[test]
    fn people_see_the_beginning_of_a_packed_body() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&[b'x'; 1_000_000]).unwrap();
        let packed = packer.finish().unwrap();
        let mut body = Body::new(u64::MAX, false);
        body.push(&packed).unwrap();
        assert_eq!(body.beginning(), packed);
        body.is_packed_by(Encodings::of(std::iter::once(&b"gzip"[..])));
        let beginning = body.beginning();
        assert!(beginning.len() >= BEGINNING_BYTES && beginning.len() < 100_000 && beginning.iter().all(|&byte| byte == b'x'));
        assert!(body.is_packed() && body.bytes() == packed);
    }

    #[test]
    fn a_large_body_is_counted_and_given_back_with_its_bytes() {
        let memory = BodyMemory::of_test(1 << 20);
        let mut body = Body { lease: Some(Lease::new(memory)), ..Body::new(u64::MAX, false) };
        body.push(&[1; UNCOUNTED_BYTES]).unwrap();
        assert_eq!(memory.held(), 0);
        body.push(&[1; 300_000]).unwrap();
        assert!(memory.held() >= 300_000 + UNCOUNTED_BYTES as u64);
        let failure = (0..10).find_map(|_| body.push(&[1; 300_000]).err()).expect("three megabytes do not fit into one");
        assert_eq!(failure.kind, FailureKind::Local);
        let kept = body.take();
        drop(body);
        assert!(memory.held() > 0);
        drop(kept);
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn past_its_limit_a_body_is_too_large_discarded_or_not() {
        for discard in [false, true] {
            let mut body = Body::new(10, discard);
            body.push(b"0123456789").unwrap();
            assert_eq!(body.push(b"x").unwrap_err(), Failure::too_large(10));
        }
    }

    #[test]
    fn the_ends_of_what_is_thrown_away_are_known_from_any_split() {
        let data: Vec<u8> = (0..100).collect();
        for piece in 1..=100 {
            let mut ends = Ends::default();
            data.chunks(piece).for_each(|part| ends.note(part));
            assert_eq!((&ends.first[..], &ends.last[..]), (&data[..END_BYTES], &data[100 - END_BYTES..]), "pieces of {piece}");
        }
    }
}
