//! Goal: our HTTP/1.1 reader says what hyper's says. Method: random valid answers, cut at random places, read by both.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::protocol::http::http1::Response;

/// What a reader makes of an answer: status, fields in lower case, body.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    status: u16,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Framing {
    Length,
    Chunked { sizes: Vec<usize>, extension: bool, trailer: bool },
    UntilClose,
}

#[derive(Debug, Clone)]
struct Answer {
    informational: usize,
    status: u16,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    framing: Framing,
    /// Lengths of the pieces in which it is written.
    pieces: Vec<usize>,
}

impl Answer {
    fn bytes(&self, method: &str) -> Vec<u8> {
        let mut out = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(self.informational);
        write!(out, "HTTP/1.1 {} Some reason\r\n", self.status).unwrap();
        for (name, value) in &self.fields {
            write!(out, "{name}: {value}\r\n").unwrap();
        }
        let has_body = method != "HEAD" && !matches!(self.status, 204 | 304);
        match &self.framing {
            Framing::Length => write!(out, "Content-Length: {}\r\n\r\n", self.body.len()).unwrap(),
            Framing::Chunked { .. } => out.extend(b"transfer-Encoding: Chunked\r\n\r\n"),
            Framing::UntilClose => out.extend(b"\r\n"),
        }
        if !has_body {
            return out;
        }
        match &self.framing {
            Framing::Chunked { sizes, extension, trailer } => {
                let mut rest = self.body.as_slice();
                for size in sizes {
                    let (chunk, after) = rest.split_at((*size).min(rest.len()));
                    chunk_onto(&mut out, chunk, *extension);
                    rest = after;
                }
                chunk_onto(&mut out, rest, *extension);
                out.extend(if *trailer { &b"0\r\nX-Sum: 1\r\n\r\n"[..] } else { b"0\r\n\r\n" });
            }
            Framing::Length | Framing::UntilClose => out.extend(&self.body),
        }
        out
    }

    fn pieces<'a>(&self, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let (mut rest, mut pieces) = (bytes, Vec::new());
        for length in &self.pieces {
            let (piece, after) = rest.split_at((*length).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }
}

fn chunk_onto(out: &mut Vec<u8>, chunk: &[u8], has_extension: bool) {
    if !chunk.is_empty() {
        write!(out, "{:x}{}\r\n", chunk.len(), if has_extension { ";a=b" } else { "" }).unwrap();
        out.extend(chunk);
        out.extend(b"\r\n");
    }
}

fn answers() -> impl Strategy<Value = Answer> {
    let framing = prop_oneof![
        Just(Framing::Length),
        Just(Framing::UntilClose),
        (proptest::collection::vec(1_usize..200, 0..6), any::<bool>(), any::<bool>())
            .prop_map(|(sizes, extension, trailer)| Framing::Chunked { sizes, extension, trailer }),
    ];
    let fields = proptest::collection::vec(("[Xx]-[A-Za-z0-9_]{1,12}", "([!-~]([ -~]{0,20}[!-~])?)?"), 0..12);
    let status = prop_oneof![Just(200_u16), Just(204), Just(304), Just(404), Just(500), 200_u16..599];
    let body = proptest::collection::vec(any::<u8>(), 0..1500);
    let pieces = proptest::collection::vec(1_usize..120, 0..25);
    (0_usize..3, status, fields, body, framing, pieces).prop_map(|(informational, status, fields, body, framing, pieces)| Answer {
        informational,
        status,
        fields,
        body,
        framing,
        pieces,
    })
}

/// Our reader, fed with the pieces.
fn ours(method: &str, pieces: &[&[u8]]) -> Result<Read, String> {
    let mut response = Response::new(method, 1 << 20, true, false);
    let mut is_done = false;
    for piece in pieces {
        assert!(!is_done, "done before the last piece");
        is_done = response.feed(piece).map_err(|failure| failure.message)?;
    }
    if !is_done {
        response.on_close().map_err(|failure| failure.map_or("closed".to_owned(), |failure| failure.message))?;
    }
    let fields = response.headers.iter().map(|(name, value)| (name.into_owned(), value.to_vec())).collect();
    Ok(Read { status: response.status, fields, body: response.body.bytes().to_vec() })
}

/// hyper's client, over an in-memory pipe.
async fn hypers(method: &str, pieces: &[&[u8]]) -> Result<Read, hyper::Error> {
    let (client, mut server) = tokio::io::duplex(1 << 16);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(client)).await?;
    let connection = tokio::task::spawn_local(connection);
    let request = http::Request::builder().method(method).uri("/").header("host", "a").body(Empty::<Bytes>::new()).unwrap();
    let serve = async {
        let mut request = [0; 1000];
        assert!(server.read(&mut request).await.unwrap() > 0);
        for piece in pieces {
            // An answer without a body is over for hyper before the last piece can be written.
            let _ = server.write_all(piece).await;
            tokio::task::yield_now().await;
        }
        drop(server);
    };
    let read = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        // hyper groups fields of one name; each keeps its order.
        let fields = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
        Ok(Read { status: head.status.as_u16(), fields, body })
    };
    let (read, ()) = tokio::join!(read, serve);
    drop(sender);
    connection.abort();
    read
}

/// Fields grouped by name, each group in its order.
fn grouped(mut read: Read) -> Read {
    read.fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    read
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn our_reader_agrees_with_hypers(answer in answers(), is_head in any::<bool>()) {
        let method = if is_head { "HEAD" } else { "GET" };
        let bytes = answer.bytes(method);
        let pieces = answer.pieces(&bytes);
        let theirs = run(hypers(method, &pieces)).unwrap();
        prop_assert_eq!(grouped(ours(method, &pieces).unwrap()), grouped(theirs));
    }

    #[test]
    fn a_cut_answer_is_never_whole(answer in answers(), at in 0.0..1.0_f64) {
        // Bodies that end with the connection cannot be told from cut ones.
        prop_assume!(!matches!(answer.framing, Framing::UntilClose));
        let bytes = answer.bytes("GET");
        let length = (bytes.len() as f64 * at) as usize;
        let read = ours("GET", &answer.pieces(&bytes[..length]));
        prop_assert!(read.is_err(), "{:?}", read);
    }

    #[test]
    fn no_bytes_at_all_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), piece in 1_usize..50) {
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let _ = ours("GET", &[&bytes]);
        let whole = [&head[..], &bytes].concat();
        let mut response = Response::new("GET", 100, true, false);
        for part in whole.chunks(piece) {
            if !matches!(response.feed(part), Ok(false)) {
                break;
            }
        }
    }
}
