//! The built-in demo target: a small shop over HTTP/1.1 and HTTP/2 (prior knowledge) to try scripts on.
//!
//! This file owns the server's life: its socket, its threads, its end. What each path answers is in `routes` and `flows`, what the
//! shop remembers is in `state`. It names no other room, and it shares nothing with the lanes that make the load: it runs
//! on threads of its own, each with a single-threaded runtime, so that a busy shop shows as slow answers and not as a late lane.

mod answers;
mod echo;
mod flows;
mod routes;
mod state;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

pub use echo::Echo;
use state::Shop;

/// A running demo shop. Dropping it closes its socket, cuts its connections and ends its threads.
#[derive(Debug)]
pub struct Target {
    address: SocketAddr,
    shop: Arc<Shop>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Target {
    /// Listens on `address` (port 0 takes a free one) and serves until dropped.
    ///
    /// # Errors
    ///
    /// Where the address cannot be bound, with the address in the text, or the system refuses a thread.
    pub fn start(address: SocketAddr) -> io::Result<Self> {
        let listener = bind(address).map_err(|e| io::Error::new(e.kind(), format!("cannot listen on `{address}`: {e}")))?;
        let (stop, stopped) = watch::channel(false);
        let mut target = Self { address: listener.local_addr()?, shop: Arc::new(Shop::new()), stop, threads: Vec::new() };
        for number in 0..thread_count() {
            target.spawn(number, listener.try_clone()?, stopped.clone())?;
        }
        Ok(target)
    }

    /// One more serving thread. All threads accept from clones of one listening socket.
    fn spawn(&mut self, number: usize, listener: TcpListener, stopped: watch::Receiver<bool>) -> io::Result<()> {
        let shop = Arc::clone(&self.shop);
        let thread = std::thread::Builder::new().name(format!("target-{number}")).spawn(move || {
            // The runtime's end cuts the connections that are still open: whoever drops the target has ended the load before.
            if let Err(error) = runtime().and_then(|runtime| runtime.block_on(serve(listener, shop, stopped))) {
                log::error!("the demo target stopped: {error}");
            }
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// Where it listens, with the real port.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// What to give to `-H`: `http://ADDRESS:PORT`, without a slash at the end.
    ///
    /// A target that listens on all interfaces names the loopback one, which can be connected to from this machine.
    #[must_use]
    pub fn url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() { std::net::Ipv4Addr::LOCALHOST.into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
        }
        format!("http://{address}")
    }

    /// How many requests it served since its start, without those to `/count`: every request whose head arrived.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.shop.served()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("a thread of the demo target panicked");
            }
        }
    }
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Half the cores, so that a load made on the same machine keeps the other half.
fn thread_count() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).clamp(1, THREADS_MAX))
}

/// Listens with a backlog that the standard library does not offer.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    // Tokio's sockets want a runtime even while nothing is awaited. This one is let go in the background, since a plain
    // drop panics where the caller is itself inside a runtime.
    let runtime = runtime()?;
    let listener = {
        let _context = runtime.enter();
        listen(address)
    };
    runtime.shutdown_background();
    listener
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Accepts until `stopped` turns true.
async fn serve(listener: TcpListener, shop: Arc<Shop>, mut stopped: watch::Receiver<bool>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let accepted = tokio::select! {
            _ = stopped.wait_for(|&stop| stop) => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(converse(stream, Arc::clone(&shop)));
            }
            Err(error) => {
                // Out of descriptors, mostly. The connection waits in the backlog until some other one ends.
                log::warn!("the demo target cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One connection, from its first byte to its last.
async fn converse(stream: TcpStream, shop: Arc<Shop>) {
    if let Err(error) = stream.set_nodelay(true) {
        log::debug!("no TCP_NODELAY on a connection of the demo target: {error}");
    }
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(IDLE_LIMIT);
    server.http2().timer(TokioTimer::new()).keep_alive_interval(IDLE_LIMIT);
    let service = service_fn(move |request| routes::answer(Arc::clone(&shop), request));
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        log::debug!("a connection of the demo target ended early: {error}");
    }
}

const THREADS_MAX: usize = 4;

/// Enough for thousands of users that connect in the same instant; a full backlog shows as connects of one second.
const BACKLOG: u32 = 16_384;

/// How long accepting rests after an error.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A connection that is silent for this long is closed. Longer than any sensible think time.
const IDLE_LIMIT: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    //! The shop as a client sees it: raw bytes over a socket, so that no client library smooths anything over.

    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpStream;

    use serde_json::{Value, json};

    use super::*;

    struct Reply {
        status: u16,
        /// Names in lower case.
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    }

    impl Reply {
        fn header(&self, name: &str) -> Option<&str> {
            self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
        }

        fn json(&self) -> Value {
            serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {:?}", String::from_utf8_lossy(&self.body)))
        }
    }

    fn shop() -> Target {
        Target::start("127.0.0.1:0".parse().unwrap()).unwrap()
    }

    fn get(target: &Target, path: &str) -> Reply {
        send(target, "GET", path, "", "")
    }

    /// One request on a connection of its own. `headers` are whole lines, each with its `\r\n`.
    fn send(target: &Target, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        let mut stream = connect(target);
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: shop\r\ncontent-length: {length}\r\n{headers}\r\n{body}").unwrap();
        receive(&mut BufReader::new(stream), method)
    }

    fn connect(target: &Target) -> TcpStream {
        let stream = TcpStream::connect(target.addr()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    fn receive(reader: &mut impl BufRead, method: &str) -> Reply {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status in {line:?}"));
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            match line.trim_end().split_once(": ") {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
                None => break,
            }
        }
        let mut reply = Reply { status, headers, body: Vec::new() };
        if method == "HEAD" || matches!(status, 204 | 304) {
            return reply;
        }
        if reply.header("transfer-encoding") == Some("chunked") {
            loop {
                let mut size = String::new();
                reader.read_line(&mut size).unwrap();
                let size = usize::from_str_radix(size.trim(), 16).unwrap();
                let mut chunk = vec![0; size + 2];
                reader.read_exact(&mut chunk).unwrap();
                reply.body.extend_from_slice(&chunk[..size]);
                if size == 0 {
                    return reply;
                }
            }
        }
        let length = reply.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        reply.body = vec![0; length];
        reader.read_exact(&mut reply.body).unwrap();
        reply
    }

    #[test]
    fn pages_are_html_and_products_are_json() {
        let target = shop();
        for path in ["/", "/about", "/search?q=lamp"] {
            let page = get(&target, path);
            assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")), "{path}");
            assert!(page.body.starts_with(b"<!doctype html>"), "{path}");
        }
        assert_eq!(get(&target, "/products").json()["products"].as_array().map(Vec::len), Some(100));
        let product = get(&target, "/products/7").json();
        assert_eq!((&product["id"], product["price"].is_number()), (&json!(7), true));
        assert_eq!(get(&target, "/products/101").status, 404);
        assert_eq!(get(&target, "/products/seven").status, 404);
    }

    #[test]
    fn a_login_opens_a_session_by_token_and_by_cookie() {
        let target = shop();
        assert_eq!(get(&target, "/me").status, 401);
        let login = send(&target, "POST", "/login", "content-type: application/json\r\n", r#"{"user":"ann"}"#);
        let token = login.json()["token"].as_str().unwrap().to_owned();
        assert!(login.header("set-cookie").unwrap().starts_with(&format!("session={token};")));
        let by_token = send(&target, "GET", "/me", &format!("authorization: Bearer {token}\r\n"), "");
        assert_eq!((by_token.status, by_token.json()), (200, json!({ "user": "ann" })));
        let by_cookie = send(&target, "GET", "/me", &format!("cookie: a=b; session={token}\r\n"), "");
        assert_eq!(by_cookie.status, 200);
        assert_eq!(send(&target, "GET", "/me", "authorization: Bearer 123\r\n", "").status, 401);
    }

    #[test]
    fn a_login_takes_a_form_and_refuses_what_names_no_user() {
        let target = shop();
        let form = send(&target, "POST", "/login", "content-type: application/x-www-form-urlencoded\r\n", "x=1&user=ann+b%2B");
        assert_eq!((form.status, &form.json()["user"]), (200, &json!("ann b+")));
        for body in ["", "{}", "nonsense", r#"{"user":null}"#] {
            assert_eq!(send(&target, "POST", "/login", "", body).status, 400, "{body:?}");
        }
    }

    #[test]
    fn a_cart_belongs_to_its_session_and_a_checkout_empties_it() {
        let target = shop();
        let enter = |user: &str| {
            let login = send(&target, "POST", "/login", "", &json!({ "user": user }).to_string()).json();
            format!("authorization: Bearer {}\r\n", login["token"].as_str().unwrap())
        };
        let (ann, bob) = (enter("ann"), enter("bob"));
        assert_eq!(send(&target, "POST", "/cart", "", r#"{"id":7}"#).status, 401);
        assert_eq!(send(&target, "POST", "/cart", &ann, r#"{"id":7}"#).status, 201);
        assert_eq!(send(&target, "POST", "/cart", &ann, r#"{"id":0}"#).status, 400);
        assert_eq!(send(&target, "GET", "/cart", &ann, "").json()["items"], json!([7]));
        assert_eq!(send(&target, "GET", "/cart", &bob, "").json()["items"], json!([]));
        let price = get(&target, "/products/7").json()["price"].clone();
        let receipt = send(&target, "POST", "/checkout", &ann, "");
        assert_eq!((receipt.status, receipt.json()), (200, json!({ "items": [7], "total": price, "order": 1 })));
        assert_eq!(send(&target, "GET", "/cart", &ann, "").json()["items"], json!([]));
    }

    #[test]
    fn a_status_is_answered_as_asked_for_by_any_method() {
        let target = shop();
        for code in [200, 201, 204, 304, 404, 418, 500, 503, 599] {
            assert_eq!(get(&target, &format!("/status/{code}")).status, code);
        }
        assert_eq!(send(&target, "DELETE", "/status/202", "", "").status, 202);
        for wrong in ["199", "600", "x", "99999999999999999999"] {
            assert_eq!(get(&target, &format!("/status/{wrong}")).status, 400, "{wrong}");
        }
    }

    #[test]
    fn bytes_come_to_the_byte_and_not_beyond_the_limit() {
        let target = shop();
        for count in [0, 1, 65_536, 200_001] {
            assert_eq!(get(&target, &format!("/bytes/{count}")).body.len(), count);
        }
        assert_eq!(get(&target, "/bytes/67108865").status, 400);
    }

    #[test]
    fn a_delay_is_waited_for_and_bounded() {
        let target = shop();
        let start = std::time::Instant::now();
        assert_eq!(get(&target, "/delay/50").status, 200);
        assert!(start.elapsed() >= Duration::from_millis(50));
        assert_eq!(get(&target, "/delay/60001").status, 400);
    }

    #[test]
    fn every_tenth_flaky_request_is_503() {
        let target = shop();
        let statuses: Vec<u16> = (0..20).map(|_| get(&target, "/flaky").status).collect();
        let wanted: Vec<u16> = (1..=20).map(|n| if n % 10 == 0 { 503 } else { 200 }).collect();
        assert_eq!(statuses, wanted);
    }

    #[test]
    fn gzip_unpacks_to_json_and_chunks_have_no_length() {
        let target = shop();
        let packed = get(&target, "/gzip");
        assert_eq!(packed.header("content-encoding"), Some("gzip"));
        let text: Value = serde_json::from_reader(flate2::read::GzDecoder::new(&packed.body[..])).unwrap();
        assert_eq!(text["gzipped"], json!(true));
        let chunked = get(&target, "/chunked");
        assert_eq!((chunked.header("content-length"), chunked.header("transfer-encoding")), (None, Some("chunked")));
        assert!(chunked.body.ends_with(b"chunk 8 of 8\n"));
    }

    #[test]
    fn redirects_count_down_to_the_first_page() {
        let target = shop();
        let leads_to = |path: &str| {
            let reply = get(&target, path);
            assert_eq!(reply.status, 302);
            reply.header("location").map(str::to_owned)
        };
        assert_eq!(leads_to("/redirect/3").as_deref(), Some("/redirect/2"));
        assert_eq!(leads_to("/redirect/1").as_deref(), Some("/"));
        assert_eq!(get(&target, "/redirect/-1").status, 400);
    }

    #[test]
    fn an_echo_tells_method_headers_and_body() {
        let target = shop();
        let echo = send(&target, "PATCH", "/echo?a=1", "x-moth: luna\r\nx-two: a\r\nx-two: b\r\n", "hello").json();
        assert_eq!((&echo["method"], &echo["query"], &echo["body"]), (&json!("PATCH"), &json!("a=1"), &json!("hello")));
        assert_eq!((&echo["headers"]["x-moth"], &echo["headers"]["x-two"]), (&json!("luna"), &json!(["a", "b"])));
    }

    #[test]
    fn head_has_the_length_without_the_body_and_options_lists_methods() {
        let target = shop();
        let mut stream = BufReader::new(connect(&target));
        stream
            .get_mut()
            .write_all(b"HEAD /products/7 HTTP/1.1\r\nhost: shop\r\n\r\nGET /products/7 HTTP/1.1\r\nhost: shop\r\n\r\n")
            .unwrap();
        let head = receive(&mut stream, "HEAD");
        // A body after HEAD would be taken for the head of this reply.
        let full = receive(&mut stream, "GET");
        assert_eq!((head.status, full.status), (200, 200));
        assert_eq!(head.header("content-length"), Some(full.body.len().to_string().as_str()));
        let options = send(&target, "OPTIONS", "/cart", "", "");
        assert_eq!((options.status, options.header("allow")), (204, Some("GET, HEAD, POST, OPTIONS")));
    }

    #[test]
    fn what_is_not_there_is_404_in_json_and_a_wrong_method_405() {
        let target = shop();
        for path in ["/nowhere", "/products/7/reviews", "/delay/", "/bytes", "/%20"] {
            let reply = get(&target, path);
            assert_eq!(reply.status, 404, "{path}");
            assert!(reply.json()["error"].as_str().unwrap().contains(path), "{path}");
        }
        let wrong = send(&target, "POST", "/products", "", "{}");
        assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, HEAD, OPTIONS")));
        assert_eq!(get(&target, "/checkout").status, 405);
    }

    #[test]
    fn a_body_over_the_limit_is_refused() {
        let target = shop();
        let reply = send(&target, "POST", "/echo", "", &"x".repeat(1 << 20));
        assert_eq!(reply.status, 200);
        // Only the announced length is over the limit, so the refusal does not cross a body on the wire.
        let mut stream = connect(&target);
        stream.write_all(b"POST /echo HTTP/1.1\r\nhost: shop\r\ncontent-length: 1048577\r\n\r\n").unwrap();
        stream.write_all(&vec![b'x'; 1_048_577]).unwrap();
        assert_eq!(receive(&mut BufReader::new(stream), "POST").status, 413);
    }

    #[test]
    fn the_count_names_every_request_but_those_to_itself() {
        let target = shop();
        for path in ["/", "/products/1", "/products/2", "/nowhere", "/count", "/status/500"] {
            get(&target, path);
        }
        let count = get(&target, "/count").json();
        assert_eq!(count, json!({ "total": 5, "paths": { "/": 1, "/products/:n": 2, "/status/:n": 1, "(other)": 1 } }));
        assert_eq!(target.count(), 5);
        let probe = get(&target, "/healthz");
        assert_eq!((probe.status, &*probe.body), (200, &b"ok\n"[..]));
        let count = get(&target, "/count").json();
        assert_eq!((&count["total"], &count["probes"], target.count()), (&json!(5), &json!(1), 5));
    }

    #[test]
    fn http2_is_spoken_to_those_who_begin_with_it() {
        let target = shop();
        let runtime = runtime().unwrap();
        let status = runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(target.addr()).await.unwrap();
            let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            let request = hyper::Request::get(format!("{}/products/7", target.url())).body(http_body_util::Empty::<bytes::Bytes>::new());
            let reply = tokio::time::timeout(Duration::from_secs(10), sender.send_request(request.unwrap())).await.unwrap().unwrap();
            (reply.version(), reply.status().as_u16())
        });
        assert_eq!(status, (hyper::Version::HTTP_2, 200));
    }

    #[test]
    fn a_dropped_target_frees_its_port_and_cuts_its_connections() {
        let target = shop();
        let address = target.addr();
        let mut open = connect(&target);
        open.write_all(b"GET /delay/60000 HTTP/1.1\r\nhost: shop\r\n\r\n").unwrap();
        drop(target);
        assert!(matches!(open.read(&mut [0; 1]), Ok(0) | Err(_)));
        assert!(TcpStream::connect(address).is_err());
        assert!(Target::start(address).is_ok());
    }

    #[test]
    fn an_address_that_is_taken_is_an_error_that_names_it() {
        let target = shop();
        let error = Target::start(target.addr()).unwrap_err().to_string();
        assert!(error.contains(&target.addr().to_string()), "{error}");
    }

    #[test]
    fn it_starts_fails_and_ends_inside_a_runtime_too() {
        runtime().unwrap().block_on(async {
            let target = shop();
            assert!(Target::start(target.addr()).is_err());
            drop(target);
        });
    }

    #[test]
    fn the_url_of_a_target_on_all_interfaces_can_be_connected_to() {
        let target = Target::start("0.0.0.0:0".parse().unwrap()).unwrap();
        assert_eq!(target.url(), format!("http://127.0.0.1:{}", target.addr().port()));
    }
}
