//! Answers over HTTP/2 that are odd, wrong, or never end.
//!
//! Method: a raw server answers a POST with what the table says; beside it stands what RFC 9113 makes of it.

use super::http2::*;
use super::*;

/// Whose request a peer answers with what.
type Answer = fn(&mut Peer, u32);

/// Answers that break no rule, however odd.
const GOOD: &[(&str, &str, Answer)] = &[
    ("a reset without an error behind a whole answer", "ok", |peer, stream| {
        peer.ok(stream);
        peer.reset(stream, NO_ERROR);
    }),
    ("interim answers", "ok", |peer, stream| {
        peer.head(stream, &[(":status", "100")], 0);
        peer.head(stream, &[(":status", "103"), ("link", "</a>")], 0);
        peer.ok(stream);
    }),
    ("trailers", "body", |peer, stream| {
        peer.head(stream, &[(":status", "200")], 0);
        peer.data(stream, b"body", 0);
        peer.head(stream, &[("x-t", "1")], END_STREAM);
    }),
    ("a frame of a type that nobody knows", "ok", |peer, stream| {
        peer.frame(0xfa, 0xff, stream, b"anything");
        peer.frame(0xfb, 0xff, 0, b"anything");
        peer.ok(stream);
    }),
    ("a setting that nobody knows", "ok", |peer, stream| {
        peer.settings(&[(0xff, 7)]);
        peer.ok(stream);
    }),
    ("padding", "ok", |peer, stream| {
        peer.head(stream, &[(":status", "200")], 0);
        peer.data(stream, b"\x03ok\0\0\0", PADDED | END_STREAM);
    }),
    ("a head in pieces", "ok", |peer, stream| {
        let block = block(&[(":status", "200"), ("x-long", "value")]);
        peer.frame(HEADERS, 0, stream, &block[..5]);
        peer.frame(CONTINUATION, 0, stream, &block[5..9]);
        peer.frame(CONTINUATION, END_HEADERS, stream, &block[9..]);
        peer.data(stream, b"ok", END_STREAM);
    }),
    ("a head of many fields", "ok", |peer, stream| {
        let value = "v".repeat(300);
        let mut fields = vec![(":status", "200")];
        fields.extend(std::iter::repeat_n(("x-many", value.as_str()), 40));
        peer.head(stream, &fields, 0);
        peer.data(stream, b"ok", END_STREAM);
    }),
    ("a priority", "ok", |peer, stream| {
        peer.frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 16]);
        peer.ok(stream);
    }),
    ("pings without an answer awaited", "ok", |peer, stream| {
        for _ in 0..50 {
            peer.frame(PING, 0, 0, b"12345678");
        }
        peer.ok(stream);
    }),
    ("settings one after the other", "ok", |peer, stream| {
        for window in 1..50 {
            peer.settings(&[(INITIAL_WINDOW_SIZE, 60_000 + window)]);
        }
        peer.ok(stream);
    }),
    ("a window that shrinks below what is under way", "ok", |peer, stream| {
        peer.settings(&[(INITIAL_WINDOW_SIZE, 0)]);
        peer.ok(stream);
        peer.settings(&[(INITIAL_WINDOW_SIZE, 65_535)]);
    }),
    ("an empty frame of data at the end", "ok", |peer, stream| {
        peer.head(stream, &[(":status", "200")], 0);
        peer.data(stream, b"ok", 0);
        peer.data(stream, b"", END_STREAM);
    }),
    ("a status without a body", "", |peer, stream| peer.head(stream, &[(":status", "204")], END_STREAM)),
    ("a status that no list has", "", |peer, stream| peer.head(stream, &[(":status", "299")], END_STREAM)),
    ("a value in latin-1 and a field that comes twice", "ok", |peer, stream| {
        let mut fields = block(&[(":status", "200"), ("x-a", "1"), ("x-a", "2")]);
        fields.extend(b"\x00\x03x-l\x04caf\xe9");
        peer.frame(HEADERS, END_HEADERS, stream, &fields);
        peer.data(stream, b"ok", END_STREAM);
    }),
    ("an answer before the request's end, and a reset that says to stop", "early", |peer, stream| {
        peer.head(stream, &[(":status", "200")], 0);
        peer.data(stream, b"early", END_STREAM);
        peer.reset(stream, NO_ERROR);
    }),
];

#[test]
fn odd_answers_that_break_no_rule_are_read() {
    for (name, body, answer) in GOOD {
        let (case, exchange) = first_answered_by(answer);
        assert_eq!((exchange.status / 100, exchange.failure.as_ref()), (2, None), "{name}");
        assert_eq!(String::from_utf8_lossy(exchange.body.bytes()), *body, "{name}");
        assert_eq!(case.server.connections(), 1, "{name}");
    }
}

/// Answers that break a rule, and what is said of them; the codes are those of RFC 9113.
const BAD: &[(&str, &str, Answer)] = &[
    ("data on no stream", "PROTOCOL_ERROR", |peer, _| peer.data(0, b"x", 0)),
    ("data on a stream that nobody opened", "PROTOCOL_ERROR", |peer, _| peer.data(99, b"x", 0)),
    ("a head on no stream", "PROTOCOL_ERROR", |peer, _| peer.head(0, &[(":status", "200")], 0)),
    ("a head on a stream of the server's own", "PROTOCOL_ERROR", |peer, _| peer.head(2, &[(":status", "200")], 0)),
    ("data before the head", "PROTOCOL_ERROR", |peer, stream| peer.data(stream, b"x", END_STREAM)),
    ("settings of an odd length", "FRAME_SIZE_ERROR", |peer, _| peer.frame(SETTINGS, 0, 0, &[0; 5])),
    ("an acknowledgement with something in it", "FRAME_SIZE_ERROR", |peer, _| peer.frame(SETTINGS, ACK, 0, &[0; 6])),
    ("settings on a stream", "PROTOCOL_ERROR", |peer, stream| peer.frame(SETTINGS, 0, stream, &[])),
    ("a window above the largest", "FLOW_CONTROL_ERROR", |peer, _| peer.settings(&[(INITIAL_WINDOW_SIZE, 0x8000_0000)])),
    ("a frame size below the smallest", "PROTOCOL_ERROR", |peer, _| peer.settings(&[(5, 100)])),
    ("a ping of an odd length", "FRAME_SIZE_ERROR", |peer, _| peer.frame(PING, 0, 0, b"1234567")),
    ("a ping on a stream", "PROTOCOL_ERROR", |peer, stream| peer.frame(PING, 0, stream, b"12345678")),
    ("a window that grows by nothing", "PROTOCOL_ERROR", |peer, _| peer.frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
    ("a window that grows too far", "FLOW_CONTROL_ERROR", |peer, _| {
        peer.frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes());
    }),
    ("a frame larger than allowed", "FRAME_SIZE_ERROR", |peer, stream| peer.data(stream, &[0; 17_000], END_STREAM)),
    ("a promise that nobody asked for", "PROTOCOL_ERROR", |peer, stream| {
        peer.frame(PUSH_PROMISE, END_HEADERS, stream, &[&2_u32.to_be_bytes()[..], &block(&[(":path", "/")])].concat());
    }),
    ("a continuation of nothing", "PROTOCOL_ERROR", |peer, stream| peer.frame(CONTINUATION, END_HEADERS, stream, &[])),
    ("a head that is cut by another frame", "PROTOCOL_ERROR", |peer, stream| {
        peer.frame(HEADERS, 0, stream, &block(&[(":status", "200")]));
        peer.frame(PING, 0, 0, b"12345678");
    }),
    ("a head that cannot be decoded", "COMPRESSION_ERROR", |peer, stream| peer.frame(HEADERS, END_HEADERS, stream, &[0xff; 20])),
    ("padding longer than the frame", "PROTOCOL_ERROR", |peer, stream| {
        peer.head(stream, &[(":status", "200")], 0);
        peer.data(stream, b"\x20ok", PADDED | END_STREAM);
    }),
    ("a reset of a stream that nobody opened", "PROTOCOL_ERROR", |peer, _| peer.reset(99, 0)),
    ("a reset of no stream", "PROTOCOL_ERROR", |peer, _| peer.reset(0, 0)),
    ("an answer in HTTP/1.1", "FRAME_SIZE_ERROR", |peer, _| peer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")),
    ("continuations without end", "ENHANCE_YOUR_CALM", |peer, stream| {
        peer.frame(HEADERS, 0, stream, &block(&[(":status", "200")]));
        for _ in 0..100 {
            peer.frame(CONTINUATION, 0, stream, &block(&[("x", "y")]));
        }
    }),
    ("no status", "the head of the answer is malformed", |peer, stream| peer.head(stream, &[("x-a", "1")], 0)),
    ("a status that is no number", "a status that is none", |peer, stream| peer.head(stream, &[(":status", "abc")], 0)),
    ("two statuses", "the head of the answer is malformed", |peer, stream| {
        peer.head(stream, &[(":status", "200"), (":status", "201")], 0);
    }),
    ("a status behind a field", "the head of the answer is malformed", |peer, stream| {
        peer.head(stream, &[("x-a", "1"), (":status", "200")], 0);
    }),
    ("a name in upper case", "a field's name with what may not be in it", |peer, stream| {
        peer.head(stream, &[(":status", "200"), ("X-Upper", "1")], 0);
    }),
    ("a field of a connection", "the head of the answer is malformed", |peer, stream| {
        peer.head(stream, &[(":status", "200"), ("connection", "close")], 0);
    }),
    ("a head larger than allowed", "larger than 65536 bytes", |peer, stream| {
        let value = "v".repeat(8_000);
        let all = block(&[(":status", "200")].into_iter().chain(std::iter::repeat_n(("x-big", value.as_str()), 10)).collect::<Vec<_>>());
        let mut parts = all.chunks(16_000).peekable();
        peer.frame(HEADERS, 0, stream, parts.next().unwrap());
        while let Some(part) = parts.next() {
            peer.frame(CONTINUATION, if parts.peek().is_none() { END_HEADERS } else { 0 }, stream, part);
        }
    }),
    ("a body shorter than its length", "not as long as its content-length of 10 says", |peer, stream| {
        peer.head(stream, &[(":status", "200"), ("content-length", "10")], 0);
        peer.data(stream, b"abc", END_STREAM);
    }),
    ("a body longer than its length", "not as long as its content-length of 3 says", |peer, stream| {
        peer.head(stream, &[(":status", "200"), ("content-length", "3")], 0);
        peer.data(stream, b"abcdef", END_STREAM);
    }),
    ("an end in an interim answer", "bad HTTP/2", |peer, stream| peer.head(stream, &[(":status", "103")], END_STREAM)),
];

#[test]
fn answers_that_break_a_rule_are_told_as_such_and_the_next_request_is_answered() {
    let mut wrong = Vec::new();
    for (name, words, answer) in BAD {
        let (case, failed) = first_answered_by(answer);
        let (_, kind, text, retries) = summary(&failed);
        let is_told = text.starts_with(&format!("bad HTTP/2 from {}: ", case.server.address)) && text.contains(words);
        if (kind, retries, is_told) != (Some(FailureKind::Protocol), 0, true) {
            wrong.push(format!("{name}: {kind:?} {retries} {text}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_body_without_end_is_too_large_and_the_next_request_is_answered() {
    let case = Case::new(|number, peer| {
        peer.settings(&[]);
        if number == 0 {
            let Some(stream) = peer.request() else { return };
            peer.head(stream, &[(":status", "200")], 0);
            // Within the first window, so that nothing has to be waited for.
            for _ in 0..3 {
                peer.data(stream, &[b'x'; 16_000], 0);
            }
        }
        peer.serve();
    });
    let (first, second) = run(async {
        let first = exchange(&case.user, &Request { body_limit: 20_000, ..case.post() }).await;
        (first, exchange(&case.user, &case.post()).await)
    });
    assert_eq!((kind(&first), kind(&second)), (Some(FailureKind::TooLarge), None));
}

#[test]
fn what_never_comes_is_a_timeout_and_no_hang() {
    let floods: [(&str, Answer); 3] = [
        ("silence", |_, _| {}),
        ("interim answers without end", |peer, stream| {
            for _ in 0..2_000 {
                peer.head(stream, &[(":status", "103")], 0);
            }
        }),
        ("a body that does not go on", |peer, stream| {
            peer.head(stream, &[(":status", "200"), ("content-length", "10")], 0);
            peer.data(stream, b"abc", 0);
        }),
    ];
    for (name, answer) in floods {
        let (_, failed) = first_answered_by(answer);
        assert_eq!(kind(&failed), Some(FailureKind::Timeout), "{name}");
    }
}

#[test]
fn settings_that_are_never_sent_or_never_acknowledged_hold_nobody_up() {
    for sends in [false, true] {
        let case = Case::new(move |_, peer| {
            peer.acknowledges = false;
            if sends {
                peer.settings(&[]);
            }
            peer.serve();
        });
        run(async {
            let post = case.post();
            let all: Vec<_> = (0..5).map(|_| Box::pin(exchange(&case.user, &post))).collect();
            for exchange in futures_in_order(all).await {
                assert_eq!(summary(&exchange), (200, None, "", 0));
            }
        });
    }
}

#[test]
fn a_stream_that_nobody_waits_for_any_more_is_given_up_and_makes_room() {
    let (told, heard) = std::sync::mpsc::channel();
    let case = Case::new(move |_, peer| {
        peer.settings(&[(MAX_CONCURRENT_STREAMS, 1)]);
        let first = peer.request().unwrap();
        peer.ok(first);
        let given_up = peer.request().unwrap();
        peer.head(given_up, &[(":status", "200")], 0);
        peer.data(given_up, b"half", 0);
        while let Some((kind, _, stream, payload)) = peer.read() {
            if kind == RST_STREAM {
                told.send((stream, payload)).unwrap();
                break;
            }
        }
        // What was under way to it comes to nobody.
        peer.data(given_up, b"late", END_STREAM);
        peer.serve();
    });
    run(async {
        assert_eq!(summary(&exchange(&case.user, &case.post()).await), (200, None, "", 0));
        let progress = Progress::default();
        let post = case.post();
        let dropped = tokio::time::timeout(Duration::from_millis(200), case.user.exchange(&post, &progress)).await;
        assert!(dropped.is_err());
        assert_eq!((progress.status.get(), progress.was_sent.get()), (200, true));
        assert!(progress.bytes_in.get() > 4 && progress.bytes_out.get() > 3);
        assert_eq!(summary(&exchange(&case.user, &post).await), (200, None, "", 0));
    });
    assert_eq!(heard.recv().unwrap(), (3, 8_u32.to_be_bytes().to_vec()));
    assert_eq!(case.server.connections(), 1);
}
