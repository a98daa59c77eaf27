//! HTTP/1.1 exchanges with servers that keep the rules, bend them, or break them.

use std::io::Write;
use std::time::{Duration, Instant};

use super::*;

/// The exchange with a server that sends `answer` once and closes.
fn answered(answer: &[u8]) -> Exchange {
    answered_to("GET", answer)
}

fn answered_to(method: &'static str, answer: &[u8]) -> Exchange {
    run(async {
        let server = Server::answering_once(answer);
        exchange(&user(), &Request { method, ..get(&server.origin()) }).await
    })
}

#[test]
fn kept_alive_connections_are_used_again() {
    run(async {
        let server = Server::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello");
        let user = user();
        for _ in 0..10 {
            let exchange = exchange(&user, &get(&server.origin())).await;
            assert_eq!((exchange.status, exchange.body.bytes(), exchange.failure), (200, &b"hello"[..], None));
            assert_eq!(exchange.headers.get("x"), Some(&b"y"[..]));
        }
        assert_eq!(server.connections(), 1);
    });
}

#[test]
fn phases_and_bytes_are_those_of_the_exchange() {
    run(async {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        let server = Server::answering(answer);
        let user = user();
        let first = exchange(&user, &get(&server.origin())).await;
        let second = exchange(&user, &get(&server.origin())).await;
        assert!(first.timings.connect.is_some() && first.timings.dns.is_none() && first.timings.tls.is_none());
        assert!(second.timings.connect.is_none());
        for exchange in [first, second] {
            let timings = exchange.timings;
            let parts = [timings.blocked, timings.connect, timings.send, timings.wait, timings.receive];
            let sum: Duration = parts.into_iter().flatten().sum();
            assert!(sum <= timings.total && timings.wait.unwrap() > Duration::ZERO, "{timings:?}");
            assert_eq!(exchange.bytes_in, answer.len() as u64);
            assert_eq!(exchange.bytes_out, format!("GET / HTTP/1.1\r\nhost: {}\r\n\r\n", server.address).len() as u64);
            assert!(exchange.was_sent);
        }
    });
}

#[test]
fn a_body_without_a_length_ends_with_the_connection() {
    let exchange = answered(b"HTTP/1.1 200 OK\r\n\r\nall of it");
    assert_eq!((exchange.body.bytes(), exchange.failure), (&b"all of it"[..], None));
}

#[test]
fn a_chunked_body_is_put_together() {
    let exchange = answered(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nall\r\n3\r\n of\r\n0\r\nTrailer: z\r\n\r\n");
    assert_eq!((exchange.body.bytes(), exchange.failure), (&b"all of"[..], None));
}

#[test]
fn a_transfer_coding_rules_over_a_length_and_ends_the_connection() {
    run(async {
        let server = Server::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n");
        let user = user();
        for _ in 0..2 {
            assert_eq!(exchange(&user, &get(&server.origin())).await.body.bytes(), b"a");
        }
        assert_eq!(server.connections(), 2);
    });
}

#[test]
fn answers_without_a_body_leave_the_connection_usable() {
    for (method, answer) in [
        ("HEAD", &b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"[..]),
        ("HEAD", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"),
        ("GET", b"HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 0\r\n\r\n"),
    ] {
        run(async {
            let server = Server::answering(answer);
            let user = user();
            for _ in 0..2 {
                let exchange = exchange(&user, &Request { method, ..get(&server.origin()) }).await;
                assert_eq!((exchange.failure, exchange.body.bytes().len()), (None, 0));
            }
            assert_eq!(server.connections(), 1, "{method} {}", String::from_utf8_lossy(answer));
        });
    }
}

#[test]
fn answers_that_end_their_connection_are_obeyed() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nconnection: foo, Close\r\ncontent-length: 1\r\n\r\na"[..],
        b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\naHTTP/1.1 200 OK\r\n",
    ] {
        run(async {
            let server = Server::answering(answer);
            let user = user();
            for _ in 0..2 {
                let exchange = exchange(&user, &get(&server.origin())).await;
                assert_eq!((exchange.failure, exchange.body.bytes()), (None, &b"a"[..]));
            }
            assert_eq!(server.connections(), 2, "{}", String::from_utf8_lossy(answer));
        });
    }
}

#[test]
fn informational_answers_are_passed_over() {
    let exchange = answered(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nok",
    );
    assert_eq!((exchange.status, exchange.body.bytes(), exchange.headers.get("link")), (201, &b"ok"[..], None));
}

#[test]
fn a_head_of_many_fields_is_read() {
    let mut answer = b"HTTP/1.1 200 OK\r\n".to_vec();
    for number in 0..2000 {
        write!(answer, "x-{number}: {number}\r\n").unwrap();
    }
    answer.extend(b"content-length: 0\r\n\r\n");
    let exchange = answered(&answer);
    assert_eq!((exchange.failure.as_ref(), exchange.headers.get("x-1999")), (None, Some(&b"1999"[..])));
}

#[test]
fn broken_answers_are_protocol_failures() {
    for answer in [
        &b"this is not HTTP\r\n\r\n"[..],
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nhello",
    ] {
        let exchange = answered(answer);
        assert_eq!(kind(&exchange), Some(FailureKind::Protocol), "{}: {exchange:?}", String::from_utf8_lossy(answer));
    }
}

#[test]
fn an_endless_head_is_a_protocol_failure() {
    let exchange = answered(&[b"HTTP/1.1 200 OK\r\n".to_vec(), b"a: bcdefgh\r\n".repeat(10_000)].concat());
    assert_eq!(kind(&exchange), Some(FailureKind::Protocol));
    assert_eq!(message(&exchange), "response head longer than 65536 bytes");
}

#[test]
fn an_endless_body_is_too_large() {
    run(async {
        let server = Server::start(|_, stream| {
            read_request(stream);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            while stream.write_all(&[b'x'; 65536]).is_ok() {}
        });
        let exchange = exchange(&user(), &Request { body_limit: 100_000, ..get(&server.origin()) }).await;
        assert_eq!((kind(&exchange), exchange.status), (Some(FailureKind::TooLarge), 200));
        assert!(exchange.body.bytes().len() <= 100_000);
    });
}

#[test]
fn a_connection_that_ends_before_the_answer_is_a_reset() {
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent"] {
        let exchange = answered(answer);
        assert_eq!((kind(&exchange), exchange.status, exchange.was_sent), (Some(FailureKind::Reset), 0, true), "{answer:?}");
    }
}

#[test]
fn a_reset_in_mid_body_is_a_reset() {
    run(async {
        let server = Server::start(|_, stream| {
            read_request(stream);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhell").unwrap();
            std::thread::sleep(Duration::from_millis(50));
            reset(stream);
        });
        let exchange = exchange(&user(), &get(&server.origin())).await;
        assert_eq!((kind(&exchange), exchange.status), (Some(FailureKind::Reset), 200));
        assert_eq!(message(&exchange), format!("connection reset by {}", server.address));
    });
}

#[test]
fn a_closed_port_refuses() {
    run(async {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let origin = Rc::new(Origin::parse(&format!("http://{address}")).unwrap());
        let exchange = exchange(&user(), &get(&origin)).await;
        assert_eq!((kind(&exchange), exchange.was_sent, exchange.bytes_out), (Some(FailureKind::Refused), false, 0));
        assert_eq!(message(&exchange), format!("connection refused by {address}"));
    });
}

#[test]
fn a_name_that_does_not_exist_fails_by_its_name() {
    run(async {
        let origin = Rc::new(Origin::parse("http://nowhere.invalid").unwrap());
        let user =
            Connections::new(Rc::new(Context::new(Settings { connect_timeout: Duration::from_secs(2), ..Settings::default() }).unwrap()));
        let request = get(&origin);
        let (first, second) = tokio::join!(exchange(&user, &request), exchange(&user, &request));
        for exchange in [first, second] {
            assert_eq!((kind(&exchange), exchange.was_sent), (Some(FailureKind::Dns), false), "{exchange:?}");
            assert!(message(&exchange).starts_with("look-up of `nowhere.invalid` failed: "), "{exchange:?}");
            assert!(exchange.timings.dns.is_some() && exchange.timings.connect.is_none());
        }
    });
}

#[test]
fn a_stalled_answer_times_out_in_time() {
    for answer in [&b""[..], b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhell"] {
        run(async {
            let server = Server::start(move |_, stream| {
                read_request(stream);
                stream.write_all(answer).unwrap();
                read_request(stream);
            });
            let begin = Instant::now();
            let exchange = exchange(&user(), &Request { timeout: Duration::from_millis(150), ..get(&server.origin()) }).await;
            let took = begin.elapsed();
            assert_eq!(kind(&exchange), Some(FailureKind::Timeout));
            assert_eq!(message(&exchange), "no whole answer within 150ms");
            assert!(took >= Duration::from_millis(150) && took < Duration::from_millis(1000), "{took:?}");
        });
    }
}

#[test]
fn the_deadline_of_an_earlier_exchange_does_not_end_a_later_one() {
    run(async {
        let server = Server::start(|_, stream| {
            while let Some(request) = read_request(stream) {
                if request.starts_with(b"GET /slow") {
                    std::thread::sleep(Duration::from_millis(300));
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            }
        });
        let user = user();
        let short = Duration::from_millis(150);
        let quick = exchange(&user, &Request { timeout: short, ..get(&server.origin()) }).await;
        let slow = exchange(&user, &Request { path: "/slow", ..get(&server.origin()) }).await;
        let too_slow = exchange(&user, &Request { path: "/slow", timeout: short, ..get(&server.origin()) }).await;
        assert_eq!((kind(&quick), kind(&slow), kind(&too_slow)), (None, None, Some(FailureKind::Timeout)));
        assert_eq!(server.connections(), 1);
    });
}

#[test]
fn a_large_body_is_written_whole() {
    run(async {
        let server = Server::start(|_, stream| {
            while let Some(request) = read_request(stream) {
                let sum = request.iter().map(|byte| u64::from(*byte)).sum::<u64>();
                let text = format!("{} {sum}", request.len());
                write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len()).unwrap();
            }
        });
        let user = user();
        for length in [1, 16 * 1024, 16 * 1024 + 1, 5_000_000] {
            let body = vec![7; length];
            let head = format!("POST / HTTP/1.1\r\nhost: {}\r\ncontent-length: {length}\r\n\r\n", server.address);
            let exchange = exchange(&user, &Request { method: "POST", body: Some(&body), ..get(&server.origin()) }).await;
            let sum = head.bytes().map(u64::from).sum::<u64>() + 7 * length as u64;
            let whole = head.len() + length;
            assert_eq!(
                (String::from_utf8(exchange.body.bytes().to_vec()).unwrap(), exchange.bytes_out),
                (format!("{whole} {sum}"), whole as u64)
            );
        }
        assert_eq!(server.connections(), 1);
    });
}

#[test]
fn an_answer_before_the_end_of_the_request_is_read() {
    run(async {
        let server = Server::start(|_, stream| {
            stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig").unwrap();
            std::thread::sleep(Duration::from_millis(300));
        });
        let body = vec![7; 50_000_000];
        let exchange = exchange(&user(), &Request { method: "POST", body: Some(&body), ..get(&server.origin()) }).await;
        assert_eq!((exchange.status, exchange.failure, exchange.body.bytes()), (413, None, &b"big"[..]));
        assert!(exchange.bytes_out < 50_000_000);
    });
}

#[test]
fn a_dropped_exchange_gives_no_connection_back() {
    run(async {
        let server = Server::start(|number, stream| {
            while read_request(stream).is_some() {
                std::thread::sleep(Duration::from_millis(if number == 0 { 200 } else { 0 }));
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            }
        });
        let user = user();
        let progress = Progress::default();
        let origin = server.origin();
        let request = get(&origin);
        let cut = tokio::time::timeout(Duration::from_millis(50), user.exchange(&request, &progress)).await;
        assert!(cut.is_err() && progress.was_sent.get() && progress.bytes_out.get() > 0 && progress.status.get() == 0);
        assert_eq!(exchange(&user, &get(&server.origin())).await.status, 200);
        assert_eq!(server.connections(), 2);
    });
}

#[test]
fn exchanges_of_one_user_run_side_by_side() {
    run(async {
        let server = Server::start(|_, stream| {
            while read_request(stream).is_some() {
                std::thread::sleep(Duration::from_millis(100));
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            }
        });
        let user = user();
        let origin = server.origin();
        let request = get(&origin);
        let begin = Instant::now();
        for _ in 0..2 {
            let (a, b, c) = tokio::join!(exchange(&user, &request), exchange(&user, &request), exchange(&user, &request));
            assert_eq!([a.status, b.status, c.status], [200; 3]);
        }
        assert!(begin.elapsed() < Duration::from_millis(500));
        assert_eq!(server.connections(), 3);
    });
}

#[test]
fn an_exchange_under_way_is_small() {
    let user = user();
    let origin = Rc::new(Origin::parse("http://a").unwrap());
    let (request, progress) = (get(&origin), Progress::default());
    let size = size_of_val(&user.exchange(&request, &progress));
    assert!(size < 1024, "{size}");
}

/// Closes with an RST instead of a FIN.
fn reset(stream: &TcpStream) {
    use std::os::fd::AsRawFd;
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = libc::socklen_t::try_from(size_of_val(&linger)).unwrap();
    // SAFETY: the descriptor is open and the option's value lives through the call.
    let result = unsafe { libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, (&raw const linger).cast(), size) };
    assert_eq!(result, 0);
}
