//! One HTTP/2 connection as a machine (RFC 9113): bytes in, bytes out, and what its streams know. No sockets, no clocks.
//!
//! Here are the frames of heads and bodies; those of the connection itself are `control`'s, and what an answer means is `answer`'s. Whatever comes from the server is
//! bounded: heads, their pieces, frames, and replies that nobody takes.

mod control;
#[cfg(test)]
mod tests;

use std::task::Waker;
use std::time::Instant;

use super::answer::{Answer, HEAD_LIMIT, Head as Fields};
use super::decoder::Decoder;
use super::encoder::Encoder;
use super::frame::{self, Code, Head, LARGEST, STREAM_WINDOW, setting};
use super::line::Line;
use super::streams::{Ended, Stream, Streams};
use crate::protocol::http::classify::Failure;
use crate::protocol::http::exchange::Request;

/// One connection to a server.
#[derive(Debug)]
pub(super) struct Session {
    encoder: Encoder,
    decoder: Decoder,
    pub(super) streams: Streams,
    next: u32,
    limits: Limits,
    /// What we may still send, on all streams together.
    room_out: i64,
    /// What the server may still send, and what it has sent since it was last told that there is room.
    room_in: u32,
    taken_in: u32,
    /// A head whose last piece has not come.
    block: Option<Block>,
    /// The beginning of a frame.
    partial: Vec<u8>,
    /// What waits to be written, and all that ever was.
    output: Vec<u8>,
    written: u64,
    /// Bytes of `output` that answer frames of the connection's own.
    replies: usize,
    /// When something last came.
    heard_at: Option<Instant>,
    /// The server has said that it takes nothing above this stream.
    gone: Option<(u32, Code)>,
    over: Option<Over>,
    /// The server takes nothing any more.
    is_deaf: bool,
    line: Line,
    /// Frames of no stream, which the next exchange that ends is counted with: out and in.
    unclaimed: (u64, u64),
}

/// What the server allows.
#[derive(Debug)]
struct Limits {
    streams: u32,
    /// Its settings have come.
    is_known: bool,
    window: i64,
    frame: usize,
}

/// Pieces of a head.
#[derive(Debug)]
struct Block {
    stream: u32,
    ends: bool,
    bytes: Vec<u8>,
    pieces: u32,
}

/// Why a connection carries nothing more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Over {
    /// The server broke a rule.
    Broken { what: &'static str, code: Code },
    /// The server has closed it.
    Closed,
    /// It could not be read or written.
    Failed(Failure),
    /// The first that came was HTTP/1.
    Http1,
    /// The server has ended it with an error.
    GoneAway(Code),
}

/// The server has broken a rule, so that the connection ends.
type Broken = (&'static str, Code);

impl Session {
    /// A connection that begins: our settings wait to be written.
    pub(super) fn new() -> Self {
        let mut output = Vec::with_capacity(256);
        output.extend_from_slice(frame::PREFACE);
        let ours =
            [(setting::ENABLE_PUSH, 0), (setting::INITIAL_WINDOW_SIZE, STREAM_WINDOW), (setting::MAX_HEADER_LIST_SIZE, HEAD_LIMIT as u32)];
        frame::write_head(ours.len() * 6, frame::SETTINGS, 0, 0, &mut output);
        for (name, value) in ours {
            output.extend_from_slice(&name.to_be_bytes());
            output.extend_from_slice(&value.to_be_bytes());
        }
        write_window(0, CONNECTION_WINDOW - frame::DEFAULT_WINDOW, &mut output);
        Self {
            encoder: Encoder::new(),
            decoder: Decoder::new(),
            streams: Streams::default(),
            next: 1,
            // The server's own limit comes with its first frame. Until then one stream is sure not to be refused.
            limits: Limits { streams: 1, is_known: false, window: i64::from(frame::DEFAULT_WINDOW), frame: frame::DEFAULT_FRAME },
            room_out: i64::from(frame::DEFAULT_WINDOW),
            room_in: CONNECTION_WINDOW,
            taken_in: 0,
            block: None,
            partial: Vec::new(),
            unclaimed: (output.len() as u64, 0),
            output,
            written: 0,
            replies: 0,
            heard_at: None,
            gone: None,
            over: None,
            is_deaf: false,
            line: Line::default(),
        }
    }

    /// Why no stream can be opened any more; `None` where one can, sooner or later.
    pub(super) fn is_closed(&self) -> bool {
        self.over.is_some() || self.gone.is_some() || self.is_deaf || self.next > LARGEST
    }

    pub(super) fn over(&self) -> Option<&Over> {
        self.over.as_ref()
    }

    /// With what code the server said that it takes no more.
    pub(super) fn gone(&self) -> Option<Code> {
        self.gone.map(|(_, code)| code)
    }

    /// Whether a stream can be opened now by whoever holds `ticket`, or by somebody who holds none.
    pub(super) fn has_room(&self, ticket: Option<u64>) -> bool {
        self.streams.open() < self.limits.streams && self.line.is_turn_of(ticket)
    }

    /// Takes a place in the line for a stream, or stays in it.
    pub(super) fn wait(&mut self, ticket: Option<u64>, waker: &Waker) -> u64 {
        self.line.wait(ticket, waker)
    }

    /// Leaves the line; the next one looks whether there is room.
    pub(super) fn leave(&mut self, ticket: u64) {
        self.line.leave(ticket);
        self.wake_line();
    }

    /// Opens a stream for `request`, whose body follows with [`Self::send`]. There is room, and the connection is not closed.
    pub(super) fn open(&mut self, request: &Request<'_>, deadline: Instant) -> u32 {
        let id = self.next;
        self.next += 2;
        let begin = self.output.len();
        self.output.extend_from_slice(&[0; frame::HEAD_BYTES]);
        self.encoder.encode(request, &mut self.output);
        let ends = request.body.is_none_or(<[u8]>::is_empty);
        frame::finish_headers(begin, id, ends, self.limits.frame, &mut self.output);
        let mut stream = Box::new(Stream::new(id, Answer::new(request), self.limits.window, deadline));
        stream.begins = self.written + begin as u64;
        stream.bytes_out = (self.output.len() - begin) as u64;
        stream.sent_mark = ends.then(|| self.queued());
        self.streams.push(stream);
        id
    }

    /// All bytes that were ever to be written.
    fn queued(&self) -> u64 {
        self.written + self.output.len() as u64
    }

    /// Sends of `rest` what the windows have room for, and takes it away. Where something is left, the stream is woken when there is room again.
    pub(super) fn send(&mut self, id: u32, rest: &mut &[u8]) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        while !rest.is_empty() {
            let room = self.room_out.min(stream.room_out).max(0);
            let length = rest.len().min(self.limits.frame).min(usize::try_from(room).unwrap_or(usize::MAX));
            stream.wants_room = length == 0 || self.output.len() >= OUTPUT_MOST;
            if stream.wants_room {
                return;
            }
            let (part, left) = rest.split_at(length);
            *rest = left;
            let flags = if left.is_empty() { frame::END_STREAM } else { 0 };
            frame::write(frame::DATA, flags, id, part, &mut self.output);
            self.room_out -= length as i64;
            stream.room_out -= length as i64;
            stream.bytes_out += (frame::HEAD_BYTES + length) as u64;
        }
        stream.sent_mark = Some(self.written + self.output.len() as u64);
    }

    /// What waits to be written.
    pub(super) fn output(&self) -> &[u8] {
        &self.output
    }

    /// So much of it was.
    pub(super) fn on_written(&mut self, count: usize) {
        self.written += count as u64;
        if count == self.output.len() {
            self.replies = 0;
            self.output.clear();
            self.output.shrink_to(OUTPUT_KEPT);
        } else {
            self.output.drain(..count);
            self.replies = self.replies.min(self.output.len());
        }
        if self.output.len() < OUTPUT_MOST && self.room_out > 0 {
            self.streams.wake_senders();
        }
    }

    /// All that was written has gone out.
    pub(super) fn on_flushed(&mut self, now: Instant) {
        self.streams.on_written(self.written, now);
    }

    /// No stream is opened any more, since nothing can be sent.
    pub(super) fn refuse_more(&mut self) {
        self.is_deaf = true;
        self.wake_line();
    }

    /// Bytes came from the server at `now`.
    pub(super) fn on_bytes(&mut self, bytes: &[u8], now: Instant) {
        if self.over.is_some() {
            return;
        }
        if self.heard_at.replace(now).is_none() && bytes.starts_with(b"HTTP/1") {
            self.end(Over::Http1, now);
            return;
        }
        let mut rest = bytes;
        while !self.partial.is_empty() && !rest.is_empty() && self.over.is_none() {
            // First the frame's head, then what it says that follows.
            let wanted = Head::read(&self.partial).map_or(frame::HEAD_BYTES, |head| frame::HEAD_BYTES + head.length);
            let missing = (wanted - self.partial.len()).min(rest.len());
            self.partial.extend_from_slice(&rest[..missing]);
            rest = &rest[missing..];
            let mut partial = std::mem::take(&mut self.partial);
            let used = self.frames(&partial, now);
            if used < partial.len() {
                partial.drain(..used);
                self.partial = partial;
            }
        }
        if self.over.is_none() {
            let used = self.frames(rest, now);
            self.partial.extend_from_slice(&rest[used..]);
        }
        if self.over.is_some() {
            self.partial = Vec::new();
        }
    }

    /// Takes whole frames; how many bytes they were.
    fn frames(&mut self, bytes: &[u8], now: Instant) -> usize {
        let mut used = 0;
        while let Some(head) = Head::read(&bytes[used..]) {
            let payload = used + frame::HEAD_BYTES;
            let done = if head.length > frame::DEFAULT_FRAME {
                Err(("a frame larger than allowed", Code::FRAME_SIZE_ERROR))
            } else if let Some(payload) = bytes.get(payload..payload + head.length) {
                self.on_frame(head, payload, now)
            } else {
                return used;
            };
            if let Err((what, code)) = done {
                self.go_away(code);
                self.end(Over::Broken { what, code }, now);
                return used;
            }
            used = payload + head.length;
        }
        used
    }

    fn on_frame(&mut self, head: Head, payload: &[u8], now: Instant) -> Result<(), Broken> {
        if let Some(block) = &self.block
            && (head.kind != frame::CONTINUATION || head.stream != block.stream)
        {
            return Err(("a head that is cut by another frame", Code::PROTOCOL_ERROR));
        }
        let size = (frame::HEAD_BYTES + payload.len()) as u64;
        match self.streams.get_mut(head.stream) {
            Some(stream) => stream.bytes_in += size,
            None => self.unclaimed.1 += size,
        }
        match head.kind {
            frame::DATA => self.on_data(head, payload, now),
            frame::HEADERS => self.on_headers(head, payload, now),
            frame::CONTINUATION => self.on_continuation(head, payload, now),
            frame::RST_STREAM => self.on_reset(head, payload, now),
            frame::SETTINGS => self.on_settings(head, payload),
            frame::PING => self.on_ping(head, payload),
            frame::GOAWAY => self.on_go_away(head, payload, now),
            frame::WINDOW_UPDATE => self.on_window(head, payload, now),
            frame::PRIORITY if payload.len() != 5 => Err(("a priority of another length", Code::FRAME_SIZE_ERROR)),
            frame::PUSH_PROMISE => Err(("a promise that nobody asked for", Code::PROTOCOL_ERROR)),
            // Priorities mean nothing to who asks, and unknown frames nothing to anybody.
            _ => Ok(()),
        }
    }

    /// A frame is for a stream that we have opened, once.
    fn was_opened(&self, id: u32) -> Result<(), Broken> {
        if id % 2 == 1 && id < self.next { Ok(()) } else { Err(("a frame for a stream that nobody opened", Code::PROTOCOL_ERROR)) }
    }

    fn on_data(&mut self, head: Head, payload: &[u8], now: Instant) -> Result<(), Broken> {
        self.was_opened(head.stream)?;
        let data = unpadded(head, payload)?;
        let size = payload.len() as u32;
        self.room_in = self.room_in.checked_sub(size).ok_or(("more data than there is room for", Code::FLOW_CONTROL_ERROR))?;
        // Padding counts, and what comes for a stream that we have given up.
        self.taken_in += size;
        if self.taken_in >= CONNECTION_WINDOW / 2 {
            self.room_in += self.taken_in;
            self.reply(|taken, output| write_window(0, taken, output), self.taken_in);
            self.taken_in = 0;
        }
        let Some(stream) = self.streams.get_mut(head.stream).filter(|stream| stream.ended.is_none()) else { return Ok(()) };
        let Some(room) = stream.room_in.checked_sub(size) else {
            return Err(("more data on a stream than there is room for", Code::FLOW_CONTROL_ERROR));
        };
        stream.room_in = room;
        let ends = head.has(frame::END_STREAM);
        match stream.answer.on_data(data, ends) {
            Err(unfit) => self.give_up(head.stream, unfit.code(), Ended::Unfit(unfit), now),
            Ok(()) if ends => self.streams.end(head.stream, Ended::Whole, now),
            Ok(()) => {
                if let Some(taken) = stream.room_to_give() {
                    self.reply(|taken, output| write_window(head.stream, taken, output), taken);
                }
            }
        }
        Ok(())
    }

    fn on_headers(&mut self, head: Head, payload: &[u8], now: Instant) -> Result<(), Broken> {
        self.was_opened(head.stream)?;
        let mut block = unpadded(head, payload)?;
        if head.has(frame::HAS_PRIORITY) {
            block = block.get(5..).ok_or(("a priority that is cut", Code::FRAME_SIZE_ERROR))?;
        }
        let ends = head.has(frame::END_STREAM);
        if head.has(frame::END_HEADERS) {
            return self.on_block(head.stream, block, ends, now);
        }
        self.block = Some(Block { stream: head.stream, ends, bytes: block.to_vec(), pieces: 0 });
        Ok(())
    }

    fn on_continuation(&mut self, head: Head, payload: &[u8], now: Instant) -> Result<(), Broken> {
        let Some(mut block) = self.block.take() else { return Err(("a continuation of nothing", Code::PROTOCOL_ERROR)) };
        block.bytes.extend_from_slice(payload);
        block.pieces += 1;
        if head.has(frame::END_HEADERS) {
            return self.on_block(block.stream, &block.bytes, block.ends, now);
        }
        if block.pieces > PIECES_MOST || block.bytes.len() > BLOCK_MOST {
            return Err(("a head without end", Code::ENHANCE_YOUR_CALM));
        }
        self.block = Some(block);
        Ok(())
    }

    /// A whole head; one of a stream that we have given up is decoded, too, since the table must be kept.
    fn on_block(&mut self, id: u32, block: &[u8], ends: bool, now: Instant) -> Result<(), Broken> {
        let mut fields = Fields::new();
        let decoded = self.decoder.decode(block, |name, value| fields.take(name, value));
        decoded.map_err(|_| ("a head that cannot be decoded", Code::COMPRESSION_ERROR))?;
        let Some(stream) = self.streams.get_mut(id).filter(|stream| stream.ended.is_none()) else { return Ok(()) };
        match stream.answer.on_head(&fields, ends, now) {
            Err(unfit) => self.give_up(id, unfit.code(), Ended::Unfit(unfit), now),
            Ok(()) if ends => self.streams.end(id, Ended::Whole, now),
            Ok(()) => {}
        }
        Ok(())
    }

    /// Ends a stream by ourselves, and tells the server so.
    fn give_up(&mut self, id: u32, code: Code, ended: Ended, now: Instant) {
        self.reset(id, code);
        self.streams.end(id, ended, now);
    }

    fn reset(&mut self, id: u32, code: Code) {
        let before = self.output.len();
        frame::write(frame::RST_STREAM, 0, id, &code.0.to_be_bytes(), &mut self.output);
        self.unclaimed.0 += (self.output.len() - before) as u64;
    }

    /// Whatever waits is told that the connection is over.
    fn end(&mut self, over: Over, now: Instant) {
        self.over.get_or_insert(over);
        self.streams.end_all(now);
        self.streams.to_wake.extend(self.line.all().cloned());
    }

    /// The server has closed the connection at `now`, or it failed.
    pub(super) fn on_close(&mut self, failure: Option<Failure>, now: Instant) {
        self.end(failure.map_or(Over::Closed, Over::Failed), now);
    }

    /// Streams whose time is over at `now` end. The earliest of the others' deadlines.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Instant> {
        while let Some(id) = self.streams.late(now) {
            self.give_up(id, Code::CANCEL, Ended::Late, now);
            self.wake_line();
        }
        self.streams.earliest()
    }

    /// Takes a stream out: what came of it, and the bytes that it is counted with, out and in, and whether any went out. One that has not ended is given up.
    pub(super) fn take(&mut self, id: u32) -> Option<(Box<Stream>, u64, u64, bool)> {
        let mut stream = self.streams.remove(id)?;
        match stream.ended {
            // The answer came before the request was over, and the rest of it is of no use.
            Some(Ended::Whole) if stream.sent_mark.is_none() => self.reset(id, Code::NO_ERROR),
            Some(_) => {}
            None => self.reset(id, Code::CANCEL),
        }
        self.wake_line();
        let (out, back) = std::mem::take(&mut self.unclaimed);
        // What was never written did not go out.
        let unwritten = stream.sent_mark.unwrap_or(u64::MAX).min(self.queued()).saturating_sub(self.written);
        stream.bytes_out = stream.bytes_out.saturating_sub(unwritten);
        let (bytes_out, bytes_in, was_sent) = (stream.bytes_out + out, stream.bytes_in + back, self.written > stream.begins);
        Some((stream, bytes_out, bytes_in, was_sent))
    }

    /// The first in line looks again, where that is of use.
    fn wake_line(&mut self) {
        if self.is_closed() || self.streams.open() < self.limits.streams {
            self.streams.to_wake.extend(self.line.first().cloned());
        }
    }

    /// Who is to be woken, once nothing is borrowed.
    pub(super) fn take_wakers(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.streams.to_wake)
    }

    /// Tells the server that we go, for whatever reason.
    pub(super) fn go_away(&mut self, code: Code) {
        frame::write(frame::GOAWAY, 0, 0, &[[0; 4], code.0.to_be_bytes()].concat(), &mut self.output);
    }

    fn reply<T>(&mut self, write: impl FnOnce(T, &mut Vec<u8>), what: T) {
        let before = self.output.len();
        write(what, &mut self.output);
        let length = self.output.len() - before;
        self.replies += length;
        self.unclaimed.0 += length as u64;
    }
}

fn write_window(stream: u32, more: u32, output: &mut Vec<u8>) {
    frame::write(frame::WINDOW_UPDATE, 0, stream, &more.to_be_bytes(), output);
}

/// The payload without its padding (section 6.1).
fn unpadded(head: Head, payload: &[u8]) -> Result<&[u8], Broken> {
    if !head.has(frame::PADDED) {
        return Ok(payload);
    }
    let padded = payload.split_first().and_then(|(padding, rest)| rest.get(..rest.len().checked_sub(usize::from(*padding))?));
    padded.ok_or(("padding longer than its frame", Code::PROTOCOL_ERROR))
}

/// As [`STREAM_WINDOW`], on all streams together.
const CONNECTION_WINDOW: u32 = 5 << 20;

/// Pieces that a head may come in, and their bytes.
const PIECES_MOST: u32 = 32;
const BLOCK_MOST: usize = 4 * HEAD_LIMIT;

/// More of bodies waits for what is there to be written; and room that is kept between two writes.
const OUTPUT_MOST: usize = 64 << 10;
const OUTPUT_KEPT: usize = 1 << 10;

/// Replies that the server does not take.
const REPLIES_MOST: usize = 64 << 10;
