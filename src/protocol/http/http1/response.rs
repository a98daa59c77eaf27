//! Reads one answer from bytes that come in any split: head, framing, body.
//!
//! Pure: no socket and no clock. The fields that decide about framing are found while the head is parsed; all others stay in one block.

use std::mem::MaybeUninit;

use super::HEAD_LIMIT;
use super::chunked::Chunked;
use super::found::Found;
use super::plain_head::PlainHead;
use crate::protocol::http::body::Body;
use crate::protocol::http::classify::Failure;
use crate::protocol::http::exchange::Version;
use crate::protocol::http::headers::Headers;
use crate::protocol::http::unpack::Encodings;

/// An answer under way.
#[derive(Debug)]
pub(in crate::protocol::http) struct Response {
    /// 0 until the head has arrived.
    pub status: u16,
    pub version: Version,
    pub headers: Headers,
    /// What has arrived of the body.
    pub body: Body,
    /// The server keeps the connection open, and the end of the answer was seen.
    pub keeps_alive: bool,
    state: State,
    /// No body whatever the fields say: the answer to a HEAD, or a 2xx to a CONNECT.
    asked: Asked,
    /// The begun head, where it did not come in one piece.
    partial: Vec<u8>,
    decode: bool,
}

/// What the request's method means for the body of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Head,
    Connect,
    Other,
}

#[derive(Debug)]
enum State {
    Head,
    Length(u64),
    Chunked(Chunked),
    UntilClose,
    Done,
}

impl Response {
    /// An answer to `method` of which nothing has arrived.
    pub(in crate::protocol::http) fn new(method: &str, body_limit: u64, decode: bool, discard: bool) -> Self {
        let asked = match method {
            "HEAD" => Asked::Head,
            "CONNECT" => Asked::Connect,
            _ => Asked::Other,
        };
        Self {
            status: 0,
            version: Version::Http11,
            headers: Headers::default(),
            body: Body::new(body_limit, discard),
            keeps_alive: false,
            state: State::Head,
            asked,
            partial: Vec::new(),
            decode,
        }
    }

    /// Takes the bytes that were read. `true` when the answer is complete; bytes left behind it forbid the connection's reuse.
    ///
    /// # Errors
    /// `protocol` or `too_large`.
    pub(in crate::protocol::http) fn feed(&mut self, input: &[u8]) -> Result<bool, Failure> {
        if !matches!(self.state, State::Head) {
            return self.feed_body(input);
        }
        if self.partial.is_empty() {
            return self.feed_head(input);
        }
        let seen = self.partial.len();
        self.partial.extend_from_slice(input);
        // Parsed again only once an empty line can have come, so that a head in a thousand pieces is not parsed a thousand times.
        if !has_empty_line(&self.partial, seen.saturating_sub(3)) && self.partial.len() <= HEAD_LIMIT {
            return Ok(false);
        }
        let partial = std::mem::take(&mut self.partial);
        self.feed_head(&partial)
    }

    /// The peer has closed the connection. `Ok` when that is the body's proper end.
    ///
    /// # Errors
    /// `protocol` in mid-body; `None` where the head was not whole, which is the connection's failure.
    pub(in crate::protocol::http) fn on_close(&mut self) -> Result<(), Option<Failure>> {
        match self.state {
            State::UntilClose => {
                self.state = State::Done;
                Ok(())
            }
            State::Done => Ok(()),
            State::Head => Err(None),
            State::Length(_) => Err(Some(Failure::protocol("body shorter than its content-length"))),
            State::Chunked(_) => Err(Some(Failure::protocol("chunked body cut short"))),
        }
    }

    /// Reads heads (a final one may follow 1xx ones), then the body.
    fn feed_head(&mut self, mut input: &[u8]) -> Result<bool, Failure> {
        loop {
            let Some(length) = self.parse_head(input)? else {
                if input.len() > HEAD_LIMIT {
                    return Err(Failure::protocol(format!("response head longer than {HEAD_LIMIT} bytes")));
                }
                self.partial.extend_from_slice(input);
                return Ok(false);
            };
            if length > HEAD_LIMIT {
                return Err(Failure::protocol(format!("response head longer than {HEAD_LIMIT} bytes")));
            }
            input = &input[length..];
            if !matches!(self.state, State::Head) {
                return self.feed_body(input);
            }
            if input.is_empty() {
                return Ok(false);
            }
        }
    }

    fn feed_body(&mut self, input: &[u8]) -> Result<bool, Failure> {
        let taken = match &mut self.state {
            State::Length(left) => {
                let take = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                self.body.push(&input[..take])?;
                *left -= take as u64;
                if *left == 0 {
                    self.state = State::Done;
                }
                take
            }
            State::Chunked(chunked) => {
                let body = &mut self.body;
                let taken = chunked.feed(input, |data| body.push(data))?;
                if chunked.is_done() {
                    self.state = State::Done;
                }
                taken
            }
            State::UntilClose => {
                self.body.push(input)?;
                input.len()
            }
            State::Head | State::Done => 0,
        };
        if !matches!(self.state, State::Done) {
            return Ok(false);
        }
        if taken < input.len() {
            self.keeps_alive = false;
        }
        Ok(true)
    }

    /// Parses one head at the beginning of `input`; its length, or `None` where it is not whole. A 1xx leaves the state at `Head`.
    fn parse_head(&mut self, input: &[u8]) -> Result<Option<usize>, Failure> {
        if let Some(head) = PlainHead::read(input) {
            let block = &input[head.fields_at..head.length];
            return self.take_head(head.status, head.version, || Ok(head.found), block).map(|()| Some(head.length));
        }
        let mut few = [const { MaybeUninit::uninit() }; 96];
        match self.parse_head_into(input, &mut few) {
            Err(httparse::Error::TooManyHeaders) => {
                let mut many = vec![MaybeUninit::uninit(); HEAD_LIMIT / 4];
                self.parse_head_into(input, &mut many)
            }
            other => other,
        }
        .map_err(|error| Failure::protocol(format!("bad response head: {}", spell(error))))?
        .transpose()
    }

    fn parse_head_into<'b>(
        &mut self,
        input: &'b [u8],
        fields: &mut [MaybeUninit<httparse::Header<'b>>],
    ) -> Result<Option<Result<usize, Failure>>, httparse::Error> {
        let mut head = httparse::Response::new(&mut []);
        // As curl reads them: a folded field, and one with a space before its colon, are read for what they say.
        let parsed = httparse::ParserConfig::default()
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .parse_response_with_uninit_headers(&mut head, input, fields)?;
        let httparse::Status::Complete(length) = parsed else {
            return Ok(None);
        };
        let status = head.code.unwrap_or(0);
        let version = if head.version == Some(0) { Version::Http10 } else { Version::Http11 };
        let fields = &*head.headers;
        let start = fields.first().map_or(length, |field| field.name.as_ptr().addr() - input.as_ptr().addr());
        let unfolded = if fields.iter().any(|field| field.value.contains(&b'\n')) { Some(unfold(fields)) } else { None };
        let block = unfolded.as_deref().unwrap_or(&input[start..length]);
        Ok(Some(self.take_head(status, version, || Found::among(fields), block).map(|()| length)))
    }

    fn take_head(
        &mut self,
        status: u16,
        version: Version,
        found: impl FnOnce() -> Result<Found, Failure>,
        block: &[u8],
    ) -> Result<(), Failure> {
        match status {
            101 => return Err(Failure::protocol("switched protocols without being asked (status 101)")),
            100..200 => return Ok(()),
            0..100 => return Err(Failure::protocol("bad response head: invalid status")),
            _ => {}
        }
        let found = found()?;
        self.headers = Headers::from_block(block, found.sets_cookies);
        self.status = status;
        self.version = version;
        self.keeps_alive = !found.closes && (version == Version::Http11 || found.keeps_alive);
        self.state = self.framing(&found);
        if found.has_encoding && self.decode && !matches!(self.state, State::Done) {
            self.body.is_packed_by(Encodings::of(self.headers.all("content-encoding")));
        }
        Ok(())
    }

    /// RFC 9112, section 6.3.
    fn framing(&mut self, found: &Found) -> State {
        let is_empty = self.asked == Asked::Head
            || matches!(self.status, 204 | 304)
            || (self.asked == Asked::Connect && (200..300).contains(&self.status));
        if is_empty {
            return State::Done;
        }
        if found.has_transfer_encoding {
            // A length beside it may be an attempt to smuggle: the transfer coding rules, and the connection is not used again.
            self.keeps_alive &= found.length.is_none() && found.is_chunked && self.version == Version::Http11;
            return if found.is_chunked { State::Chunked(Chunked::new()) } else { State::UntilClose };
        }
        match found.length {
            Some(0) => State::Done,
            Some(length) => {
                self.body.expect(length);
                State::Length(length)
            }
            None => {
                self.keeps_alive = false;
                State::UntilClose
            }
        }
    }
}

/// The fields as a block of one line each: RFC 9112, section 5.2, has a fold become spaces.
fn unfold(fields: &[httparse::Header<'_>]) -> Vec<u8> {
    let mut block = Vec::new();
    for field in fields {
        block.extend_from_slice(field.name.as_bytes());
        block.push(b':');
        for line in field.value.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
            block.push(b' ');
            block.extend_from_slice(line);
        }
        block.extend_from_slice(b"\r\n");
    }
    block
}

/// Whether an empty line ends at or after `from`.
fn has_empty_line(bytes: &[u8], from: usize) -> bool {
    bytes[from..].windows(2).any(|pair| pair == b"\n\n") || bytes[from..].windows(3).any(|three| three == b"\n\r\n")
}

fn spell(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "invalid header name",
        httparse::Error::HeaderValue => "invalid header value",
        httparse::Error::NewLine => "invalid line end",
        httparse::Error::Status => "invalid status",
        httparse::Error::Token => "invalid character",
        httparse::Error::TooManyHeaders => "too many header fields",
        httparse::Error::Version => "not HTTP/1",
    }
}
