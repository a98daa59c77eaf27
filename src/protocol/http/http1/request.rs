//! The head of a request, as bytes.

use crate::protocol::http::exchange::Request;

/// Appends the request line and all fields, with the empty line behind them.
///
/// `through_proxy` has the whole URL in the request line, as a plain proxy wants it, and is the value of `proxy-authorization` if any.
pub(super) fn write_head(out: &mut Vec<u8>, request: &Request<'_>, through_proxy: Option<&str>) {
    out.extend_from_slice(request.method.as_bytes());
    out.push(b' ');
    if through_proxy.is_some() {
        out.extend_from_slice(request.origin.base().as_bytes());
    }
    out.extend_from_slice(request.path.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    if !request.has_host {
        out.extend_from_slice(b"host: ");
        out.extend_from_slice(request.origin.authority.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if let Some(authorization) = through_proxy.filter(|value| !value.is_empty()) {
        out.extend_from_slice(b"proxy-authorization: ");
        out.extend_from_slice(authorization.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(request.headers);
    if !request.connection.keepalive {
        out.extend_from_slice(b"connection: close\r\n");
    }
    if let Some(length) = content_length(request) {
        write_length(out, length);
    }
    out.extend_from_slice(b"\r\n");
}

/// What `content-length` says, if it is to be there.
fn content_length(request: &Request<'_>) -> Option<usize> {
    match request.body {
        Some(body) => Some(body.len()),
        None => matches!(request.method, "POST" | "PUT" | "PATCH").then_some(0),
    }
}

fn write_length(out: &mut Vec<u8>, mut length: usize) {
    // `usize::MAX` has 20 digits.
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(length % 10).unwrap_or(0);
        length /= 10;
        if length == 0 {
            break;
        }
    }
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::Duration;

    use super::*;
    use crate::protocol::http::ConnectionRules;
    use crate::protocol::http::Origin;

    fn request<'a>(method: &'a str, headers: &'a [u8], body: Option<&'a [u8]>) -> Request<'a> {
        Request {
            method,
            origin: Rc::new(Origin::parse("http://example.org:8080").unwrap()),
            path: "/a?b",
            headers,
            has_host: false,
            body,
            asked: None,
            timeout: Duration::from_secs(1),
            body_limit: 1000,
            decode: true,
            discard: false,
            ends_streams: false,
            connection: ConnectionRules::default(),
        }
    }

    fn text(request: &Request<'_>, through_proxy: Option<&str>) -> String {
        let mut out = Vec::new();
        write_head(&mut out, request, through_proxy);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_get_has_no_length() {
        assert_eq!(text(&request("GET", b"a: b\r\n", None), None), "GET /a?b HTTP/1.1\r\nhost: example.org:8080\r\na: b\r\n\r\n");
    }

    #[test]
    fn a_post_has_a_length_even_without_a_body() {
        let head = "POST /a?b HTTP/1.1\r\nhost: example.org:8080\r\ncontent-length: ";
        assert_eq!(text(&request("POST", b"", None), None), format!("{head}0\r\n\r\n"));
        assert_eq!(text(&request("POST", b"", Some(&[0; 1234])), None), format!("{head}1234\r\n\r\n"));
    }

    #[test]
    fn a_host_of_the_caller_replaces_ours() {
        let mut request = request("GET", b"Host: other\r\n", None);
        request.has_host = true;
        assert_eq!(text(&request, None), "GET /a?b HTTP/1.1\r\nHost: other\r\n\r\n");
    }

    #[test]
    fn a_proxy_gets_the_whole_url() {
        assert_eq!(
            text(&request("GET", b"", None), Some("Basic eA==")),
            "GET http://example.org:8080/a?b HTTP/1.1\r\nhost: example.org:8080\r\nproxy-authorization: Basic eA==\r\n\r\n"
        );
    }
}
