//! Encodes the head of a request (RFC 7541; RFC 9113, section 8.3): what a connection says again and again is a byte a field.

use super::fields::{DEFAULT_SIZE, OVERHEAD, Table, known};
use crate::protocol::http::exchange::Request;

/// What we have told the server to remember.
#[derive(Debug)]
pub(super) struct Encoder {
    table: Table,
    /// The least size that the table has had since the server was last told of one.
    least: Option<usize>,
    last: Option<Last>,
}

/// The head before this one, but for its path, and what it became. Good as long as the table is as it was.
#[derive(Debug)]
struct Last {
    method: Box<str>,
    authority: Box<str>,
    is_tls: bool,
    block: Box<[u8]>,
    /// Encoded: what stands before the path, and what stands behind it.
    before: Box<[u8]>,
    behind: Box<[u8]>,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self { table: Table::new(DEFAULT_SIZE), least: None, last: None }
    }

    /// The server keeps a table of `size` bytes. We use no more than its default.
    pub(super) fn resize(&mut self, size: u32) {
        let max = usize::try_from(size).map_or(DEFAULT_SIZE, |size| size.min(DEFAULT_SIZE));
        if max != self.table.max() {
            self.table.resize(max);
            self.least = Some(self.least.map_or(max, |least| least.min(max)));
            self.last = None;
        }
    }

    /// Appends the head of `request` to `output`.
    pub(super) fn encode(&mut self, request: &Request<'_>, output: &mut Vec<u8>) {
        // Section 4.2: the least of several sizes, and the last.
        if let Some(least) = self.least.take() {
            integer(least, 5, 0x20, output);
            if least < self.table.max() {
                integer(self.table.max(), 5, 0x20, output);
            }
        }
        let is_last = self.last.as_ref().is_some_and(|last| last.is_of(request));
        if !is_last {
            self.last = None;
            let (mut before, mut behind) = (Vec::new(), Vec::new());
            let mut is_lasting = true;
            let authority = authority_of(request);
            let scheme = if request.origin.tls { known::SCHEME_HTTPS } else { known::SCHEME_HTTP };
            is_lasting &= self.field(b":method", request.method.as_bytes(), &mut before);
            integer(scheme, 7, 0x80, &mut before);
            is_lasting &= self.field(b":authority", authority.as_bytes(), &mut before);
            // The path comes with the first part, so that what both parts refer to is there in this order.
            for (name, value) in fields_of(request.headers) {
                is_lasting &= self.field(&name, value, &mut behind);
            }
            if !is_lasting {
                output.extend_from_slice(&before);
                path(request.path, output);
                output.extend_from_slice(&behind);
                length(request, output);
                return;
            }
            self.last = Some(Last {
                method: request.method.into(),
                authority: authority.into(),
                is_tls: request.origin.tls,
                block: request.headers.into(),
                before: before.into(),
                behind: behind.into(),
            });
        }
        if let Some(last) = &self.last {
            output.extend_from_slice(&last.before);
            path(request.path, output);
            output.extend_from_slice(&last.behind);
            length(request, output);
        }
    }

    /// Whether the table is as it was before.
    fn field(&mut self, name: &[u8], value: &[u8], output: &mut Vec<u8>) -> bool {
        let found = self.table.find(name, value);
        if let Some((number, true)) = found {
            integer(number, 7, 0x80, output);
            return true;
        }
        let number = found.map_or(0, |(number, _)| number);
        let size = name.len() + value.len() + OVERHEAD;
        // What differs from request to request would only push out what does not; a secret may be kept from those in between.
        let (bits, kind) = match name {
            b"authorization" | b"proxy-authorization" => (4, 0x10),
            b"content-length" | b"if-modified-since" | b"if-none-match" | b"range" => (4, 0),
            _ if size > self.table.max() / 4 => (4, 0),
            _ => (6, 0x40),
        };
        integer(number, bits, kind, output);
        if number == 0 {
            string(name, output);
        }
        string(value, output);
        let is_kept = kind == 0x40;
        if is_kept {
            self.table.add(name, value);
        }
        !is_kept
    }
}

impl Last {
    fn is_of(&self, request: &Request<'_>) -> bool {
        *self.block == *request.headers
            && *self.method == *request.method
            && self.is_tls == request.origin.tls
            // The block bears the host where the request has one of its own.
            && (request.has_host || *self.authority == *request.origin.authority)
    }
}

/// The host of the request's own block, or that of its URL.
fn authority_of<'a>(request: &'a Request<'_>) -> std::borrow::Cow<'a, str> {
    let own = if request.has_host { lines(request.headers).find(|(name, _)| name.eq_ignore_ascii_case(b"host")) } else { None };
    match own {
        Some((_, value)) => String::from_utf8_lossy(value),
        None => request.origin.authority.as_str().into(),
    }
}

/// The fields that go out, names in lower case. Those that speak of one HTTP/1.1 connection have no place in HTTP/2 (RFC 9113, section 8.2.2).
fn fields_of(block: &[u8]) -> impl Iterator<Item = (Vec<u8>, &[u8])> {
    let all = lines(block).map(|(name, value)| (name.to_ascii_lowercase(), value));
    all.filter(|(name, value)| match name.as_slice() {
        b"host" | b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => false,
        b"te" => value.eq_ignore_ascii_case(b"trailers"),
        _ => true,
    })
}

fn lines(block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    block.split(|&byte| byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        Some((line[..colon].trim_ascii(), line[colon + 1..].trim_ascii()))
    })
}

fn path(path: &str, output: &mut Vec<u8>) {
    integer(known::PATH, 4, 0, output);
    string(path.as_bytes(), output);
}

/// As for HTTP/1.1: methods that have a body say so of an empty one, too.
fn length(request: &Request<'_>, output: &mut Vec<u8>) {
    let length = request.body.map_or(0, <[u8]>::len);
    if length == 0 && !matches!(request.method, "POST" | "PUT" | "PATCH") {
        return;
    }
    integer(known::CONTENT_LENGTH, 4, 0, output);
    string(length.to_string().as_bytes(), output);
}

/// Section 5.1; `kind` are the bits before the prefix.
fn integer(value: usize, bits: u32, kind: u8, output: &mut Vec<u8>) {
    let mask = (1_usize << bits) - 1;
    if value < mask {
        output.push(kind | value as u8);
        return;
    }
    output.push(kind | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        output.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    output.push(rest as u8);
}

/// Section 5.2. Not packed: that would cost us and the server more than the bytes are worth.
fn string(text: &[u8], output: &mut Vec<u8>) {
    integer(text.len(), 7, 0, output);
    output.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::decoder::Decoder;
    use super::*;
    use crate::protocol::http::exchange::ConnectionRules;
    use crate::protocol::http::origin::Origin;

    fn request<'a>(method: &'a str, path: &'a str, headers: &'a [u8], body: Option<&'a [u8]>) -> Request<'a> {
        Request {
            method,
            origin: Rc::new(Origin::parse("https://shop.test:8443").unwrap()),
            path,
            headers,
            has_host: lines(headers).any(|(name, _)| name.eq_ignore_ascii_case(b"host")),
            body,
            asked: None,
            timeout: Duration::from_secs(1),
            body_limit: 1,
            decode: true,
            discard: false,
            ends_streams: false,
            connection: ConnectionRules::default(),
        }
    }

    fn sent(encoder: &mut Encoder, decoder: &mut Decoder, request: &Request<'_>) -> (Vec<String>, usize) {
        let mut block = Vec::new();
        encoder.encode(request, &mut block);
        let mut all = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        decoder.decode(&block, |name, value| all.push(format!("{}={}", text(name), text(value)))).unwrap();
        (all, block.len())
    }

    #[test]
    fn a_head_is_read_as_it_was_meant_and_grows_short() {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let headers = b"User-Agent: lunamoth\r\nAccept: */*\r\nConnection: close\r\nTE: gzip\r\nX-A:  b \r\n";
        let mut lengths = Vec::new();
        for _ in 0..3 {
            let (fields, length) = sent(&mut encoder, &mut decoder, &request("GET", "/a?b", headers, None));
            let expected =
                [":method=GET", ":scheme=https", ":authority=shop.test:8443", ":path=/a?b", "user-agent=lunamoth", "accept=*/*", "x-a=b"];
            assert_eq!(fields, expected);
            lengths.push(length);
        }
        assert!(lengths[0] > 40 && lengths[1] == lengths[2] && lengths[2] == 6 + 6, "{lengths:?}");
        let (fields, _) = sent(&mut encoder, &mut decoder, &request("POST", "/c", b"Host: other\r\nAuthorization: x\r\n", Some(b"abc")));
        assert_eq!(fields, [":method=POST", ":scheme=https", ":authority=other", ":path=/c", "authorization=x", "content-length=3"]);
        let (fields, _) = sent(&mut encoder, &mut decoder, &request("PUT", "/c", b"", None));
        assert_eq!(fields, [":method=PUT", ":scheme=https", ":authority=shop.test:8443", ":path=/c", "content-length=0"]);
    }

    #[test]
    fn a_server_without_a_table_is_told_everything_anew() {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let get = request("GET", "/", b"x-a: b\r\n", None);
        for size in [4096, 0, 0, 100, 100, 100_000, 100_000] {
            encoder.resize(size);
            let (fields, _) = sent(&mut encoder, &mut decoder, &get);
            assert_eq!(fields, [":method=GET", ":scheme=https", ":authority=shop.test:8443", ":path=/", "x-a=b"], "{size}");
        }
    }

    proptest! {
        /// Whatever is said in whatever order, the other end reads it.
        #[test]
        fn both_tables_stay_the_same(all in prop::collection::vec(
            (prop::sample::select(vec!["GET", "POST", "DELETE"]), "/[a-c]{0,3}", prop::collection::vec(("[a-d]{1,2}", "[x-z]{0,1500}"), 0..5), 0_u32..6000), 1..40,
        )) {
            let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
            for (method, path, fields, size) in all {
                if size < 3000 {
                    encoder.resize(size * 2);
                }
                let headers: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let (read, _) = sent(&mut encoder, &mut decoder, &request(method, &path, headers.as_bytes(), None));
                let mut expected = vec![format!(":method={method}"), ":scheme=https".to_owned(), ":authority=shop.test:8443".to_owned(), format!(":path={path}")];
                expected.extend(fields.iter().map(|(name, value)| format!("{name}={value}")));
                if method == "POST" {
                    expected.push("content-length=0".to_owned());
                }
                prop_assert_eq!(read, expected);
            }
        }
    }
}
