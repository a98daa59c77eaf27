//! Connections that are used again, and servers that close them in the meantime.

use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use super::*;

#[test]
fn an_idle_connection_that_was_closed_is_not_used() {
    run(async {
        let server = Server::answering_once(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        let user = user();
        for _ in 0..3 {
            let exchange = exchange(&user, &Request { method: "POST", ..get(&server.origin()) }).await;
            assert_eq!((exchange.status, exchange.stale_retries, exchange.failure), (200, 0, None));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(server.connections(), 3);
    });
}

/// A server that closes its first connection when the second request has been read.
pub(super) fn stale_server() -> Server {
    Server::start(|number, stream| {
        for round in 0.. {
            if read_request(stream).is_none() || number == 0 && round == 1 {
                return;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        }
    })
}

#[test]
fn a_stale_connection_is_tried_again_for_idempotent_requests() {
    run(async {
        let server = stale_server();
        let user = user();
        exchange(&user, &get(&server.origin())).await;
        let progress = Progress::default();
        let exchange = user.exchange(&get(&server.origin()), &progress).await;
        assert_eq!((exchange.status, exchange.stale_retries, exchange.stale_unanswered, exchange.failure), (200, 1, 1, None));
        assert_eq!((progress.stale_retries.get(), progress.stale_unanswered.get()), (1, 1));
    });
}

#[test]
fn a_stale_connection_fails_other_requests() {
    run(async {
        let server = stale_server();
        let user = user();
        exchange(&user, &get(&server.origin())).await;
        let exchange = exchange(&user, &Request { method: "POST", ..get(&server.origin()) }).await;
        assert_eq!((kind(&exchange), exchange.stale_retries, exchange.was_sent), (Some(FailureKind::Stale), 0, true));
        assert_eq!(server.connections(), 1);
    });
}

#[test]
fn a_server_that_breaks_off_long_after_it_had_a_request_is_not_asked_again() {
    for method in ["GET", "POST"] {
        run(async {
            let server = Server::start(|number, stream| {
                for round in 0.. {
                    if read_request(stream).is_none() {
                        return;
                    }
                    if number == 0 && round == 1 {
                        // Works on it for a while, and falls over.
                        std::thread::sleep(Duration::from_millis(700));
                        return;
                    }
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                }
            });
            let user = user();
            exchange(&user, &get(&server.origin())).await;
            let exchange = exchange(&user, &Request { method, ..get(&server.origin()) }).await;
            let told = (kind(&exchange), exchange.stale_retries, exchange.stale_unanswered, exchange.was_sent);
            assert_eq!(told, (Some(FailureKind::Reset), 0, 0, true), "{method}");
            assert_eq!(message(&exchange), format!("connection closed by {} before the answer", server.address));
            assert_eq!(server.connections(), 1);
        });
    }
}

/// A server that answers, and closes without having said so as soon as `close_unheard` has it.
struct Closing {
    server: Server,
    close: SyncSender<()>,
    closed: Receiver<()>,
}

impl Closing {
    fn start() -> Self {
        let (close, asked) = sync_channel(1);
        let (done, closed) = sync_channel(1);
        let asked = Mutex::new(asked);
        let server = Server::start(move |_, stream| {
            if read_request(stream).is_some() && stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_ok() {
                let _ = asked.lock().unwrap().recv_timeout(Duration::from_secs(10));
                let _ = stream.shutdown(std::net::Shutdown::Both);
                let _ = done.send(());
            }
        });
        Self { server, close, closed }
    }

    /// Blocks, so that the runtime has no turn: only the kernel knows of the end.
    fn close_unheard(&self) {
        self.close.send(()).unwrap();
        self.closed.recv_timeout(Duration::from_secs(10)).unwrap();
    }
}

#[test]
fn an_end_that_the_runtime_has_not_heard_of_is_seen_before_a_request_that_cannot_be_repeated() {
    run(async {
        let closing = Closing::start();
        let user = user();
        for _ in 0..3 {
            let exchange = exchange(&user, &Request { method: "POST", ..get(&closing.server.origin()) }).await;
            assert_eq!((exchange.status, exchange.stale_retries, exchange.failure), (200, 0, None));
            closing.close_unheard();
        }
    });
}

#[test]
fn after_one_stale_connection_the_kernel_is_asked_before_each_reuse() {
    run(async {
        let closing = Closing::start();
        let user = user();
        let mut retries = Vec::new();
        for _ in 0..4 {
            let exchange = exchange(&user, &get(&closing.server.origin())).await;
            assert_eq!(exchange.failure, None);
            retries.push(exchange.stale_retries);
            closing.close_unheard();
        }
        assert_eq!(retries, [0, 1, 0, 0]);
    });
}
