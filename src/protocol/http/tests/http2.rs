//! HTTP/2 against a raw server that is written frame by frame: what is sent again, what waits, what the server may say.
//!
//! The many answers that are only odd, or wrong, stand in `http2_answers`.

use std::sync::mpsc;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;

/// One connection of a raw server.
pub(super) struct Peer {
    tls: StreamOwned<ServerConnection, TcpStream>,
    is_http2: bool,
    /// Counts requests that the server has looked at, over all connections.
    processed: Arc<AtomicUsize>,
    /// Acknowledges the client's settings.
    pub(super) acknowledges: bool,
}

impl Peer {
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let _ = self.tls.write_all(bytes);
        let _ = self.tls.flush();
    }

    pub(super) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        self.write(&bytes);
    }

    /// The next frame: type, flags, stream and payload.
    pub(super) fn read(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.tls.read_exact(&mut head).ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.tls.read_exact(&mut payload).ok()?;
        Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
    }

    /// Reads on until a request is whole; its stream.
    pub(super) fn request(&mut self) -> Option<u32> {
        loop {
            let (kind, flags, stream, _) = self.read()?;
            if kind == SETTINGS && flags & ACK == 0 && self.acknowledges {
                self.frame(SETTINGS, ACK, 0, &[]);
            }
            if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
                self.processed.fetch_add(1, Ordering::SeqCst);
                return Some(stream);
            }
        }
    }

    pub(super) fn settings(&mut self, values: &[(u16, u32)]) {
        let payload: Vec<u8> = values.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        self.frame(SETTINGS, 0, 0, &payload);
    }

    pub(super) fn head(&mut self, stream: u32, fields: &[(&str, &str)], flags: u8) {
        self.frame(HEADERS, END_HEADERS | flags, stream, &block(fields));
    }

    pub(super) fn data(&mut self, stream: u32, bytes: &[u8], flags: u8) {
        self.frame(DATA, flags, stream, bytes);
    }

    pub(super) fn ok(&mut self, stream: u32) {
        self.head(stream, &[(":status", "200")], 0);
        self.data(stream, b"ok", END_STREAM);
    }

    pub(super) fn reset(&mut self, stream: u32, code: u32) {
        self.frame(RST_STREAM, 0, stream, &code.to_be_bytes());
    }

    pub(super) fn go_away(&mut self, last: u32, code: u32) {
        self.frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat());
    }

    /// Answers all further requests.
    pub(super) fn serve(&mut self) {
        while let Some(stream) = self.request() {
            self.ok(stream);
        }
    }

    /// Reads until the client goes, so that what was written arrives.
    fn drain(&mut self) {
        while self.read().is_some() {}
    }
}

/// A header block of literals without indexing.
pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            // An integer with a prefix of seven bits (RFC 7541, section 5.1).
            match text.len() {
                length @ ..127 => block.push(u8::try_from(length).unwrap()),
                length => {
                    block.push(127);
                    let mut rest = length - 127;
                    while rest >= 128 {
                        block.push(u8::try_from(rest % 128).unwrap() | 128);
                        rest /= 128;
                    }
                    block.push(u8::try_from(rest).unwrap());
                }
            }
            block.extend(text.as_bytes());
        }
    }
    block
}

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
pub(super) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(super) const INITIAL_WINDOW_SIZE: u16 = 4;
pub(super) const NO_ERROR: u32 = 0;
pub(super) const REFUSED_STREAM: u32 = 7;
pub(super) const HTTP_1_1_REQUIRED: u32 = 13;

/// A raw server and a user of its own.
pub(super) struct Case {
    pub(super) server: Server,
    processed: Arc<AtomicUsize>,
    origin: Rc<Origin>,
    pub(super) user: Connections,
}

impl Case {
    /// `handle` gets each connection with its number once its greetings are over; `HTTP/1.1` is answered with 200.
    pub(super) fn new(handle: impl Fn(usize, &mut Peer) + Send + Sync + 'static) -> Self {
        let certified = rcgen::generate_simple_self_signed(vec!["shop.test".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let config = Arc::new(config);
        let processed = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&processed);
        let server = Server::start(move |number, stream| {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = StreamOwned::new(session, stream.try_clone().unwrap());
            if tls.conn.complete_io(&mut tls.sock).is_err() {
                return;
            }
            let is_http2 = tls.conn.alpn_protocol() == Some(b"h2");
            let mut peer = Peer { tls, is_http2, processed: Arc::clone(&counted), acknowledges: true };
            if peer.is_http2 {
                let mut preface = [0; 24];
                if peer.tls.read_exact(&mut preface).is_err() {
                    return;
                }
                handle(number, &mut peer);
                peer.tls.conn.send_close_notify();
                let _ = peer.tls.flush();
                let _ = stream.shutdown(std::net::Shutdown::Write);
                // A close with unread bytes would be a reset that overtakes what was written.
                peer.drain();
            } else {
                let mut request = Vec::new();
                let mut byte = [0];
                while peer.tls.read(&mut byte).is_ok_and(|read| read > 0) {
                    request.push(byte[0]);
                    if request.ends_with(b"\r\n\r\nabc") {
                        request.clear();
                        counted.fetch_add(1, Ordering::SeqCst);
                        peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                    }
                }
            }
        });
        let origin = Rc::new(Origin::parse(&format!("https://127.0.0.1:{}", server.address.port())).unwrap());
        Self { server, processed, origin, user: user() }
    }

    pub(super) fn post(&self) -> Request<'static> {
        Request { method: "POST", body: Some(b"abc"), timeout: Duration::from_millis(900), ..get(&self.origin) }
    }

    fn processed(&self) -> usize {
        self.processed.load(Ordering::SeqCst)
    }
}

/// What came: status, kind of failure, text, and how often it was sent again.
pub(super) fn summary(exchange: &Exchange) -> (u16, Option<FailureKind>, &str, u32) {
    (exchange.status, kind(exchange), message(exchange), exchange.stale_retries)
}

/// Two POSTs, one after the other, to a server whose first connection answers its first request with `answer`, and all others rightly. What
/// came of the first; the second is answered, whatever the first one met.
pub(super) fn first_answered_by(answer: impl Fn(&mut Peer, u32) + Send + Sync + 'static) -> (Case, Exchange) {
    let case = Case::new(move |number, peer| {
        peer.settings(&[]);
        if number == 0 {
            let Some(stream) = peer.request() else { return };
            answer(peer, stream);
        }
        peer.serve();
    });
    let first = run(async {
        let first = exchange(&case.user, &case.post()).await;
        let second = exchange(&case.user, &case.post()).await;
        assert_eq!(summary(&second), (200, None, "", 0), "behind {first:?}");
        first
    });
    (case, first)
}

#[test]
fn issue_15_a_refused_post_is_sent_again_on_the_same_connection() {
    let (case, exchange) = first_answered_by(|peer, stream| peer.reset(stream, REFUSED_STREAM));
    assert_eq!(summary(&exchange), (200, None, "", 1));
    assert_eq!((case.server.connections(), case.processed(), exchange.stale_unanswered), (1, 3, 1));
}

#[test]
fn issue_15_a_post_above_the_last_stream_of_a_goaway_is_sent_again_whatever_its_code() {
    for code in 0..14 {
        let (case, exchange) = first_answered_by(move |peer, _| peer.go_away(0, code));
        let proto = if code == HTTP_1_1_REQUIRED { Version::Http11 } else { Version::Http2 };
        assert_eq!((summary(&exchange), exchange.version), ((200, None, "", 1), proto), "{code}");
        assert_eq!((case.server.connections(), case.processed()), (2, 3), "{code}");
    }
}

#[test]
fn a_server_that_refuses_for_ever_is_asked_so_often_and_no_more() {
    let case = Case::new(|_, peer| {
        peer.settings(&[]);
        while let Some(stream) = peer.request() {
            peer.reset(stream, REFUSED_STREAM);
        }
    });
    let refused = run(exchange(&case.user, &case.post()));
    let text = format!("stream reset by {}: REFUSED_STREAM", case.server.address);
    assert_eq!(summary(&refused), (0, Some(FailureKind::Reset), text.as_str(), 10));
    assert_eq!((case.processed(), refused.was_sent), (11, true));
}

#[test]
fn a_server_that_always_goes_away_is_asked_so_often_and_no_more() {
    let case = Case::new(|_, peer| {
        peer.settings(&[]);
        peer.request();
        peer.go_away(0, NO_ERROR);
    });
    let gone = run(exchange(&case.user, &case.post()));
    let text = format!("connection ended by {} before it looked at the request: GOAWAY NO_ERROR", case.server.address);
    assert_eq!(summary(&gone), (0, Some(FailureKind::Reset), text.as_str(), 10));
    assert_eq!(case.server.connections(), 11);
}

#[test]
fn a_stream_up_to_the_last_of_a_goaway_is_answered_and_the_next_goes_elsewhere() {
    for last in [1, 0x7fff_ffff] {
        let case = Case::new(move |_, peer| {
            peer.settings(&[]);
            while let Some(stream) = peer.request() {
                peer.go_away(last, NO_ERROR);
                peer.ok(stream);
            }
        });
        run(async {
            for _ in 0..3 {
                assert_eq!(summary(&exchange(&case.user, &case.post()).await), (200, None, "", 0));
            }
        });
        assert_eq!((case.server.connections(), case.processed()), (3, 3));
    }
}

#[test]
fn a_post_that_may_have_been_processed_is_not_sent_again() {
    let (case, exchange) = first_answered_by(|peer, stream| {
        peer.go_away(stream, NO_ERROR);
        peer.tls.conn.send_close_notify();
        let _ = peer.tls.flush();
        let _ = peer.tls.sock.shutdown(std::net::Shutdown::Write);
    });
    let text = format!("connection closed by {} before the answer", case.server.address);
    assert_eq!(summary(&exchange), (0, Some(FailureKind::Reset), text.as_str(), 0));
    assert_eq!(case.processed(), 2);
}

#[test]
fn http_1_1_is_spoken_with_a_server_that_requires_it_from_then_on() {
    let case = Case::new(|_, peer| {
        peer.settings(&[]);
        while let Some(stream) = peer.request() {
            peer.reset(stream, HTTP_1_1_REQUIRED);
        }
    });
    run(async {
        let first = exchange(&case.user, &case.post()).await;
        assert_eq!((summary(&first), first.version), ((200, None, "", 1), Version::Http11));
        let second = exchange(&case.user, &case.post()).await;
        assert_eq!((summary(&second), second.version), ((200, None, "", 0), Version::Http11));
    });
    assert_eq!(case.server.connections(), 2);
}

#[test]
fn each_reset_of_a_stream_is_told_by_its_name_and_leaves_the_connection() {
    let names = ["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED"];
    let more = ["FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM"];
    for (code, name) in names.into_iter().chain(more).chain(["INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED", "error code 0xe"]).enumerate() {
        let code = u32::try_from(code).unwrap();
        for has_head in [false, true] {
            if !has_head && matches!(code, REFUSED_STREAM | HTTP_1_1_REQUIRED) {
                continue;
            }
            let (case, failed) = first_answered_by(move |peer, stream| {
                if has_head {
                    peer.head(stream, &[(":status", "200")], 0);
                    peer.data(stream, b"half", 0);
                }
                peer.reset(stream, code);
            });
            let text = format!("stream reset by {}: {name}", case.server.address);
            let status = if has_head { 200 } else { 0 };
            assert_eq!(summary(&failed), (status, Some(FailureKind::Reset), text.as_str(), 0), "{name} {has_head}");
            assert_eq!(case.server.connections(), 1, "{name} {has_head}");
        }
    }
}

#[test]
fn issue_15_a_batch_waits_for_the_streams_that_the_server_allows() {
    for limit in [1, 4] {
        let (told, most) = mpsc::channel();
        let case = Case::new(move |_, peer| {
            peer.settings(&[(MAX_CONCURRENT_STREAMS, limit)]);
            let mut open = Vec::new();
            loop {
                // The limit is full, or nothing more comes: answer one, so that the next can.
                while open.len() < limit as usize {
                    let Some(stream) = peer.request() else { return };
                    open.push(stream);
                }
                told.send(open.len()).unwrap();
                for stream in open.drain(..) {
                    peer.ok(stream);
                }
            }
        });
        run(async {
            let post = case.post();
            let all: Vec<_> = (0..12).map(|_| Box::pin(exchange(&case.user, &post))).collect();
            for exchange in futures_in_order(all).await {
                assert_eq!(summary(&exchange), (200, None, "", 0));
            }
        });
        assert_eq!(most.try_iter().max(), Some(limit as usize));
        assert_eq!((case.server.connections(), case.processed()), (1, 12));
    }
}

pub(super) async fn futures_in_order<F: Future<Output = Exchange> + Unpin>(mut all: Vec<F>) -> Vec<Exchange> {
    let mut done: Vec<Option<Exchange>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(move |cx| {
        for (future, slot) in all.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(exchange) = std::pin::Pin::new(future).poll(cx)
            {
                *slot = Some(exchange);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(done.drain(..).flatten().collect()) } else { std::task::Poll::Pending }
    })
    .await
}

#[test]
fn waiting_for_a_stream_is_blocked_time_and_ends_with_the_timeout() {
    let case = Case::new(|_, peer| {
        peer.settings(&[(MAX_CONCURRENT_STREAMS, 1)]);
        let first = peer.request().unwrap();
        std::thread::sleep(Duration::from_millis(120));
        peer.ok(first);
        peer.request();
        peer.serve();
    });
    run(async {
        let (post, hurried) = (case.post(), Request { timeout: Duration::from_millis(300), ..case.post() });
        let (first, second) = tokio::join!(exchange(&case.user, &post), exchange(&case.user, &hurried));
        assert_eq!(first.status, 200);
        // It had its stream after the first one's end, and was never answered.
        assert_eq!((kind(&second), second.was_sent), (Some(FailureKind::Timeout), true));
        assert!(second.timings.blocked.unwrap() >= Duration::from_millis(110), "{:?}", second.timings);
    });
    let case = Case::new(|_, peer| {
        peer.settings(&[(MAX_CONCURRENT_STREAMS, 0)]);
        peer.serve();
    });
    run(async {
        // One stream is let through before the server's settings are known.
        exchange(&case.user, &case.post()).await;
        let hurried = Request { timeout: Duration::from_millis(100), ..case.post() };
        let never = exchange(&case.user, &hurried).await;
        assert_eq!((summary(&never), never.was_sent), ((0, Some(FailureKind::Timeout), "no whole answer within 100ms", 0), false));
        assert!(never.timings.blocked.unwrap() >= Duration::from_millis(100));
    });
}

#[test]
fn a_limit_that_is_lowered_in_mid_connection_is_kept_from_then_on() {
    let case = Case::new(|_, peer| {
        peer.settings(&[(MAX_CONCURRENT_STREAMS, 8)]);
        let first = peer.request().unwrap();
        peer.settings(&[(MAX_CONCURRENT_STREAMS, 1)]);
        peer.ok(first);
        let mut open = 0;
        while let Some((kind, flags, stream, _)) = peer.read() {
            open += u32::from(kind == HEADERS);
            assert!(open <= 1, "more streams than the server allows");
            if flags & END_STREAM != 0 && matches!(kind, HEADERS | DATA) {
                peer.ok(stream);
                open -= 1;
            }
        }
    });
    run(async {
        let post = case.post();
        assert_eq!(exchange(&case.user, &post).await.status, 200);
        let all: Vec<_> = (0..6).map(|_| Box::pin(exchange(&case.user, &post))).collect();
        for exchange in futures_in_order(all).await {
            assert_eq!(summary(&exchange), (200, None, "", 0));
        }
    });
    assert_eq!(case.server.connections(), 1);
}

#[test]
fn a_body_waits_for_the_window_that_the_server_opens() {
    let case = Case::new(|_, peer| {
        peer.settings(&[(INITIAL_WINDOW_SIZE, 0)]);
        let mut received = 0;
        while let Some((kind, flags, stream, payload)) = peer.read() {
            match kind {
                SETTINGS if flags & ACK == 0 => peer.frame(SETTINGS, ACK, 0, &[]),
                HEADERS => peer.frame(WINDOW_UPDATE, 0, stream, &7_000_u32.to_be_bytes()),
                DATA => {
                    received += payload.len();
                    if flags & END_STREAM != 0 {
                        peer.head(stream, &[(":status", "200")], 0);
                        peer.data(stream, std::mem::take(&mut received).to_string().as_bytes(), END_STREAM);
                    } else if !payload.is_empty() {
                        // What was taken makes room for as much again.
                        let room = u32::try_from(payload.len()).unwrap().to_be_bytes();
                        peer.frame(WINDOW_UPDATE, 0, 0, &room);
                        peer.frame(WINDOW_UPDATE, 0, stream, &room);
                    }
                }
                _ => {}
            }
        }
    });
    let body = vec![b'x'; 100_000];
    // The first request goes out before the server's settings are known, the second one knows them.
    run(async {
        for _ in 0..2 {
            let sent = exchange(&case.user, &Request { body: Some(&body), timeout: Duration::from_secs(5), ..case.post() }).await;
            assert_eq!((summary(&sent), sent.body.bytes()), ((200, None, "", 0), &b"100000"[..]));
        }
    });
}
