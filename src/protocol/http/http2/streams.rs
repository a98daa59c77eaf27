//! The streams of a connection that somebody waits for: their windows, their times, who is woken when they end.

use std::task::Waker;
use std::time::Instant;

use super::answer::{Answer, Unfit};
use super::frame::{Code, LARGEST, STREAM_WINDOW};

/// One request and its answer.
#[derive(Debug)]
pub(super) struct Stream {
    id: u32,
    pub(super) answer: Answer,
    /// `None` while it is under way.
    pub(super) ended: Option<Ended>,
    pub(super) ended_at: Option<Instant>,
    deadline: Instant,
    /// Who waits for its end, or for room.
    pub(super) waker: Option<Waker>,
    /// What we may still send. Below 0 where the server has made its windows smaller.
    pub(super) room_out: i64,
    /// Something is left to be sent, and there was no room for it.
    pub(super) wants_room: bool,
    /// What the server may still send.
    pub(super) room_in: u32,
    /// Where its request begins and ends among all bytes of the connection; no end as long as not all of it is queued.
    pub(super) begins: u64,
    pub(super) sent_mark: Option<u64>,
    /// When the last byte of the request was written.
    pub(super) sent_at: Option<Instant>,
    /// Of its frames, with their heads.
    pub(super) bytes_out: u64,
    pub(super) bytes_in: u64,
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// The whole answer has come.
    Whole,
    /// Its time is over.
    Late,
    /// What came is not acceptable.
    Unfit(Unfit),
    /// A window that broke the rules.
    BadWindow(Code),
    /// The server has reset it.
    Reset(Code),
    /// The server has said that it will not process it.
    GoneAway(Code),
    /// The connection is over; the session says why.
    Lost,
}

impl Stream {
    pub(super) fn new(id: u32, answer: Answer, window: i64, deadline: Instant) -> Self {
        Self {
            id,
            answer,
            ended: None,
            ended_at: None,
            deadline,
            waker: None,
            room_out: window,
            wants_room: false,
            room_in: STREAM_WINDOW,
            begins: 0,
            sent_mark: None,
            sent_at: None,
            bytes_out: 0,
            bytes_in: 0,
        }
    }

    /// How much room the server is given back, once that is worth a frame.
    pub(super) fn room_to_give(&mut self) -> Option<u32> {
        let taken = STREAM_WINDOW - self.room_in;
        (taken >= STREAM_WINDOW / 2).then(|| {
            self.room_in = STREAM_WINDOW;
            taken
        })
    }
}

/// The streams of a connection, in the order in which they were opened.
#[derive(Debug, Default)]
pub(super) struct Streams {
    #[expect(clippy::vec_box, reason = "they are large, and those behind one that goes are moved")]
    all: Vec<Box<Stream>>,
    /// How many of them are under way.
    open: u32,
    /// Who is to be woken.
    pub(super) to_wake: Vec<Waker>,
}

impl Streams {
    /// How many are under way.
    pub(super) fn open(&self) -> u32 {
        self.open
    }

    pub(super) fn push(&mut self, stream: Box<Stream>) {
        self.open += 1;
        if self.all.capacity() == 0 {
            // Most users ask one thing at a time; the usual growth would begin at four.
            self.all.reserve_exact(1);
        }
        self.all.push(stream);
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Stream> {
        let at = self.all.binary_search_by_key(&id, |stream| stream.id).ok()?;
        self.all.get_mut(at).map(|stream| &mut **stream)
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<Box<Stream>> {
        let at = self.all.binary_search_by_key(&id, |stream| stream.id).ok()?;
        let stream = self.all.remove(at);
        self.open -= u32::from(stream.ended.is_none());
        Some(stream)
    }

    /// The stream is over, unless it is already.
    pub(super) fn end(&mut self, id: u32, ended: Ended, now: Instant) {
        let Some(stream) = self.get_mut(id).filter(|stream| stream.ended.is_none()) else { return };
        (stream.ended, stream.ended_at) = (Some(ended), Some(now));
        let waker = stream.waker.take();
        self.open -= 1;
        self.to_wake.extend(waker);
    }

    /// All above `last` will not be processed.
    pub(super) fn end_above(&mut self, last: u32, code: Code, now: Instant) {
        self.end_each(|stream| stream.id > last, &Ended::GoneAway(code), now);
    }

    /// All of them are lost with their connection.
    pub(super) fn end_all(&mut self, now: Instant) {
        self.end_each(|_| true, &Ended::Lost, now);
    }

    fn end_each(&mut self, is_meant: impl Fn(&Stream) -> bool, ended: &Ended, now: Instant) {
        let ids: Vec<u32> = self.all.iter().filter(|stream| is_meant(stream)).map(|stream| stream.id).collect();
        for id in ids {
            self.end(id, ended.clone(), now);
        }
    }

    /// A stream under way whose time is over.
    pub(super) fn late(&self, now: Instant) -> Option<u32> {
        self.all.iter().find(|stream| stream.ended.is_none() && stream.deadline <= now).map(|stream| stream.id)
    }

    /// The first moment at which the time of one is over.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.all.iter().filter(|stream| stream.ended.is_none()).map(|stream| stream.deadline).min()
    }

    /// All up to this byte of the connection is written.
    pub(super) fn on_written(&mut self, written: u64, now: Instant) {
        for stream in &mut self.all {
            if stream.sent_at.is_none() && stream.sent_mark.is_some_and(|mark| mark <= written) {
                stream.sent_at = Some(now);
            }
        }
    }

    /// There may be room again for those who wait for it.
    pub(super) fn wake_senders(&mut self) {
        for stream in self.all.iter_mut().filter(|stream| stream.wants_room) {
            stream.wants_room = false;
            self.to_wake.extend(stream.waker.take());
        }
    }

    /// All windows grow by so much, or shrink. False where one is too large then.
    #[must_use]
    pub(super) fn widen(&mut self, change: i64) -> bool {
        for stream in &mut self.all {
            stream.room_out += change;
        }
        self.all.iter().all(|stream| stream.room_out <= i64::from(LARGEST))
    }
}
