//! The frames by which the two ends of a connection agree: settings, pings, windows, farewells and resets.

use std::time::Instant;

use super::{Broken, Over, REPLIES_MOST, Session};
use crate::protocol::http::http2::frame::{self, Code, Head, LARGEST, setting};
use crate::protocol::http::http2::streams::Ended;

impl Session {
    pub(super) fn on_settings(&mut self, head: Head, payload: &[u8]) -> Result<(), Broken> {
        if head.stream != 0 {
            return Err(("settings of a stream", Code::PROTOCOL_ERROR));
        }
        if head.has(frame::ACK) {
            return if payload.is_empty() { Ok(()) } else { Err(("an acknowledgement with something in it", Code::FRAME_SIZE_ERROR)) };
        }
        let (settings, []) = payload.as_chunks::<6>() else { return Err(("settings of an odd length", Code::FRAME_SIZE_ERROR)) };
        if !std::mem::replace(&mut self.limits.is_known, true) {
            self.limits.streams = u32::MAX;
        }
        for [a, b, value @ ..] in settings {
            let value = u32::from_be_bytes(*value);
            match u16::from_be_bytes([*a, *b]) {
                setting::HEADER_TABLE_SIZE => self.encoder.resize(value),
                setting::ENABLE_PUSH if value != 0 => return Err(("a push that a server cannot take", Code::PROTOCOL_ERROR)),
                setting::MAX_CONCURRENT_STREAMS => self.limits.streams = value,
                setting::INITIAL_WINDOW_SIZE if value > LARGEST => return Err(("a window above the largest", Code::FLOW_CONTROL_ERROR)),
                setting::INITIAL_WINDOW_SIZE => {
                    let change = i64::from(value) - self.limits.window;
                    self.limits.window = i64::from(value);
                    if !self.streams.widen(change) {
                        return Err(("a window that grows too far", Code::FLOW_CONTROL_ERROR));
                    }
                }
                setting::MAX_FRAME_SIZE if !(1 << 14..1 << 24).contains(&value) => {
                    return Err(("a frame size that is none", Code::PROTOCOL_ERROR));
                }
                setting::MAX_FRAME_SIZE => self.limits.frame = value as usize,
                // A limit for our heads that is only advice, and what nobody knows.
                _ => {}
            }
        }
        self.reply(|(), output| frame::write(frame::SETTINGS, frame::ACK, 0, &[], output), ());
        self.streams.wake_senders();
        self.wake_line();
        self.check_replies()
    }

    pub(super) fn on_ping(&mut self, head: Head, payload: &[u8]) -> Result<(), Broken> {
        if head.stream != 0 {
            return Err(("a ping on a stream", Code::PROTOCOL_ERROR));
        }
        if payload.len() != 8 {
            return Err(("a ping of an odd length", Code::FRAME_SIZE_ERROR));
        }
        if head.has(frame::ACK) {
            return Ok(());
        }
        self.reply(|payload, output| frame::write(frame::PING, frame::ACK, 0, payload, output), payload);
        self.check_replies()
    }

    pub(super) fn on_go_away(&mut self, head: Head, payload: &[u8], now: Instant) -> Result<(), Broken> {
        let Some(([a, b, c, d], rest)) = payload.split_first_chunk::<4>() else {
            return Err(("a farewell that is cut", Code::FRAME_SIZE_ERROR));
        };
        let Some(code) = rest.first_chunk::<4>() else { return Err(("a farewell that is cut", Code::FRAME_SIZE_ERROR)) };
        if head.stream != 0 {
            return Err(("a farewell on a stream", Code::PROTOCOL_ERROR));
        }
        let (last, code) = (u32::from_be_bytes([*a, *b, *c, *d]) & LARGEST, Code(u32::from_be_bytes(*code)));
        self.gone = Some((last, code));
        self.streams.end_above(last, code, now);
        // RFC 9113, section 5.4.1: whoever says so of an error closes the connection; some do not, and no answer comes either way.
        if code != Code::NO_ERROR {
            self.end(Over::GoneAway(code), now);
        }
        self.wake_line();
        Ok(())
    }

    pub(super) fn on_reset(&mut self, head: Head, payload: &[u8], now: Instant) -> Result<(), Broken> {
        self.was_opened(head.stream)?;
        let code = u32::from_be_bytes(payload.try_into().map_err(|_| ("a reset of another length", Code::FRAME_SIZE_ERROR))?);
        self.streams.end(head.stream, Ended::Reset(Code(code)), now);
        Ok(())
    }

    pub(super) fn on_window(&mut self, head: Head, payload: &[u8], now: Instant) -> Result<(), Broken> {
        let more = u32::from_be_bytes(payload.try_into().map_err(|_| ("a window of another length", Code::FRAME_SIZE_ERROR))?) & LARGEST;
        if head.stream == 0 {
            self.room_out += i64::from(more);
            if more == 0 {
                return Err(("a window that grows by nothing", Code::PROTOCOL_ERROR));
            }
            if self.room_out > i64::from(LARGEST) {
                return Err(("a window that grows too far", Code::FLOW_CONTROL_ERROR));
            }
            self.streams.wake_senders();
            return Ok(());
        }
        self.was_opened(head.stream)?;
        let Some(stream) = self.streams.get_mut(head.stream).filter(|stream| stream.ended.is_none()) else { return Ok(()) };
        stream.room_out += i64::from(more);
        if more == 0 || stream.room_out > i64::from(LARGEST) {
            let code = if more == 0 { Code::PROTOCOL_ERROR } else { Code::FLOW_CONTROL_ERROR };
            self.give_up(head.stream, code, Ended::BadWindow(code), now);
        } else {
            self.streams.wake_senders();
        }
        Ok(())
    }

    /// Whether nothing at all has come since `moment`.
    pub(in crate::protocol::http::http2) fn is_silent_since(&self, moment: Instant) -> bool {
        self.heard_at.is_none_or(|heard_at| heard_at < moment)
    }

    /// A server that asks and asks, and takes no reply, shall not fill our memory.
    fn check_replies(&self) -> Result<(), Broken> {
        if self.replies > REPLIES_MOST { Err(("questions whose replies it does not take", Code::ENHANCE_YOUR_CALM)) } else { Ok(()) }
    }
}
