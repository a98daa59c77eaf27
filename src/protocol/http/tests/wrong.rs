//! Answers that break the rules, bend them, or use their seldom-used corners: what is made of each, by RFC 9112 and, where that leaves it open, by what
//! curl does.

use super::*;

/// What comes of an answer.
#[derive(Debug)]
enum Comes {
    /// A whole answer: its status and its body.
    Whole(u16, &'static str),
    /// A failure of this kind, whose text has these words.
    Fails(FailureKind, &'static str),
}

use Comes::{Fails, Whole};
use FailureKind::{Protocol, Reset};

fn answered(answer: Vec<u8>) -> (Exchange, Vec<u8>) {
    run(async {
        let server = Server::answering_once(answer);
        let exchange = exchange(&user(), &get(&server.origin())).await;
        let body = exchange.body.bytes().to_vec();
        (exchange, body)
    })
}

fn judge(table: &[(&str, Comes)]) {
    let mut wrong = Vec::new();
    for (answer, comes) in table {
        let (exchange, body) = answered(answer.as_bytes().to_vec());
        let holds = match comes {
            Whole(status, text) => exchange.failure.is_none() && exchange.status == *status && body == text.as_bytes(),
            Fails(wanted, words) => kind(&exchange) == Some(*wanted) && message(&exchange).contains(words),
        };
        if !holds {
            wrong.push(format!(
                "{answer:?}: wanted {comes:?}, got {} {:?} {:?}",
                exchange.status,
                exchange.failure,
                String::from_utf8_lossy(&body)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn status_lines_are_read_as_curl_reads_them() {
    judge(&[
        ("HTTP/1.1 200 OK\r\n\r\nbody", Whole(200, "body")),
        ("HTTP/1.1 200\r\n\r\nbody", Whole(200, "body")),
        ("HTTP/1.1 200 \r\n\r\nbody", Whole(200, "body")),
        ("HTTP/1.1 200 Very good, \u{e4}\r\n\r\nbody", Whole(200, "body")),
        ("HTTP/1.0 200 OK\r\n\r\nbody", Whole(200, "body")),
        ("HTTP/1.1 200 OK\n\nbody", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\nA: b\n\nbody", Whole(200, "body")),
        ("\r\nHTTP/1.1 200 OK\r\n\r\nbody", Whole(200, "body")),
        ("HTTP/1.1 299 Odd\r\n\r\nbody", Whole(299, "body")),
        ("HTTP/1.1 600 Odd\r\n\r\nbody", Whole(600, "body")),
        ("HTTP/1.1 999 Odd\r\n\r\nbody", Whole(999, "body")),
        ("HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n", Whole(205, "")),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody", Whole(200, "body")),
        ("HTTP/1.1 199 Odd\r\ncontent-length: 9\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody", Whole(200, "body")),
        ("HTTP/1.1 102 \r\n\r\nHTTP/1.1 103 \r\nlink: </a>\r\n\r\nHTTP/1.1 404 No\r\n\r\nbody", Whole(404, "body")),
        ("HTTP/1.1 000 None\r\n\r\nbody", Fails(Protocol, "invalid status")),
        ("HTTP/1.1 099 Low\r\n\r\nbody", Fails(Protocol, "invalid status")),
        ("HTTP/1.1 99 Low\r\n\r\nbody", Fails(Protocol, "invalid status")),
        ("HTTP/1.1 1000 High\r\n\r\nbody", Fails(Protocol, "invalid status")),
        ("HTTP/1.1 2OO OK\r\n\r\nbody", Fails(Protocol, "invalid status")),
        ("HTTP/1.1 -200 OK\r\n\r\nbody", Fails(Protocol, "invalid status")),
        ("HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n", Fails(Protocol, "101")),
        ("HTTP/2 200 OK\r\n\r\nbody", Fails(Protocol, "not HTTP/1")),
        ("HTTP/1.2 200 OK\r\n\r\nbody", Fails(Protocol, "not HTTP/1")),
        ("HTTP/0.9 200 OK\r\n\r\nbody", Fails(Protocol, "not HTTP/1")),
        ("ICY 200 OK\r\n\r\nbody", Fails(Protocol, "bad response head")),
        ("http/1.1 200 OK\r\n\r\nbody", Fails(Protocol, "bad response head")),
        ("<html>no head at all</html>\r\n\r\n", Fails(Protocol, "bad response head")),
        ("\u{16}\u{3}\u{1}\u{2}\r\n\r\n", Fails(Protocol, "bad response head")),
        ("HTTP/1.1 200 OK\r\n", Fails(Reset, "before the answer")),
        ("HTTP/1.1 200 OK\r\na: b", Fails(Reset, "before the answer")),
        ("HTTP/1.1 100 Continue\r\n\r\n", Fails(Reset, "before the answer")),
        ("H", Fails(Reset, "before the answer")),
        ("", Fails(Reset, "before the answer")),
    ]);
}

#[test]
fn header_fields_are_read_as_curl_reads_them() {
    judge(&[
        ("HTTP/1.1 200 OK\r\nX-Long: a\r\n b\r\n\tc\r\ncontent-length: 4\r\n\r\nbodyMORE", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\ncontent-length:\r\n 4\r\n\r\nbodyMORE", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\ncontent-length : 4\r\n\r\nbodyMORE", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\nContent-Length\t: 4\r\n\r\nbodyMORE", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\ncontent-length:4\r\n\r\nbodyMORE", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\ncontent-length:  \t 4 \t \r\n\r\nbodyMORE", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\nempty:\r\nspace: \r\n\r\nbody", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\ntext: \u{e4}\u{20ac}\r\n\r\nbody", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\n!#$%&'*+-.^_`|~: token\r\n\r\nbody", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\nx: a:b:c\r\n\r\nbody", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\nno colon here\r\n\r\nbody", Fails(Protocol, "bad response head")),
        ("HTTP/1.1 200 OK\r\n: no name\r\n\r\nbody", Fails(Protocol, "invalid header name")),
        ("HTTP/1.1 200 OK\r\nna\0me: x\r\n\r\nbody", Fails(Protocol, "invalid header name")),
        ("HTTP/1.1 200 OK\r\nname: x\0y\r\n\r\nbody", Fails(Protocol, "invalid header value")),
        ("HTTP/1.1 200 OK\r\nname: x\ry\r\n\r\nbody", Fails(Protocol, "invalid header value")),
        ("HTTP/1.1 200 OK\r\nname: x\u{1b}y\r\n\r\nbody", Fails(Protocol, "invalid header value")),
        ("HTTP/1.1 200 OK\r\n folded: at once\r\n\r\nbody", Fails(Protocol, "bad response head")),
    ]);
}

#[test]
fn lengths_are_digits_and_agree() {
    judge(&[
        ("HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 4\r\n\r\nbodyMORE", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 4, 4\r\n\r\nbodyMORE", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0004\r\n\r\nbodyMORE", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nMORE", Whole(200, "")),
        ("HTTP/1.1 204 No Content\r\ncontent-length: 4\r\n\r\nbody", Whole(204, "")),
        ("HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\nbody", Whole(304, "")),
        ("HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", Whole(204, "")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nbody", Fails(Protocol, "conflicting content-length")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 4, 5\r\n\r\nbody", Fails(Protocol, "conflicting content-length")),
        ("HTTP/1.1 200 OK\r\ncontent-length: +4\r\n\r\nbody", Fails(Protocol, "bad content-length")),
        ("HTTP/1.1 200 OK\r\ncontent-length: -4\r\n\r\nbody", Fails(Protocol, "bad content-length")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 4x\r\n\r\nbody", Fails(Protocol, "bad content-length")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0x4\r\n\r\nbody", Fails(Protocol, "bad content-length")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 4.0\r\n\r\nbody", Fails(Protocol, "bad content-length")),
        ("HTTP/1.1 200 OK\r\ncontent-length: four\r\n\r\nbody", Fails(Protocol, "bad content-length")),
        ("HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\nbody", Fails(Protocol, "bad content-length")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 4,\r\n\r\nbody", Fails(Protocol, "bad content-length")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 4 4\r\n\r\nbody", Fails(Protocol, "bad content-length")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nbody", Fails(Protocol, "bad content-length")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\nbody", Fails(Protocol, "shorter than its content-length")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nbody", Fails(Protocol, "shorter than its content-length")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", Fails(Protocol, "shorter than its content-length")),
    ]);
}

#[test]
fn transfer_codings_rule_over_lengths() {
    let chunked = "transfer-encoding: chunked\r\n\r\n";
    for (rest, comes) in [
        ("4\r\nbody\r\n0\r\n\r\n", Whole(200, "body")),
        ("4\r\nbody\r\n0\r\n\r\nMORE", Whole(200, "body")),
        ("2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n", Whole(200, "body")),
        ("0004\r\nbody\r\n000\r\n\r\n", Whole(200, "body")),
        ("4 \r\nbody\r\n0\r\n\r\n", Whole(200, "body")),
        ("4;a=b;c=\"d e\"\r\nbody\r\n0;x\r\n\r\n", Whole(200, "body")),
        ("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", Whole(200, "01234567890123456789")),
        ("4\r\nbody\r\n0\r\nX: y\r\nZ:\r\n\r\n", Whole(200, "body")),
        ("0\r\n\r\n", Whole(200, "")),
        ("4\r\nbody\r\n0\r\n", Fails(Protocol, "cut short")),
        ("4\r\nbody\r\n", Fails(Protocol, "cut short")),
        ("4\r\nbo", Fails(Protocol, "cut short")),
        ("", Fails(Protocol, "cut short")),
        ("4\r\nbodyX\r\n0\r\n\r\n", Fails(Protocol, "chunk longer than its size")),
        ("5\r\nbody\r\n0\r\n\r\n", Fails(Protocol, "chunk longer than its size")),
        ("-4\r\nbody\r\n0\r\n\r\n", Fails(Protocol, "bad chunk size")),
        ("+4\r\nbody\r\n0\r\n\r\n", Fails(Protocol, "bad chunk size")),
        ("0x4\r\nbody\r\n0\r\n\r\n", Fails(Protocol, "bad chunk size")),
        ("g\r\nbody\r\n0\r\n\r\n", Fails(Protocol, "bad chunk size")),
        ("\r\nbody\r\n0\r\n\r\n", Fails(Protocol, "bad chunk size")),
        ("4 4\r\nbody\r\n0\r\n\r\n", Fails(Protocol, "bad chunk size")),
        ("ffffffffffffffff\r\nbody", Fails(Protocol, "cut short")),
        ("11111111111111111\r\nbody", Fails(Protocol, "chunk size too large")),
        ("body", Fails(Protocol, "chunk")),
    ] {
        let whole = format!("HTTP/1.1 200 OK\r\n{chunked}{rest}");
        judge(&[(&whole, comes)]);
    }
    judge(&[
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding:\r\n chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", Whole(200, "body")),
        ("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\ncontent-length: 4\r\n\r\nbodyMORE", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding:\r\ncontent-length: 4\r\n\r\nbodyMORE", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: identity, chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nbody", Fails(Protocol, "packed by its transfer-encoding")),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: GZIP, chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
            Fails(Protocol, "packed by its transfer-encoding"),
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: made-up\r\ncontent-length: 2\r\n\r\nbody", Whole(200, "body")),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: made-up\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", Whole(200, "body")),
    ]);
}

#[test]
fn a_folded_field_reads_as_one_line_with_spaces() {
    let (exchange, _) =
        answered(b"HTTP/1.1 200 OK\r\nX-A:  one\r\n  two \r\n\tthree\r\nX-B : b\r\nset-cookie: c=d;\r\n Path=/\r\n\r\n".to_vec());
    assert_eq!(exchange.failure, None);
    assert_eq!(exchange.headers.get("x-a"), Some(&b"one two three"[..]));
    assert_eq!(exchange.headers.get("x-b"), Some(&b"b"[..]));
    assert_eq!(exchange.headers.get("set-cookie"), Some(&b"c=d; Path=/"[..]));
    assert!(exchange.headers.sets_cookies());
}

#[test]
fn an_event_stream_is_ended_by_a_time_limit_of_its_own_and_has_not_failed() {
    for (media_type, ends_streams, wanted) in [
        ("text/event-stream", true, None),
        ("Text/Event-Stream; charset=utf-8", true, None),
        ("text/event-stream", false, Some(FailureKind::Timeout)),
        ("text/html", true, Some(FailureKind::Timeout)),
    ] {
        run(async {
            let server = Server::start(move |_, stream| {
                read_request(stream);
                let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\n\r\ndata: 1\n\n");
                read_request(stream);
            });
            let user = user();
            let request = Request { timeout: Duration::from_millis(100), ends_streams, ..get(&server.origin()) };
            for _ in 0..2 {
                let exchange = exchange(&user, &request).await;
                assert_eq!((kind(&exchange), exchange.status, exchange.body.bytes()), (wanted, 200, &b"data: 1\n\n"[..]), "{media_type}");
                assert!(exchange.timings.total >= Duration::from_millis(100));
            }
            assert_eq!(server.connections(), 2, "an ended stream's connection is of no more use");
        });
    }
    // Before its head there is no stream that could be ended.
    run(async {
        let server = Server::start(|_, stream| while read_request(stream).is_some() {});
        let request = Request { timeout: Duration::from_millis(50), ends_streams: true, ..get(&server.origin()) };
        assert_eq!(kind(&exchange(&user(), &request).await), Some(FailureKind::Timeout));
    });
}

#[test]
fn the_deadline_holds_while_the_target_always_has_bytes() {
    let zip = |count| (0..count).map(|_| "1f8b08000000000002ff03000000000000000000").map(unhex).collect::<Vec<_>>().concat();
    for (name, first, part) in [
        ("interim answers", Vec::new(), b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(5_000)),
        (
            "other interim answers",
            Vec::new(),
            (0..5_000).flat_map(|number| format!("HTTP/1.1 103 Hints\nx: {number}\n\n").into_bytes()).collect(),
        ),
        ("body", b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'z'; 1_000_000]),
        ("tiny chunks", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(), b"1\r\nx\r\n".repeat(100_000)),
        (
            "chunk extensions",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
            b"1;abcdefghijklmnop\r\nx\r\n".repeat(50_000),
        ),
        ("empty gzip members", b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n".to_vec(), zip(10_000)),
    ] {
        run(async {
            let server = Server::start(move |_, stream| {
                read_request(stream);
                let _ = stream.write_all(&first);
                while stream.write_all(&part).is_ok() {}
            });
            let user = user();
            let limit = Duration::from_millis(200);
            let request = Request { timeout: limit, body_limit: u64::MAX, discard: true, ..get(&server.origin()) };
            let begin = std::time::Instant::now();
            let exchange = exchange(&user, &request).await;
            let took = begin.elapsed();
            assert_eq!(kind(&exchange), Some(FailureKind::Timeout), "{name}: {exchange:?}");
            assert!(took < 5 * limit, "{name}: {took:?}");
        });
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
