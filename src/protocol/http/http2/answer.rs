//! One answer as it comes over HTTP/2: its head checked (RFC 9113, section 8), its body counted and kept.

use std::cell::Cell;
use std::time::Instant;

use super::frame::Code;
use crate::protocol::http::body::Body;
use crate::protocol::http::classify::Failure;
use crate::protocol::http::exchange::Request;
use crate::protocol::http::headers::Headers;
use crate::protocol::http::unpack::Encodings;

/// What has come of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// 0 until the head has come; interim ones do not count.
    pub(super) status: u16,
    pub(super) headers: Headers,
    pub(super) body: Body,
    /// When the head was read.
    pub(super) first_byte_at: Option<Instant>,
    /// The length that the head states.
    length: Option<u64>,
    /// Bytes of the body so far, whatever its length.
    count: u64,
    is_to_head: bool,
    unpacks: bool,
}

/// Why an answer is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It breaks a rule of HTTP.
    Malformed(String),
    /// What came is no rule's fault: too much of it.
    ByUs(Failure),
}

impl Answer {
    pub(super) fn new(request: &Request<'_>) -> Self {
        Self {
            status: 0,
            headers: Headers::default(),
            body: Body::new(request.body_limit, request.discard),
            first_byte_at: None,
            length: None,
            count: 0,
            is_to_head: request.method == "HEAD",
            unpacks: request.decode && request.method != "HEAD",
        }
    }

    /// A header block has come. `ends`: nothing comes behind it.
    ///
    /// # Errors
    /// See [`Unfit`].
    pub(super) fn on_head(&mut self, head: &Head, ends: bool, now: Instant) -> Result<(), Unfit> {
        if head.size > HEAD_LIMIT {
            return Err(Unfit::Malformed(format!("the head of the answer is larger than {HEAD_LIMIT} bytes")));
        }
        if let Some(fault) = head.fault {
            return Err(malformed(fault));
        }
        if self.status != 0 {
            // Trailers: they end the answer, and nobody looks at them.
            return match (ends, head.status) {
                (true, None) => self.on_end(),
                (true, Some(_)) => Err(malformed("a status behind the body")),
                (false, _) => Err(malformed("fields behind the body that do not end it")),
            };
        }
        let Some(status) = head.status else { return Err(malformed("there is no status")) };
        if status < 200 {
            return if ends || status == 101 { Err(malformed("an interim answer that cannot be")) } else { Ok(()) };
        }
        (self.status, self.first_byte_at, self.length) = (status, Some(now), head.length);
        self.headers = Headers::from_block(&head.block, head.sets_cookies);
        if self.unpacks && head.is_encoded {
            self.body.is_packed_by(Encodings::of(self.headers.all("content-encoding")));
        }
        if ends {
            return self.on_end();
        }
        if let Some(length) = self.length {
            self.body.expect(length);
        }
        Ok(())
    }

    /// Bytes of the body have come, without padding.
    ///
    /// # Errors
    /// See [`Unfit`].
    pub(super) fn on_data(&mut self, data: &[u8], ends: bool) -> Result<(), Unfit> {
        if self.status == 0 {
            return Err(Unfit::Malformed("data before the head".to_owned()));
        }
        self.count += data.len() as u64;
        if let Some(length) = self.length.filter(|length| self.count > *length) {
            return Err(wrong_length(length));
        }
        self.body.push(data).map_err(Unfit::ByUs)?;
        if ends { self.on_end() } else { Ok(()) }
    }

    fn on_end(&self) -> Result<(), Unfit> {
        let has_none = self.is_to_head || matches!(self.status, 204 | 304);
        match self.length {
            Some(length) if length != self.count && !(has_none && self.count == 0) => Err(wrong_length(length)),
            Some(_) | None => Ok(()),
        }
    }
}

fn wrong_length(stated: u64) -> Unfit {
    Unfit::Malformed(format!("the body is not as long as its content-length of {stated} says"))
}

fn malformed(what: &str) -> Unfit {
    Unfit::Malformed(format!("the head of the answer is malformed: {what}"))
}

/// The fields of one header block.
#[derive(Debug)]
pub(super) struct Head {
    status: Option<u16>,
    /// Lines as [`Headers`] has them.
    block: Vec<u8>,
    /// As the standard counts it.
    size: usize,
    length: Option<u64>,
    sets_cookies: bool,
    is_encoded: bool,
    fault: Option<&'static str>,
}

impl Head {
    /// A head of which nothing has come.
    pub(super) fn new() -> Self {
        let mut block = BLOCK.take();
        block.clear();
        Self { status: None, block, size: 0, length: None, sets_cookies: false, is_encoded: false, fault: None }
    }

    /// The next field, as it was decoded. What is wrong with it is told once the block is whole, since the table has to be kept.
    pub(super) fn take(&mut self, name: &[u8], value: &[u8]) {
        self.size += name.len() + value.len() + super::fields::OVERHEAD;
        if self.size > HEAD_LIMIT || self.fault.is_some() {
            return;
        }
        if let Err(fault) = self.try_take(name, value) {
            self.fault = Some(fault);
        }
    }

    fn try_take(&mut self, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
        if let [b':', pseudo @ ..] = name {
            if pseudo != b"status" || self.status.is_some() || !self.block.is_empty() {
                return Err("a pseudo field that has no place there");
            }
            self.status = Some(status_of(value).ok_or("a status that is none")?);
            return Ok(());
        }
        if name.is_empty() || !name.iter().all(|byte| IS_NAME[usize::from(*byte)]) {
            return Err("a field's name with what may not be in it");
        }
        if value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
            return Err("a field's value with what may not be in it");
        }
        match name {
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => {
                return Err("a field that has no place in HTTP/2");
            }
            b"content-length" => {
                let length = length_of(value).ok_or("a content-length that is none")?;
                if self.length.is_some_and(|known| known != length) {
                    return Err("two lengths");
                }
                self.length = Some(length);
            }
            b"set-cookie" => self.sets_cookies = true,
            b"content-encoding" => self.is_encoded = true,
            _ => {}
        }
        self.block.reserve(name.len() + value.len() + 4);
        self.block.extend_from_slice(name);
        self.block.extend_from_slice(b": ");
        self.block.extend_from_slice(value);
        self.block.extend_from_slice(b"\r\n");
        Ok(())
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        let block = std::mem::take(&mut self.block);
        if block.capacity() <= BLOCK_KEPT {
            BLOCK.set(block);
        }
    }
}

thread_local! {
    /// Room for the fields of the next head.
    static BLOCK: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

const BLOCK_KEPT: usize = 16 << 10;

fn status_of(value: &[u8]) -> Option<u16> {
    let [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = value else { return None };
    Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
}

fn length_of(value: &[u8]) -> Option<u64> {
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    str::from_utf8(value).ok().filter(|_| is_number)?.parse().ok()
}

/// What a field's name may hold: a token in lower case (RFC 9110, section 5.6.2; RFC 9113, section 8.2.1).
static IS_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let allowed = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz";
    let mut at = 0;
    while at < allowed.len() {
        table[allowed[at] as usize] = true;
        at += 1;
    }
    table
};

impl Unfit {
    /// What the server is told of it.
    pub(super) fn code(&self) -> Code {
        match self {
            Self::Malformed(_) => Code::PROTOCOL_ERROR,
            Self::ByUs(_) => Code::CANCEL,
        }
    }
}

/// Of an answer's head, as for HTTP/1.1.
pub(super) const HEAD_LIMIT: usize = 64 << 10;
