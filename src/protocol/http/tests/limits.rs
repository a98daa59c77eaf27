//! How many connections a user opens, how long they live, and what is spoken on them.

use std::num::NonZeroU32;
use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;

use super::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// A server that takes a while for each answer and knows how many connections were open at most, and what came on each.
struct Slow {
    server: Server,
    most: Arc<AtomicUsize>,
    carried: Arc<Mutex<Vec<usize>>>,
    paths: Arc<Mutex<Vec<String>>>,
}

impl Slow {
    fn start(pause: Duration) -> Self {
        let (open, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let (carried, paths) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (most_seen, counts, seen) = (Arc::clone(&most), Arc::clone(&carried), Arc::clone(&paths));
        let server = Server::start(move |number, stream| {
            most_seen.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            while let Some(request) = read_request(stream) {
                let mut counts = counts.lock().unwrap();
                if counts.len() <= number {
                    counts.resize(number + 1, 0);
                }
                counts[number] += 1;
                drop(counts);
                seen.lock().unwrap().push(String::from_utf8_lossy(&request).split(' ').nth(1).unwrap().to_owned());
                std::thread::sleep(pause);
                if stream.write_all(OK).is_err() {
                    break;
                }
            }
            open.fetch_sub(1, Ordering::SeqCst);
        });
        Self { server, most, carried, paths }
    }
}

/// All of `requests` at a time.
async fn batch(user: &Rc<Connections>, requests: Vec<Request<'static>>) -> Vec<Exchange> {
    let tasks: Vec<_> = requests
        .into_iter()
        .map(|request| {
            let user = Rc::clone(user);
            tokio::task::spawn_local(async move { exchange(&user, &request).await })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.unwrap());
    }
    all
}

fn ruled(origin: &Rc<Origin>, connection: ConnectionRules) -> Request<'static> {
    Request { connection, ..get(origin) }
}

#[test]
fn a_batch_opens_six_connections_and_the_others_wait_in_order() {
    run(async {
        let slow = Slow::start(Duration::from_millis(10));
        let user = Rc::new(user());
        let paths: Vec<&'static str> = (0..40).map(|number| &*format!("/{number:02}").leak()).collect();
        let requests = paths.iter().map(|&path| Request { path, ..get(&slow.server.origin()) }).collect();
        let all = batch(&user, requests).await;
        assert!(all.iter().all(|exchange| exchange.status == 200 && exchange.failure.is_none()));
        assert_eq!((slow.server.connections(), slow.most.load(Ordering::SeqCst)), (6, 6));
        let blocked = |number: usize| all[number].timings.blocked.unwrap();
        assert!(blocked(39) > Duration::from_millis(50) && blocked(39) > blocked(20), "{:?} {:?}", blocked(39), blocked(20));
        // Over one connection it can be told that the order is that of the asking.
        let slow = Slow::start(Duration::from_millis(1));
        let rules = ConnectionRules { max_connections: 1, ..ConnectionRules::default() };
        let requests = paths.iter().map(|&path| Request { path, ..ruled(&slow.server.origin(), rules) }).collect();
        batch(&user, requests).await;
        assert_eq!(*slow.paths.lock().unwrap(), paths);
        assert_eq!(slow.server.connections(), 1);
    });
}

#[test]
fn as_many_connections_as_asked_for_and_places_that_are_free_again() {
    run(async {
        for max_connections in [1, 2, 100] {
            let slow = Slow::start(Duration::from_millis(5));
            let user = Rc::new(user());
            let rules = ConnectionRules { max_connections, ..ConnectionRules::default() };
            for _ in 0..2 {
                let all = batch(&user, vec![ruled(&slow.server.origin(), rules); 30]).await;
                assert!(all.iter().all(|exchange| exchange.failure.is_none()));
            }
            let expected = max_connections.min(30) as usize;
            assert_eq!(slow.most.load(Ordering::SeqCst), expected);
        }
    });
}

#[test]
fn a_wait_in_line_ends_with_the_timeout_and_names_the_limit() {
    run(async {
        let slow = Slow::start(Duration::from_millis(400));
        let user = Rc::new(user());
        let rules = ConnectionRules { max_connections: 2, ..ConnectionRules::default() };
        let short = Request { timeout: Duration::from_millis(100), ..ruled(&slow.server.origin(), rules) };
        let all = batch(&user, vec![ruled(&slow.server.origin(), rules), ruled(&slow.server.origin(), rules), short]).await;
        let words = format!("all 2 connections to {} that `max_connections` allows stayed in use until the timeout", slow.server.address);
        assert_eq!((kind(&all[2]), message(&all[2]), all[2].was_sent), (Some(FailureKind::Timeout), &*words, false));
        assert!(all[2].timings.blocked.unwrap() >= Duration::from_millis(100));
        // Who gave up has left no gap in the line.
        let after = batch(&user, vec![ruled(&slow.server.origin(), rules); 2]).await;
        assert!(after.iter().all(|exchange| exchange.status == 200));
    });
}

#[test]
fn an_exchange_that_is_dropped_leaves_its_place_to_the_next() {
    run(async {
        let slow = Slow::start(Duration::from_millis(300));
        let user = Rc::new(user());
        let rules = ConnectionRules { max_connections: 1, ..ConnectionRules::default() };
        let request = ruled(&slow.server.origin(), rules);
        let dropped = tokio::time::timeout(Duration::from_millis(50), exchange(&user, &request)).await;
        assert!(dropped.is_err());
        assert_eq!(exchange(&user, &request).await.status, 200);
        assert_eq!(slow.server.connections(), 2);
    });
}

#[test]
fn a_connection_of_its_own_has_room_beside_an_idle_one() {
    run(async {
        let server = Server::answering(OK);
        let user = user();
        let rules = ConnectionRules { max_connections: 1, ..ConnectionRules::default() };
        let alone = ConnectionRules { keepalive: false, ..rules };
        for rules in [rules, alone, rules, rules] {
            assert_eq!(exchange(&user, &ruled(&server.origin(), rules)).await.failure, None);
        }
        assert_eq!(server.connections(), 3);
    });
}

#[test]
fn a_connection_carries_as_many_requests_as_it_may() {
    run(async {
        let slow = Slow::start(Duration::ZERO);
        let user = Rc::new(user());
        let rules = ConnectionRules { max_requests: NonZeroU32::new(3), ..ConnectionRules::default() };
        for _ in 0..10 {
            let exchange = exchange(&user, &ruled(&slow.server.origin(), rules)).await;
            assert_eq!((exchange.status, exchange.failure, exchange.stale_retries), (200, None, 0));
        }
        assert_eq!(*slow.carried.lock().unwrap(), [3, 3, 3, 1]);
    });
}

#[test]
fn a_connection_takes_no_request_past_its_age() {
    run(async {
        let server = Server::answering(OK);
        let user = user();
        let rules = ConnectionRules { max_age: Some(Duration::from_millis(700)), ..ConnectionRules::default() };
        let ask = async || {
            let exchange = exchange(&user, &ruled(&server.origin(), rules)).await;
            assert_eq!((exchange.status, exchange.failure, exchange.stale_retries), (200, None, 0));
        };
        ask().await;
        ask().await;
        assert_eq!(server.connections(), 1);
        tokio::time::sleep(Duration::from_millis(800)).await;
        ask().await;
        ask().await;
        assert_eq!(server.connections(), 2);
    });
}

/// A server that speaks HTTP/1.1 and HTTP/2 without TLS, and answers with the version.
struct Plain {
    address: SocketAddr,
    connections: Rc<std::cell::Cell<usize>>,
}

impl Plain {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Rc::new(std::cell::Cell::new(0));
        let counted = Rc::clone(&connections);
        tokio::task::spawn_local(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                counted.set(counted.get() + 1);
                let answer = async |request: http::Request<hyper::body::Incoming>| {
                    let text = format!("{:?} {:?} {}", request.version(), request.uri().scheme_str(), request.uri().path());
                    Ok::<_, hyper::Error>(http::Response::new(Full::new(Bytes::from(text))))
                };
                tokio::task::spawn_local(async move {
                    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(tcp), service_fn(answer)).await;
                });
            }
        });
        Self { address, connections }
    }

    fn origin(&self) -> Rc<Origin> {
        Rc::new(Origin::parse(&format!("http://{}", self.address)).unwrap())
    }
}

const HTTP2: ConnectionRules = ConnectionRules { offer: Offer::Http2, ..RULES };
const RULES: ConnectionRules =
    ConnectionRules { offer: Offer::Any, keepalive: true, max_connections: 6, max_age: None, max_requests: None };

#[test]
fn http2_by_prior_knowledge_shares_one_connection() {
    run(async {
        let plain = Plain::start().await;
        let user = Rc::new(user());
        let mut requests = vec![ruled(&plain.origin(), HTTP2); 40];
        requests.push(ruled(&plain.origin(), RULES));
        let mut all = batch(&user, requests).await;
        let other = all.pop().unwrap();
        assert_eq!((other.version, text(&other)), (Version::Http11, "HTTP/1.1 None /".to_owned()));
        for exchange in &all {
            assert_eq!((exchange.version, exchange.failure.clone()), (Version::Http2, None));
            assert_eq!(text(exchange), "HTTP/2.0 Some(\"http\") /");
        }
        assert_eq!(plain.connections.get(), 2);
    });
}

fn text(exchange: &Exchange) -> String {
    String::from_utf8(exchange.body.bytes().to_vec()).unwrap()
}

#[test]
fn shared_connections_end_by_number_and_by_age_without_a_failure() {
    run(async {
        let plain = Plain::start().await;
        let user = Rc::new(user());
        let rules = ConnectionRules { max_requests: NonZeroU32::new(10), ..HTTP2 };
        let all = batch(&user, vec![ruled(&plain.origin(), rules); 40]).await;
        assert!(all.iter().all(|exchange| exchange.failure.is_none() && exchange.stale_retries == 0));
        assert_eq!(plain.connections.get(), 4);
        let aged = ConnectionRules { max_age: Some(Duration::from_millis(50)), ..HTTP2 };
        for _ in 0..3 {
            assert_eq!(exchange(&user, &ruled(&plain.origin(), aged)).await.failure, None);
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
        assert_eq!(plain.connections.get(), 7);
    });
}

#[test]
fn a_server_that_speaks_http1_alone_is_told_in_words() {
    run(async {
        for answer in [&b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"[..], b"HTTP/1.0 505 No\r\n\r\n"] {
            let server = Server::start(move |_, stream| {
                let _ = stream.write_all(answer);
                // Until the client goes, so that nothing is reset.
                while matches!(stream.read(&mut [0; 512]), Ok(1..)) {}
            });
            let all = batch(&Rc::new(user()), vec![ruled(&server.origin(), HTTP2); 3]).await;
            let words = format!(
                "{} does not speak HTTP/2 without TLS (it answered in HTTP/1), and the request's `version` allows nothing else",
                server.address
            );
            for exchange in all {
                assert_eq!((kind(&exchange), message(&exchange)), (Some(FailureKind::Protocol), &*words));
            }
        }
    });
}
