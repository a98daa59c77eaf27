//! Exchanges against servers on loopback: raw ones that misbehave on purpose, and hyper's.
//!
//! A raw server is a thread that handles each connection with blocking calls and ends with the test.

mod differential;
mod dns;
mod http1;
mod http2;
mod http2_answers;
mod http2_echo;
mod http2_ends;
mod limits;
mod phases;
mod reuse;
mod secure;
mod wrong;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::*;

/// A server that handles connections as it is told.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Server {
    /// `handle` gets the connection's number, 0-based, and the connection; what it returns is closed.
    fn start(handle: impl Fn(usize, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, over, handle) = (Arc::clone(&connections), Arc::clone(&is_over), Arc::new(handle));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (mut stream, handle) = (stream.unwrap(), Arc::clone(&handle));
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                let number = counted.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || handle(number, &mut stream));
            }
        });
        Self { address, connections, is_over }
    }

    /// Answers every request on every connection with the same bytes.
    fn answering(answer: &'static [u8]) -> Self {
        Self::start(move |_, stream| while read_request(stream).is_some() && stream.write_all(answer).is_ok() {})
    }

    /// Reads one request, sends `answer` and closes.
    fn answering_once(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |_, stream| {
            read_request(stream);
            let _ = stream.write_all(&answer);
        })
    }

    fn origin(&self) -> Rc<Origin> {
        Rc::new(Origin::parse(&format!("http://{}", self.address)).unwrap())
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// One request with its body by content-length; `None` at the connection's end.
fn read_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        request.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    request.extend(body);
    Some(request)
}

fn context() -> Rc<Context> {
    Rc::new(Context::new(Settings { insecure_tls: true, ..Settings::default() }).unwrap())
}

fn user() -> Connections {
    Connections::new(context())
}

fn get(origin: &Rc<Origin>) -> Request<'static> {
    Request {
        method: "GET",
        origin: Rc::clone(origin),
        path: "/",
        headers: b"",
        has_host: false,
        body: None,
        asked: None,
        timeout: Duration::from_secs(5),
        body_limit: 1 << 20,
        decode: true,
        discard: false,
        ends_streams: false,
        connection: ConnectionRules::default(),
    }
}

/// Runs a test as a lane runs users.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

async fn exchange(user: &Connections, request: &Request<'_>) -> Exchange {
    user.exchange(request, &Progress::default()).await
}

fn kind(exchange: &Exchange) -> Option<FailureKind> {
    exchange.failure.as_ref().map(|failure| failure.kind)
}

fn message(exchange: &Exchange) -> &str {
    exchange.failure.as_ref().map_or("", |failure| &failure.message)
}
