//! What came of a request, and its packed form: one string that holds all that a result shows besides status and error.
//!
//! Packing copies once what Lua would need anyway to outlive the user's next request; unpacking happens part by part, when the script looks. A string is
//! the one thing that Lua's collector sees in its full size and that costs no handle.

use std::borrow::Cow;
use std::time::Duration;

use super::address::{Address, path_name};
use super::body_handle::HeldBody;
use crate::protocol::http::{Exchange, Timings, Version};
use crate::stats::sample::FailureKind;

/// What came of one request, ready to cross to Lua.
#[derive(Debug)]
pub struct Outcome {
    /// 0 without a whole answer.
    pub(super) status: u16,
    /// Why the last hop failed. Boxed, since hardly one did, and an outcome goes from hand to hand.
    pub(super) failure: Option<Box<(FailureKind, Cow<'static, str>)>>,
    /// The rest, as Lua unpacks it.
    pub(super) packed: Vec<u8>,
    /// The body, where it is too large to be in `packed`.
    pub(super) large_body: Option<Box<HeldBody>>,
}

impl Outcome {
    /// 0 without a whole answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Why the request failed, and the name of the failure's kind.
    #[must_use]
    pub fn failure(&self) -> Option<(&str, &'static str)> {
        self.failure.as_deref().map(|(kind, message)| (&**message, kind.name()))
    }

    /// All else that a result shows; the script gets it as one string.
    #[must_use]
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// Whether all of it is in `packed`.
    pub(super) fn is_packed(&self) -> bool {
        self.large_body.is_none()
    }
}

/// What is packed of a request.
pub(super) struct Parts<'a> {
    /// Of the last hop's pending sample.
    pub(super) id: u64,
    /// What was asked for.
    pub(super) asked: Asked<'a>,
    /// The last hop went over TLS.
    pub(super) is_tls: bool,
    /// The hops before the last.
    pub(super) history: &'a [FollowedHop],
    /// The hop that ended the redirects.
    pub(super) exchange: &'a mut Exchange,
    /// The body was thrown away.
    pub(super) is_discarded: bool,
    /// The first hop went to another host than the scenario's.
    pub(super) is_foreign: bool,
}

/// What was asked for.
pub(super) enum Asked<'a> {
    /// By its parts, which are packed with the rest.
    Anew {
        /// Of the first hop's entry, where it is not the default one of `address`.
        name: Option<&'a str>,
        /// Of the last hop.
        method: &'a str,
        /// Of the last hop.
        address: &'a Address,
    },
    /// The same, as [`packed`](Self::packed) has it.
    Packed(&'a [u8]),
}

impl Asked<'_> {
    /// Bytes that it takes.
    fn length(&self) -> usize {
        match self {
            Self::Anew { name, method, address } => {
                4 * LENGTH_BYTES + name.map_or(0, str::len) + method.len() + address.origin.authority.len() + address.path.len()
            }
            Self::Packed(bytes) => bytes.len(),
        }
    }

    #[inline]
    fn write(&self, buffer: &mut Vec<u8>) {
        match self {
            Self::Anew { name, method, address } => {
                section(name.unwrap_or_default().as_bytes(), buffer);
                section(method.as_bytes(), buffer);
                section(address.origin.authority.as_bytes(), buffer);
                section(address.path.as_bytes(), buffer);
            }
            Self::Packed(bytes) => buffer.extend_from_slice(bytes),
        }
    }

    /// As it stands in what is packed, for a request that is made again and again.
    pub(super) fn packed(&self) -> Box<[u8]> {
        let mut buffer = Vec::with_capacity(self.length());
        self.write(&mut buffer);
        buffer.into()
    }
}

/// A redirect that was followed.
#[derive(Debug)]
pub(super) struct FollowedHop {
    pub(super) method: Cow<'static, str>,
    pub(super) url: String,
    pub(super) status: u16,
    pub(super) total: Duration,
}

/// Packs `parts`, and takes the body out of the exchange where it is too large for that.
pub(super) fn pack(parts: Parts<'_>) -> (Vec<u8>, Option<Box<HeldBody>>) {
    let is_closed = parts.exchange.body.is_packed() && !parts.is_discarded;
    let body = &mut parts.exchange.body;
    let large = (body.bytes().len() > PACKED_BODY_MAX)
        .then(|| Box::new(if is_closed { HeldBody::Packed(body.take_packed()) } else { HeldBody::Plain(body.take()) }));
    let exchange = &*parts.exchange;
    let mut buffer = Vec::with_capacity(FIXED_BYTES + parts.asked.length() + exchange.headers.as_bytes().len() + exchange.body.bytes().len());
    let proto = match exchange.version {
        _ if exchange.status == 0 => PROTO,
        Version::Http10 => 0,
        Version::Http11 => 1,
        Version::Http2 => 2,
    };
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    let flags = flag(parts.is_discarded, DISCARDED) | flag(parts.is_foreign, FOREIGN) | flag(parts.is_tls, TLS) | flag(is_closed, CLOSED);
    // Foremost what no other packed string of the lane has: LuaJIT hashes a long string by a few of its bytes, the first four among them, and by all of
    // them where it finds too many alike.
    buffer.extend_from_slice(&parts.id.to_le_bytes());
    buffer.push(proto | flags);
    let mut timings = [0; 8 * TIMINGS.len()];
    for (place, part) in timings.as_chunks_mut().0.iter_mut().zip(timings_of(&exchange.timings)) {
        *place = part.map_or(ABSENT, nanos).to_le_bytes();
    }
    buffer.extend_from_slice(&timings);
    parts.asked.write(&mut buffer);
    pack_history(parts.history, &mut buffer);
    section(exchange.headers.as_bytes(), &mut buffer);
    section(exchange.body.bytes(), &mut buffer);
    (buffer, large)
}

/// A packed outcome, taken apart. Everything is borrowed.
#[derive(Debug)]
pub(super) struct Packed<'a> {
    /// Of the last hop's sample.
    pub(super) id: u64,
    /// `HTTP/1.1` and so on; `None` without an answer.
    pub(super) proto: Option<&'static str>,
    /// The body was thrown away.
    pub(super) is_discarded: bool,
    /// The body is as it came, and has to be unpacked before it means anything.
    pub(super) is_closed: bool,
    /// Lines of the answer's head.
    pub(super) headers: &'a [u8],
    /// Empty if it is a handle, or discarded.
    pub(super) body: &'a [u8],
    timings: &'a [u8],
    is_foreign: bool,
    is_tls: bool,
    name: &'a str,
    method: &'a str,
    authority: &'a str,
    path: &'a str,
    history: &'a [u8],
}

impl<'a> Packed<'a> {
    /// `None` for a string that `pack` did not make.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = Reader(bytes);
        let id = rest.u64()?;
        let flags = rest.take(1)?[0];
        let timings = rest.take(8 * TIMINGS.len())?;
        let proto = match flags & PROTO {
            0 => Some("HTTP/1.0"),
            1 => Some("HTTP/1.1"),
            2 => Some("HTTP/2"),
            _ => None,
        };
        Some(Self {
            id,
            proto,
            timings,
            is_discarded: flags & DISCARDED != 0,
            is_closed: flags & CLOSED != 0,
            is_foreign: flags & FOREIGN != 0,
            is_tls: flags & TLS != 0,
            name: rest.text()?,
            method: rest.text()?,
            authority: rest.text()?,
            path: rest.text()?,
            history: rest.section()?,
            headers: rest.section()?,
            body: rest.section()?,
        })
    }

    /// The URL of the last hop.
    pub(super) fn url(&self) -> String {
        format!("{}://{}{}", if self.is_tls { "https" } else { "http" }, self.authority, self.path)
    }

    /// The entry of what was asked, as errors show it, `POST /login`: a thousand URLs of one entry are one error.
    pub(super) fn label(&self, raw_names: bool) -> String {
        let method = self.history().next().map_or(self.method, |(method, ..)| method);
        if !self.name.is_empty() {
            return format!("{method} {}", self.name);
        }
        // Behind a redirect there is always a name.
        let host = if self.is_foreign { self.authority } else { "" };
        format!("{method} {host}{}", path_name(self.path, raw_names))
    }

    /// The parts of the last hop by name, in seconds; those that did not take place are left out.
    pub(super) fn timings(&self) -> impl Iterator<Item = (&'static str, f64)> {
        TIMINGS.into_iter().zip(self.timings.chunks_exact(8)).filter_map(|(name, bytes)| {
            let nanos = u64::from_le_bytes(bytes.try_into().ok()?);
            (nanos != ABSENT).then(|| (name, Duration::from_nanos(nanos).as_secs_f64()))
        })
    }

    /// Method, URL, status and seconds of the hops before the last.
    pub(super) fn history(&self) -> impl Iterator<Item = (&'a str, &'a str, u16, f64)> {
        let mut rest = Reader(self.history);
        std::iter::from_fn(move || {
            let status = rest.take(2)?;
            let status = u16::from_le_bytes([status[0], status[1]]);
            let total = Duration::from_nanos(rest.u64()?).as_secs_f64();
            Some((rest.text()?, rest.text()?, status, total))
        })
    }

    /// Name, in lower case, and value of each header field, in order.
    pub(super) fn fields(&self) -> impl Iterator<Item = (String, &'a [u8])> {
        self.headers.split(|&byte| byte == b'\n').filter_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            Some((String::from_utf8_lossy(line[..colon].trim_ascii()).to_ascii_lowercase(), line[colon + 1..].trim_ascii()))
        })
    }
}

fn pack_history(history: &[FollowedHop], buffer: &mut Vec<u8>) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    for hop in history {
        buffer.extend_from_slice(&hop.status.to_le_bytes());
        buffer.extend_from_slice(&nanos(hop.total).to_le_bytes());
        section(hop.method.as_bytes(), buffer);
        section(hop.url.as_bytes(), buffer);
    }
    let length = length_of(buffer.len() - start - 4);
    buffer[start..start + 4].copy_from_slice(&length);
}

fn section(bytes: &[u8], buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&length_of(bytes.len()));
    buffer.extend_from_slice(bytes);
}

fn length_of(length: usize) -> [u8; 4] {
    // Methods, URLs and heads have limits far below 4 GiB; packed bodies too.
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos().into()).min(ABSENT - 1)
}

fn timings_of(timings: &Timings) -> [Option<Duration>; 8] {
    let Timings { blocked, dns, connect, tls, send, wait, receive, total } = *timings;
    [blocked, dns, connect, tls, send, wait, receive, Some(total)]
}

/// Reads what `pack` wrote, front to back.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn section(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_le_bytes(self.take(4)?.try_into().ok()?);
        self.take(length as usize)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.section()?).ok()
    }
}

/// The names of `res.timings`, in the order in which they are packed.
const TIMINGS: [&str; 8] = ["blocked", "dns", "connect", "tls", "send", "wait", "receive", "total"];

/// Larger bodies stay in Rust until the script looks at them.
const PACKED_BODY_MAX: usize = 4_096;

/// Flags, number, timings, and the lengths of history, headers and body.
const FIXED_BYTES: usize = 1 + 8 + 8 * TIMINGS.len() + 3 * LENGTH_BYTES;

/// The length before each section.
const LENGTH_BYTES: usize = 4;

const ABSENT: u64 = u64::MAX;
const PROTO: u8 = 0b11;
const DISCARDED: u8 = 0b100;
const FOREIGN: u8 = 0b1000;
const TLS: u8 = 0b1_0000;
const CLOSED: u8 = 0b10_0000;

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::protocol::http::Origin;

    fn exchange() -> Exchange {
        let mut exchange = Exchange { status: 200, version: Version::Http2, body: b"hello".to_vec().into(), ..Exchange::default() };
        exchange.timings = Timings { wait: Some(Duration::from_micros(1_500)), total: Duration::from_millis(2), ..Timings::default() };
        exchange
    }

    fn packed(history: &[FollowedHop], is_foreign: bool) -> Vec<u8> {
        named(None, history, is_foreign)
    }

    fn named(name: Option<&str>, history: &[FollowedHop], is_foreign: bool) -> Vec<u8> {
        let address = Address { origin: Rc::new(Origin::parse("https://h:8443").unwrap()), path: "/b/17?c".into(), credentials: None };
        let mut exchange = exchange();
        let exchange = &mut exchange;
        let (packed, large) =
            pack(Parts {
                id: 7,
                asked: Asked::Anew { name, method: "GET", address: &address },
                is_tls: address.origin.tls,
                history,
                exchange,
                is_discarded: false,
                is_foreign,
            });
        assert!(large.is_none());
        packed
    }

    fn followed() -> [FollowedHop; 1] {
        [FollowedHop { method: "POST".into(), url: "http://h/a".to_owned(), status: 303, total: Duration::from_millis(5) }]
    }

    #[test]
    fn what_is_packed_is_read_again() {
        let bytes = packed(&followed(), false);
        let packed = Packed::read(&bytes).unwrap();
        assert_eq!((packed.id, packed.proto, packed.body), (7, Some("HTTP/2"), &b"hello"[..]));
        assert_eq!(packed.url(), "https://h:8443/b/17?c");
        assert_eq!(packed.timings().collect::<Vec<_>>(), [("wait", 0.0015), ("total", 0.002)]);
        assert_eq!(packed.history().collect::<Vec<_>>(), [("POST", "http://h/a", 303, 0.005)]);
    }

    #[test]
    fn issue_15_errors_name_the_entry_of_what_was_asked_first() {
        let label = |name, history: &[FollowedHop], is_foreign, raw| Packed::read(&named(name, history, is_foreign)).unwrap().label(raw);
        assert_eq!(label(None, &[], false, false), "GET /b/:id");
        assert_eq!(label(None, &[], false, true), "GET /b/17");
        assert_eq!(label(None, &[], true, false), "GET h:8443/b/:id");
        assert_eq!(label(Some("/b/[id]"), &[], true, false), "GET /b/[id]");
        assert_eq!(label(Some("start"), &followed(), false, false), "POST start");
    }

    #[test]
    fn a_large_body_is_not_packed() {
        let address = Address { origin: Rc::new(Origin::parse("http://h").unwrap()), path: "/".into(), credentials: None };
        for (length, is_large) in [(PACKED_BODY_MAX, false), (PACKED_BODY_MAX + 1, true)] {
            let mut exchange = Exchange { body: vec![b'x'; length].into(), ..exchange() };
            let exchange = &mut exchange;
            let (bytes, large) = pack(Parts {
                id: 1,
                asked: Asked::Anew { name: None, method: "GET", address: &address },
                is_tls: false,
                history: &[],
                exchange,
                is_discarded: false,
                is_foreign: false,
            });
            assert!(
                matches!(large.as_deref(), Some(HeldBody::Plain(kept)) if kept.bytes.len() == length) == is_large
                    && large.is_some() == is_large
            );
            assert_eq!(Packed::read(&bytes).unwrap().body.len(), if is_large { 0 } else { length });
        }
    }

    #[test]
    fn a_cut_string_is_refused() {
        let bytes = packed(&[], false);
        for end in 0..bytes.len() {
            assert!(Packed::read(&bytes[..end]).is_none());
        }
    }
}
