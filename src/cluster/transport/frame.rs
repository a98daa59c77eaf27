//! Frames on a link's stream: four bytes of length (big endian), then the payload.
//!
//! Owns how they are sent and put together again. A length is only announced: memory is taken as the bytes arrive.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use quinn::{ReadError, RecvStream, SendStream, StoppedError, WriteError};
use tokio::time::timeout;

use super::connected::{Connected, end_in_words, is_orderly};

/// Sends frames, in order.
#[derive(Debug)]
pub struct FrameSender {
    stream: SendStream,
    /// What a cancelled [`FrameSender::send`] left to be written: less than one frame.
    unsent: Bytes,
    connected: Arc<Connected>,
}

impl FrameSender {
    pub(super) fn new(stream: SendStream, connected: Arc<Connected>) -> Self {
        Self { stream, unsent: Bytes::new(), connected }
    }

    /// Hands one frame to the link. It is on its way when this returns, not yet arrived. Small frames that are sent without
    /// a pause between them share packets.
    ///
    /// A call that is cancelled has sent its frame whole or not at all: what of it was not written yet goes out with the next.
    ///
    /// # Errors
    ///
    /// When the payload is over [`FRAME_BYTES_MAX`], when the link is gone, or when the peer takes nothing for 30 s.
    pub async fn send(&mut self, payload: &[u8]) -> Result<(), FrameError> {
        let too_long = FrameError::TooLong { bytes: payload.len(), limit: FRAME_BYTES_MAX };
        if payload.len() > FRAME_BYTES_MAX {
            return Err(too_long);
        }
        let length = u32::try_from(payload.len()).map_err(|_| too_long)?;
        self.write_unsent().await?;
        let mut frame = BytesMut::with_capacity(HEADER_BYTES + payload.len());
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(payload);
        self.unsent = frame.freeze();
        self.write_unsent().await
    }

    /// Ends the stream after the last frame and waits, at most `deadline`, until the peer has all of it. After that the link
    /// may be closed and nothing is lost.
    ///
    /// # Errors
    ///
    /// When the link is gone, or the deadline passes first.
    pub async fn finish(&mut self, deadline: Duration) -> Result<(), FrameError> {
        let all = async {
            self.write_unsent().await?;
            // Ending a stream twice is no fault.
            drop(self.stream.finish());
            match self.stream.stopped().await {
                Ok(None) => Ok(()),
                Ok(Some(_)) => Err(FrameError::Lost { reason: "the peer reads no more".into() }),
                Err(StoppedError::ConnectionLost(end)) => Err(FrameError::from_end(&end)),
                Err(StoppedError::ZeroRttRejected) => Err(FrameError::Lost { reason: StoppedError::ZeroRttRejected.to_string() }),
            }
        };
        timeout(deadline, all).await.unwrap_or(Err(FrameError::Stalled { waited: deadline }))
    }

    /// The link that it sends on.
    pub(super) fn connected(&self) -> &Arc<Connected> {
        &self.connected
    }

    async fn write_unsent(&mut self) -> Result<(), FrameError> {
        while !self.unsent.is_empty() {
            // Cancelled, it has written nothing; done, it has cut off what it wrote.
            let write = self.stream.write_chunks(std::slice::from_mut(&mut self.unsent));
            match timeout(SEND_DEADLINE, write).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(FrameError::from_write(&error)),
                Err(_) => return Err(FrameError::Stalled { waited: SEND_DEADLINE }),
            }
        }
        Ok(())
    }
}

/// Receives frames, in order.
#[derive(Debug)]
pub struct FrameReceiver {
    stream: RecvStream,
    assembly: Assembly,
    /// Keeps the link's place among the master's links.
    _connected: Arc<Connected>,
}

impl FrameReceiver {
    pub(super) fn new(stream: RecvStream, connected: Arc<Connected>) -> Self {
        Self { stream, assembly: Assembly::new(FRAME_BYTES_MAX), _connected: connected }
    }

    /// Refuses frames over `limit` bytes, from the next one on. It is [`FRAME_BYTES_MAX`] until set.
    pub fn set_limit(&mut self, limit: usize) {
        self.assembly.limit = limit;
    }

    /// The next frame; nothing when the peer has ended its stream after a whole one. Waits without a deadline: the link
    /// itself ends after ten seconds of silence, keep-alives included. Cancelled, it loses nothing.
    ///
    /// # Errors
    ///
    /// When a length over the limit is announced (then and ever after), or when the link ends otherwise.
    pub async fn receive(&mut self) -> Result<Option<Bytes>, FrameError> {
        loop {
            if let Some(frame) = self.assembly.take()? {
                return Ok(Some(frame));
            }
            match self.stream.read_chunk(CHUNK_BYTES_MAX, true).await {
                Ok(Some(chunk)) => self.assembly.push(chunk.bytes),
                Ok(None) if self.assembly.is_between_frames() => return Ok(None),
                Ok(None) => return Err(FrameError::Torn),
                Err(ReadError::ConnectionLost(end)) => return Err(FrameError::from_end(&end)),
                Err(error) => return Err(FrameError::Lost { reason: error.to_string() }),
            }
        }
    }
}

/// Why no frame comes or goes any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text of an error says what its fields are")]
pub enum FrameError {
    /// Longer than the limit: sent by a bug of ours, or announced by a peer that means no good.
    #[error("a frame of {bytes} bytes is over the limit of {limit}")]
    TooLong { bytes: usize, limit: usize },
    /// The peer ended its stream inside a frame.
    #[error("the peer's stream ended inside a frame")]
    Torn,
    /// The peer closed the link on purpose, or this side did.
    #[error("the link was closed: {reason}")]
    Closed { reason: String },
    /// The link broke: silence, a peer that was restarted, a fault of the protocol.
    #[error("the link is lost: {reason}")]
    Lost {
        /// What happened, in words.
        reason: String,
    },
    /// The peer lives, but takes nothing.
    #[error("the peer took nothing for {waited:?}")]
    Stalled { waited: Duration },
}

impl FrameError {
    fn from_end(end: &quinn::ConnectionError) -> Self {
        let reason = end_in_words(end);
        if is_orderly(end) { Self::Closed { reason } } else { Self::Lost { reason } }
    }

    fn from_write(error: &WriteError) -> Self {
        match error {
            WriteError::ConnectionLost(end) => Self::from_end(end),
            WriteError::Stopped(_) => Self::Lost { reason: "the peer reads no more".into() },
            error => Self::Lost { reason: error.to_string() },
        }
    }
}

/// Puts frames together from pieces that come in any size.
#[derive(Debug)]
struct Assembly {
    limit: usize,
    /// Arrived and not looked at.
    arrived: Bytes,
    header: [u8; HEADER_BYTES],
    header_filled: usize,
    /// The frame so far. Grows by what arrives, never by what is announced.
    payload: BytesMut,
}

impl Assembly {
    fn new(limit: usize) -> Self {
        Self { limit, arrived: Bytes::new(), header: [0; HEADER_BYTES], header_filled: 0, payload: BytesMut::new() }
    }

    /// Takes a piece in. Only called when [`Assembly::take`] has used up the one before.
    fn push(&mut self, piece: Bytes) {
        debug_assert!(self.arrived.is_empty(), "a piece was pushed over another");
        self.arrived = piece;
    }

    /// The next whole frame; nothing when more must arrive first.
    fn take(&mut self) -> Result<Option<Bytes>, FrameError> {
        while self.header_filled < HEADER_BYTES {
            if self.arrived.is_empty() {
                return Ok(None);
            }
            let part = self.arrived.split_to((HEADER_BYTES - self.header_filled).min(self.arrived.len()));
            self.header[self.header_filled..self.header_filled + part.len()].copy_from_slice(&part);
            self.header_filled += part.len();
        }
        let length = usize::try_from(u32::from_be_bytes(self.header)).unwrap_or(usize::MAX);
        if length > self.limit {
            return Err(FrameError::TooLong { bytes: length, limit: self.limit });
        }
        let missing = length - self.payload.len();
        if self.arrived.len() < missing {
            self.payload.extend_from_slice(&self.arrived);
            self.arrived.clear();
            return Ok(None);
        }
        let rest = self.arrived.split_to(missing);
        self.header_filled = 0;
        if self.payload.is_empty() {
            return Ok(Some(rest)); // It came in one piece: nothing is copied.
        }
        self.payload.extend_from_slice(&rest);
        Ok(Some(std::mem::take(&mut self.payload).freeze()))
    }

    fn is_between_frames(&self) -> bool {
        self.header_filled == 0 && self.arrived.is_empty()
    }
}

/// The longest frame that is sent, and that is received unless [`FrameReceiver::set_limit`] says otherwise: 8 MiB.
pub const FRAME_BYTES_MAX: usize = 8 * 1024 * 1024;
const HEADER_BYTES: usize = 4;
/// How much one reading of the stream takes at most.
const CHUNK_BYTES_MAX: usize = 64 * 1024;
/// A peer that takes nothing for so long, though its connection lives, is stuck.
const SEND_DEADLINE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(payloads: &[Vec<u8>]) -> Vec<u8> {
        payloads.iter().flat_map(|payload| (payload.len() as u32).to_be_bytes().into_iter().chain(payload.iter().copied())).collect()
    }

    proptest! {
        #[test]
        fn frames_come_out_whole_however_the_bytes_are_cut(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..12),
            cuts in proptest::collection::vec(1_usize..30, 1..40),
        ) {
            let stream = framed(&payloads);
            let mut assembly = Assembly::new(64);
            let mut frames = Vec::new();
            let (mut rest, mut cuts) = (stream.as_slice(), cuts.into_iter().cycle());
            while !rest.is_empty() {
                let (piece, later) = rest.split_at(cuts.next().unwrap().min(rest.len()));
                assembly.push(Bytes::copy_from_slice(piece));
                while let Some(frame) = assembly.take().unwrap() {
                    frames.push(frame.to_vec());
                }
                rest = later;
            }
            prop_assert_eq!(frames, payloads);
            prop_assert!(assembly.is_between_frames());
        }

        #[test]
        fn no_bytes_at_all_break_the_assembly(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 0..20)) {
            let mut assembly = Assembly::new(1_000);
            for piece in pieces {
                assembly.push(Bytes::from(piece));
                loop {
                    match assembly.take() {
                        Ok(Some(frame)) => prop_assert!(frame.len() <= 1_000),
                        Ok(None) => break,
                        Err(error) => {
                            prop_assert!(matches!(error, FrameError::TooLong { limit: 1_000, .. }), "{:?}", error);
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn an_announced_length_takes_no_memory() {
        let mut assembly = Assembly::new(FRAME_BYTES_MAX);
        let mut bytes = (FRAME_BYTES_MAX as u32).to_be_bytes().to_vec();
        bytes.extend_from_slice(b"a few");
        assembly.push(Bytes::from(bytes));
        assert_eq!(assembly.take(), Ok(None));
        assert!(assembly.payload.capacity() < 1_024, "{} bytes taken", assembly.payload.capacity());
        assert!(!assembly.is_between_frames());
    }

    #[test]
    fn a_length_over_the_limit_is_refused_then_and_ever_after() {
        let mut assembly = Assembly::new(10);
        assembly.push(Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 1, 2, 3]));
        let refusal = Err(FrameError::TooLong { bytes: 0xffff_ffff, limit: 10 });
        assert_eq!(assembly.take(), refusal);
        assert_eq!(assembly.take(), refusal);
        assert_eq!(assembly.payload.capacity(), 0);
    }
}
