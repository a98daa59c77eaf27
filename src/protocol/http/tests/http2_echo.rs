//! HTTP/2 against hyper's server: both ends must understand each other, whatever is said in whatever order.
//!
//! Method: requests with drawn methods, paths, fields and bodies, many at a time on one connection; the server says what it was asked, in fields
//! of its own that its table remembers too, and everything is held against what was sent.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

/// What is asked, and how large an answer is wanted.
#[derive(Debug, Clone)]
struct Asked {
    method: &'static str,
    path: String,
    fields: Vec<(String, String)>,
    body: usize,
    answer: usize,
}

fn asked() -> impl Strategy<Value = Asked> {
    let field = ("x-[a-e]{1,3}", prop_oneof!["[ -~]{0,20}", "[a-z]{200,400}"].prop_map(|value| value.trim().to_owned()));
    let size = || prop_oneof![4 => Just(0_usize), 4 => 0..2_000_usize, 2 => 10_000..200_000_usize, 1 => 1_000_000..5_000_000_usize];
    (
        prop::sample::select(vec!["GET", "POST", "PUT", "DELETE"]),
        "/[a-z0-9/]{0,40}(\\?[a-z]{0,9})?",
        prop::collection::vec(field, 0..6),
        size(),
        size(),
    )
        .prop_map(|(method, path, fields, body, answer)| Asked { method, path, fields, body, answer })
}

/// Says in its fields what it was asked, and answers with so many bytes as `x-answer` says, of which each tells its place.
async fn echo(request: http::Request<hyper::body::Incoming>) -> Result<http::Response<Full<Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let wanted: usize = parts.headers["x-answer"].to_str().unwrap().parse().unwrap();
    let mut answer = http::Response::builder().header("y-asked", format!("{} {}", parts.method, parts.uri.path_and_query().unwrap()));
    answer = answer.header("y-body", format!("{} {}", body.len(), body.iter().map(|byte| u64::from(*byte)).sum::<u64>()));
    for (name, value) in parts.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-")) {
        answer = answer.header(name.as_str().replace("x-", "y-"), value);
    }
    Ok(answer.body(Full::new(bytes_of(wanted).into())).unwrap())
}

fn bytes_of(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at % 251) as u8).collect()
}

async fn ask_all(origin: &Rc<Origin>, user: &Connections, all: &[Asked]) {
    let made: Vec<_> = all
        .iter()
        .map(|asked| {
            let own: String = asked.fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            (format!("x-answer: {}\r\n{own}", asked.answer), bytes_of(asked.body))
        })
        .collect();
    let requests: Vec<Request<'_>> = all
        .iter()
        .zip(&made)
        .map(|(asked, (headers, body))| Request {
            method: asked.method,
            path: &asked.path,
            headers: headers.as_bytes(),
            body: (asked.body > 0).then_some(body),
            timeout: Duration::from_secs(30),
            body_limit: 8 << 20,
            connection: ConnectionRules { offer: Offer::Http2, ..ConnectionRules::default() },
            ..get(origin)
        })
        .collect();
    let exchanges = http2::futures_in_order(requests.iter().map(|request| Box::pin(exchange(user, request))).collect()).await;
    for ((asked, (_, body)), answer) in all.iter().zip(&made).zip(&exchanges) {
        assert_eq!((answer.failure.as_ref(), answer.status, answer.version), (None, 200, Version::Http2), "{asked:?}");
        assert!(answer.body.bytes() == bytes_of(asked.answer), "another body of {} bytes", answer.body.bytes().len());
        let field = |name: &str| answer.headers.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
        assert_eq!(field("y-asked"), Some(format!("{} {}", asked.method, asked.path)));
        assert_eq!(field("y-body"), Some(format!("{} {}", body.len(), body.iter().map(|byte| u64::from(*byte)).sum::<u64>())));
        for name in asked.fields.iter().map(|(name, _)| name) {
            let sent: Vec<_> = asked.fields.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_bytes()).collect();
            let back = name.replace("x-", "y-");
            assert_eq!(answer.headers.all(&back).collect::<Vec<_>>(), sent, "{name}");
        }
        // Each stream is counted with its own frames, and some with what the connection says beside.
        assert!(answer.bytes_in > asked.answer as u64 && answer.bytes_out > asked.body as u64);
        assert!(
            answer.bytes_in < asked.answer as u64 * 101 / 100 + 6_000 && answer.bytes_out < asked.body as u64 * 101 / 100 + 6_000,
            "{asked:?}"
        );
    }
}

#[test]
fn what_is_sent_is_what_the_server_hears_and_the_other_way_round() {
    let mut runner = TestRunner::new(Config { cases: 40, ..Config::default() });
    let cases = prop::collection::vec(prop::collection::vec(asked(), 1..12), 1..4);
    let done = runner.run(&cases, |batches| {
        run(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let origin = Rc::new(Origin::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap());
            let server = tokio::task::spawn_local(async move {
                let (stream, _) = listener.accept().await.unwrap();
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                builder.serve_connection(TokioIo::new(stream), service_fn(echo)).await
            });
            let user = user();
            for batch in &batches {
                ask_all(&origin, &user, batch).await;
            }
            drop(user);
            // It has heard a farewell, and nothing that breaks a rule.
            server.await.unwrap().unwrap();
        });
        Ok(())
    });
    done.unwrap();
}
