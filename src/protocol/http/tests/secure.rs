//! TLS, HTTP/2 and proxies: servers by rustls and hyper with certificates made on the spot.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{CertificateParams, CertifiedIssuer, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::*;

/// A certificate authority of the test's own.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    /// A chain and its key for `name`.
    fn certify(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let issuer: &Issuer<'static, KeyPair> = &self.issuer;
        (params.signed_by(&key, issuer).unwrap(), key)
    }

    fn pem(&self) -> String {
        self.issuer.pem()
    }
}

/// A hyper server over TLS that answers with the request's method, version and body.
struct SecureServer {
    address: SocketAddr,
    connections: Rc<Cell<usize>>,
    /// Connections are cut as soon as a request on `/cut` comes in.
    tasks: Rc<RefCell<Vec<tokio::task::JoinHandle<()>>>>,
}

impl SecureServer {
    async fn start(certificate: (rcgen::Certificate, KeyPair), alpn: &[&str], clients: Option<&Authority>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(authority.issuer.der().clone()).unwrap();
                let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::try_from(certificate.1.serialize_der()).unwrap();
        let mut config = builder.with_single_cert(vec![certificate.0.der().clone()], key).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (connections, tasks) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(Vec::new())));
        let (counted, running) = (Rc::clone(&connections), Rc::clone(&tasks));
        tokio::task::spawn_local(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                counted.set(counted.get() + 1);
                let acceptor = acceptor.clone();
                let task = tokio::task::spawn_local(async move {
                    if let Ok(stream) = acceptor.accept(tcp).await {
                        let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service_fn(echo)).await;
                    }
                });
                running.borrow_mut().push(task);
            }
        });
        Self { address, connections, tasks }
    }

    /// By name, so that SNI and the certificate have something to say.
    fn origin(&self, host: &str) -> Rc<Origin> {
        Rc::new(Origin::parse(&format!("https://{host}:{}", self.address.port())).unwrap())
    }

    /// Cuts all connections that stand.
    fn cut(&self) {
        self.tasks.take().into_iter().for_each(|task| task.abort());
    }
}

async fn echo(request: http::Request<hyper::body::Incoming>) -> Result<http::Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    if head.uri.path() == "/slow" {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    if head.uri.path() == "/stall" {
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    let fields: Vec<_> = head.headers.keys().map(http::HeaderName::as_str).collect();
    let text = format!("{} {:?} {} {}", head.method, head.version, body.len(), fields.join(","));
    Ok(http::Response::builder().header("x-a", "1").header("x-a", "2").body(Full::from(text)).unwrap())
}

fn context_with(settings: Settings) -> Rc<Context> {
    let host = |name: &str| HostRule::new(name, IpAddr::from([127, 0, 0, 1]), None).unwrap();
    let hosts = vec![host("shop.test"), host("other.test")];
    Rc::new(Context::new(Settings { hosts, ..settings }).unwrap())
}

fn trusting(authority: &Authority) -> Settings {
    Settings { extra_roots: Some(authority.pem()), ..Settings::default() }
}

const BOTH: &[&str] = &["h2", "http/1.1"];

#[test]
fn http2_is_spoken_where_it_is_agreed_on_and_its_connection_shared() {
    run(async {
        let authority = Authority::new();
        let server = SecureServer::start(authority.certify("shop.test", |_| {}), BOTH, None).await;
        let user = Connections::new(context_with(trusting(&authority)));
        let origin = server.origin("shop.test");
        let slow = Request { path: "/slow", ..get(&origin) };
        let begin = Instant::now();
        let (a, b, c) = tokio::join!(exchange(&user, &slow), exchange(&user, &slow), exchange(&user, &slow));
        assert!(begin.elapsed() < Duration::from_millis(550));
        for exchange in [&a, &b, &c] {
            assert_eq!((exchange.status, exchange.version, exchange.failure.as_ref()), (200, Version::Http2, None));
            assert_eq!(exchange.body.bytes(), b"GET HTTP/2.0 0 ");
            assert_eq!(exchange.headers.all("X-A").collect::<Vec<_>>(), [b"1", b"2"]);
        }
        assert!(a.timings.tls.is_some() && b.timings.tls.is_none());
        let body = vec![1; 300_000];
        let posted = Request { method: "POST", headers: b"X-B: c\r\nConnection: close\r\n", body: Some(&body), ..get(&origin) };
        let posted = exchange(&user, &posted).await;
        assert_eq!(String::from_utf8(posted.body.bytes().to_vec()).unwrap(), "POST HTTP/2.0 300000 x-b,content-length");
        assert!(posted.bytes_out > 300_000 && posted.bytes_out < 302_000 && posted.bytes_in > 10);
        assert_eq!(server.connections.get(), 1);
    });
}

#[test]
fn a_cut_http2_connection_is_stale_or_replaced() {
    run(async {
        let authority = Authority::new();
        let server = SecureServer::start(authority.certify("shop.test", |_| {}), BOTH, None).await;
        let user = Connections::new(context_with(trusting(&authority)));
        let origin = server.origin("shop.test");
        assert_eq!(exchange(&user, &get(&origin)).await.status, 200);
        server.cut();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let after = exchange(&user, &get(&origin)).await;
        assert_eq!((after.status, after.failure), (200, None));
        let stall = Request { path: "/stall", method: "POST", ..get(&origin) };
        let (cut, ()) = tokio::join!(exchange(&user, &stall), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            server.cut();
        });
        assert_eq!((kind(&cut), cut.was_sent), (Some(FailureKind::Stale), true), "{cut:?}");
        assert_eq!(server.connections.get(), 2);
    });
}

#[test]
fn an_http2_exchange_times_out() {
    run(async {
        let authority = Authority::new();
        let server = SecureServer::start(authority.certify("shop.test", |_| {}), BOTH, None).await;
        let user = Connections::new(context_with(trusting(&authority)));
        let origin = server.origin("shop.test");
        let stall = Request { path: "/stall", timeout: Duration::from_millis(200), ..get(&origin) };
        let stalled = exchange(&user, &stall).await;
        assert_eq!((kind(&stalled), stalled.was_sent), (Some(FailureKind::Timeout), true));
        assert_eq!(exchange(&user, &get(&origin)).await.status, 200);
        assert_eq!(server.connections.get(), 1);
    });
}

#[test]
fn http1_over_tls_keeps_its_connection() {
    run(async {
        let authority = Authority::new();
        let server = SecureServer::start(authority.certify("shop.test", |_| {}), &[], None).await;
        let user = Connections::new(context_with(trusting(&authority)));
        let origin = server.origin("shop.test");
        let body = vec![7; 1_000_000];
        for body in [None, Some(&body[..]), Some(&body[..10])] {
            let exchange = exchange(&user, &Request { method: "PUT", body, ..get(&origin) }).await;
            let expected = format!("PUT HTTP/1.1 {} host,content-length", body.map_or(0, <[u8]>::len));
            assert_eq!((String::from_utf8(exchange.body.bytes().to_vec()).unwrap(), exchange.failure), (expected, None));
        }
        assert_eq!(server.connections.get(), 1);
        server.cut();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let after = exchange(&user, &Request { method: "POST", ..get(&origin) }).await;
        assert_eq!((after.status, after.stale_retries), (200, 0));
    });
}

#[test]
fn bad_certificates_are_told_apart() {
    run(async {
        let authority = Authority::new();
        let expire = |params: &mut CertificateParams| params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        for (host, change, trusted, message) in [
            ("other.test", None, true, "the certificate of {} is for another name"),
            ("shop.test", Some(expire), true, "the certificate of {} has expired"),
            ("shop.test", None, false, "the certificate of {} comes from an unknown issuer"),
        ] {
            let certificate = authority.certify("shop.test", |params| change.into_iter().for_each(|change| change(params)));
            let server = SecureServer::start(certificate, BOTH, None).await;
            let user = Connections::new(context_with(if trusted { trusting(&authority) } else { Settings::default() }));
            let origin = server.origin(host);
            let refused = exchange(&user, &get(&origin)).await;
            assert_eq!((kind(&refused), refused.was_sent), (Some(FailureKind::Tls), false));
            assert_eq!(super::message(&refused), message.replace("{}", &origin.peer()));
            let careless = Connections::new(context_with(Settings { insecure_tls: true, ..Settings::default() }));
            assert_eq!(exchange(&careless, &get(&origin)).await.status, 200);
        }
    });
}

#[test]
fn issue_15_a_self_signed_certificate_given_as_an_authority_is_trusted_for_its_names_and_its_time() {
    run(async {
        for is_authority in [false, true] {
            for (host, year, expected) in [
                ("shop.test", 2999, None),
                ("other.test", 2999, Some("the certificate of {} is for another name")),
                ("shop.test", 2020, Some("the certificate of {} has expired")),
            ] {
                let key = KeyPair::generate().unwrap();
                let mut params = CertificateParams::new(vec!["shop.test".to_owned()]).unwrap();
                params.not_after = rcgen::date_time_ymd(year, 1, 1);
                if is_authority {
                    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
                }
                let certificate = params.self_signed(&key).unwrap();
                let settings = Settings { extra_roots: Some(certificate.pem()), ..Settings::default() };
                let server = SecureServer::start((certificate, key), BOTH, None).await;
                let origin = server.origin(host);
                let answer = exchange(&Connections::new(context_with(settings)), &get(&origin)).await;
                let expected = expected.map(|text| text.replace("{}", &origin.peer()));
                assert_eq!(answer.failure.map(|failure| failure.message), expected, "{is_authority} {host} {year}");
            }
        }
        // Another one of the same name is a stranger.
        let make = || {
            let key = KeyPair::generate().unwrap();
            (CertificateParams::new(vec!["shop.test".to_owned()]).unwrap().self_signed(&key).unwrap(), key)
        };
        let server = SecureServer::start(make(), BOTH, None).await;
        let settings = Settings { extra_roots: Some(make().0.pem()), ..Settings::default() };
        assert_eq!(
            kind(&exchange(&Connections::new(context_with(settings)), &get(&server.origin("shop.test"))).await),
            Some(FailureKind::Tls)
        );
    });
}

#[test]
fn issue_15_without_keepalive_each_request_has_a_connection_of_its_own() {
    run(async {
        let authority = Authority::new();
        for alpn in [BOTH, &["http/1.1"]] {
            let server = SecureServer::start(authority.certify("shop.test", |_| {}), alpn, None).await;
            let user = Connections::new(context_with(trusting(&authority)));
            let origin = server.origin("shop.test");
            let alone = Request { connection: ConnectionRules { keepalive: false, ..ConnectionRules::default() }, ..get(&origin) };
            assert_eq!(exchange(&user, &get(&origin)).await.status, 200);
            for _ in 0..3 {
                assert_eq!(exchange(&user, &alone).await.status, 200);
            }
            // The one that is kept is still there.
            assert_eq!(exchange(&user, &get(&origin)).await.status, 200);
            assert_eq!(server.connections.get(), 4);
        }
    });
}

#[test]
fn a_client_certificate_is_shown() {
    run(async {
        let authority = Authority::new();
        let server = SecureServer::start(authority.certify("shop.test", |_| {}), BOTH, Some(&authority)).await;
        let origin = server.origin("shop.test");
        let (certificate, key) = authority.certify("user", |_| {});
        let settings = Settings { client_identity: Some((certificate.pem(), key.serialize_pem())), ..trusting(&authority) };
        assert_eq!(exchange(&Connections::new(context_with(settings)), &get(&origin)).await.status, 200);
        let without = exchange(&Connections::new(context_with(trusting(&authority))), &get(&origin)).await;
        assert_eq!(kind(&without), Some(FailureKind::Tls), "{without:?}");
    });
}

#[test]
fn bad_certificate_texts_name_the_setting() {
    let error = |settings: Settings| Context::new(settings).unwrap_err();
    let roots = Settings { extra_roots: Some("nonsense".into()), ..Settings::default() };
    assert_eq!(error(roots), "no certificate in the PEM text of the extra certificate authorities (--ca-file)");
    let identity = Settings { client_identity: Some((Authority::new().pem(), "nonsense".into())), ..Settings::default() };
    assert!(error(identity).starts_with("no private key in the client key's PEM text"));
}

#[test]
fn a_plain_server_fails_the_handshake() {
    run(async {
        let server = Server::answering_once("HTTP/1.1 400 Bad Request\r\n\r\n");
        let origin = Rc::new(Origin::parse(&format!("https://{}", server.address)).unwrap());
        // A TLS greeting never has the empty line that the plain server waits for.
        let user = Connections::new(Rc::new(
            Context::new(Settings { connect_timeout: Duration::from_millis(200), ..Settings::default() }).unwrap(),
        ));
        let silent = exchange(&user, &get(&origin)).await;
        assert_eq!(kind(&silent), Some(FailureKind::ConnectTimeout));
        assert_eq!(message(&silent), format!("no connection to {} within 200ms", server.address));
        let answering = Server::start(|_, stream| {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            let _ = stream.read(&mut [0; 1000]);
        });
        let origin = Rc::new(Origin::parse(&format!("https://{}", answering.address)).unwrap());
        let refused = exchange(&user, &get(&origin)).await;
        assert_eq!(kind(&refused), Some(FailureKind::Tls));
        assert_eq!(message(&refused), format!("{} does not speak TLS", answering.address));
        let closing = Server::start(|_, _| {});
        let origin = Rc::new(Origin::parse(&format!("https://{}", closing.address)).unwrap());
        assert_eq!(kind(&exchange(&user, &get(&origin)).await), Some(FailureKind::Tls));
    });
}

/// A context whose requests go through the proxy at `address`.
fn proxied(address: SocketAddr, settings: Settings) -> Rc<Context> {
    let mut context = Context::new(settings).unwrap();
    let url = format!("http://user:pass@{address}");
    context.proxies =
        proxy::Proxies::from_env(|name| name.ends_with("_proxy").then(|| url.clone()).filter(|_| name != "no_proxy")).unwrap();
    Rc::new(context)
}

#[test]
fn plain_requests_go_through_a_proxy_with_their_whole_url() {
    run(async {
        let server = Server::start(|_, stream| {
            while let Some(request) = read_request(stream) {
                let line = String::from_utf8_lossy(&request).lines().take(3).collect::<Vec<_>>().join("|");
                write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{line}", line.len()).unwrap();
            }
        });
        let user = Connections::new(proxied(server.address, Settings::default()));
        let origin = Rc::new(Origin::parse("http://nowhere.test").unwrap());
        for _ in 0..2 {
            let exchange = exchange(&user, &Request { path: "/a?b", ..get(&origin) }).await;
            let expected = "GET http://nowhere.test/a?b HTTP/1.1|host: nowhere.test|proxy-authorization: Basic dXNlcjpwYXNz";
            assert_eq!(String::from_utf8(exchange.body.bytes().to_vec()).unwrap(), expected);
        }
        assert_eq!(server.connections(), 1);
    });
}

#[test]
fn secure_requests_go_through_a_tunnel() {
    run(async {
        let authority = Authority::new();
        let server = SecureServer::start(authority.certify("shop.test", |_| {}), BOTH, None).await;
        let target = server.address;
        let proxy = Server::start(move |number, stream| {
            let request = read_request(stream).unwrap();
            assert!(request.starts_with(b"CONNECT shop.test:"));
            if number == 1 {
                let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
                return;
            }
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
            let mut onward = TcpStream::connect(target).unwrap();
            let (mut back_in, mut back_out) = (onward.try_clone().unwrap(), stream.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut back_in, &mut back_out));
            let _ = std::io::copy(stream, &mut onward);
        });
        let context = proxied(proxy.address, trusting(&authority));
        let origin = server.origin("shop.test");
        let tunnelled = exchange(&Connections::new(Rc::clone(&context)), &get(&origin)).await;
        assert_eq!((tunnelled.status, tunnelled.version, tunnelled.failure), (200, Version::Http2, None));
        let refused = exchange(&Connections::new(context), &get(&origin)).await;
        assert_eq!(message(&refused), format!("the proxy {} refused a tunnel to {}: status 403", proxy.address, origin.peer()));
    });
}
