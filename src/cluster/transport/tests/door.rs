//! Who comes in and who does not: secrets, strangers, noise, too many at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint};
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::crypto::ring::sign::any_eddsa_type;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::CertifiedKey;
use tokio::time::timeout;

use super::*;
use crate::cluster::transport::preamble::preamble;
use crate::cluster::transport::tls::{ASK_CURRENT, PROTOCOL_NAME, Pinned};

/// Waits until the master has refused somebody.
async fn refused(master: &MasterEndpoint) -> Refusals {
    let some = async {
        while master.refusals().total() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        master.refusals()
    };
    timeout(Duration::from_secs(8), some).await.expect("nobody was refused")
}

/// Connects as somebody would who speaks QUIC, with TLS of his own.
async fn connect(host: &str, tls: rustls::ClientConfig) -> Result<Connection, ConnectionError> {
    let endpoint = Endpoint::client(loopback()).unwrap();
    let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    endpoint.connect_with(config, host.parse().unwrap(), ASK_CURRENT).unwrap().await
}

/// Connects, says nothing, and answers how that ended.
async fn stranger(host: &str, tls: rustls::ClientConfig) -> ConnectionError {
    match connect(host, tls).await {
        Ok(connection) => connection.closed().await,
        Err(end) => end,
    }
}

/// Our public key with a private key that is not ours.
fn impostor(ours: &Identities) -> Arc<CertifiedKey> {
    let head = [0x30, 0x2e, 0x02, 0x01, 0, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let signing = any_eddsa_type(&PrivatePkcs8KeyDer::from([head, [9; 16], [9; 16]].concat())).unwrap();
    Arc::new(CertifiedKey::new(vec![ours.current.public_key().to_vec().into()], signing))
}

/// TLS as a worker speaks it, but for what the test changes.
fn worker_tls(accepted: &Identities, presented: Option<Arc<CertifiedKey>>) -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Pinned::new(accepted));
    let mut config = match presented {
        Some(key) => builder.with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(key))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![PROTOCOL_NAME.to_vec()];
    config
}

#[tokio::test]
async fn another_secret_is_refused_counted_and_told() {
    let (master, host) = master(&alone(&secret()), Limits::default());
    let worker = WorkerEndpoint::new(&alone(&secret())).unwrap();
    let error = worker.dial(&host).await.unwrap_err();
    assert!(matches!(error, DialError::WrongSecret { .. }), "{error:?}");
    assert!(error.to_string().contains("does not accept this worker's secret"), "{error}");
    let refusals = refused(&master).await;
    assert!(refusals.wrong_secret >= 1, "{refusals:?}");
    assert_eq!(refusals.total(), refusals.wrong_secret, "{refusals:?}");
}

#[tokio::test]
async fn no_secret_is_another_secret() {
    let (master, host) = master(&alone(&secret()), Limits::default());
    let error = WorkerEndpoint::new(&alone(&Secret::none())).unwrap().dial(&host).await.unwrap_err();
    assert!(matches!(error, DialError::WrongSecret { .. }), "{error:?}");
    assert!(refused(&master).await.wrong_secret >= 1);
}

#[tokio::test]
async fn a_peer_without_a_key_is_refused() {
    let identities = alone(&secret());
    let (master, host) = master(&identities, Limits::default());
    stranger(&host, worker_tls(&identities, None)).await;
    let refusals = refused(&master).await;
    assert_eq!((refusals.not_ours, refusals.total()), (1, 1), "{refusals:?}");
}

#[tokio::test]
async fn a_peer_that_shows_our_public_key_and_has_not_the_private_one_is_refused() {
    let ours = alone(&secret());
    let (master, host) = master(&ours, Limits::default());
    stranger(&host, worker_tls(&ours, Some(impostor(&ours)))).await;
    let refusals = refused(&master).await;
    assert_eq!((refusals.wrong_secret, refusals.total()), (1, 1), "{refusals:?}");
}

#[tokio::test]
async fn a_false_master_that_shows_our_public_key_is_not_joined() {
    let ours = alone(&secret());
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(Pinned::new(&ours))
        .with_cert_resolver(Arc::new(rustls::server::AlwaysResolvesServerRawPublicKeys::new(impostor(&ours))));
    tls.alpn_protocols = vec![PROTOCOL_NAME.to_vec()];
    let tls = quinn::crypto::rustls::QuicServerConfig::try_from(tls).unwrap();
    let endpoint = Endpoint::server(quinn::ServerConfig::with_crypto(Arc::new(tls)), loopback()).unwrap();
    let host = endpoint.local_addr().unwrap().to_string();
    let serving = tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move { drop(incoming.await) });
        }
    });
    let error = WorkerEndpoint::new(&ours).unwrap().dial(&host).await.unwrap_err();
    assert!(matches!(error, DialError::WrongSecret { .. }), "{error:?}");
    serving.abort();
}

#[tokio::test]
async fn a_peer_of_another_protocol_is_refused() {
    let identities = alone(&secret());
    let (master, host) = master(&identities, Limits::default());
    let mut tls = worker_tls(&identities, Some(identities.current.certified_key()));
    tls.alpn_protocols = vec![b"h3".to_vec()];
    stranger(&host, tls).await;
    let refusals = refused(&master).await;
    assert_eq!((refusals.not_ours, refusals.total()), (1, 1), "{refusals:?}");
}

#[tokio::test]
async fn another_version_is_refused_and_both_versions_are_told() {
    let identities = alone(&secret());
    let (master, host) = master(&identities, Limits::default());
    let worker = WorkerEndpoint::with_version(&identities, PROTOCOL_VERSION + 1).unwrap();
    let error = worker.dial(&host).await.unwrap_err();
    assert!(
        matches!(error, DialError::WrongVersion { ours, theirs, .. } if (ours, theirs) == (PROTOCOL_VERSION + 1, PROTOCOL_VERSION)),
        "{error:?}"
    );
    let told = format!("version {PROTOCOL_VERSION} of the protocol and this worker version {}", PROTOCOL_VERSION + 1);
    assert!(error.to_string().contains(&told), "{error}");
    let refusals = refused(&master).await;
    assert_eq!((refusals.wrong_version, refusals.total()), (1, 1), "{refusals:?}");
}

#[tokio::test]
async fn a_peer_that_begins_with_something_else_is_told_where_it_is() {
    let identities = alone(&secret());
    let (master, host) = master(&identities, Limits::default());
    let tls = worker_tls(&identities, Some(identities.current.certified_key()));
    let connection = connect(&host, tls).await.unwrap();
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let end = connection.closed().await;
    assert!(end.to_string().contains("a Lunamoth master lives here"), "{end}");
    assert_eq!(master.refusals().not_ours, 1);
}

#[tokio::test]
async fn a_peer_that_stays_silent_is_dropped_after_the_deadline() {
    let identities = alone(&secret());
    let (master, host) = master(&identities, Limits { deadline: Duration::from_millis(300), ..Limits::default() });
    let tls = worker_tls(&identities, Some(identities.current.certified_key()));
    let begun = Instant::now();
    let end = stranger(&host, tls).await;
    assert!(matches!(end, ConnectionError::ApplicationClosed(_)), "{end}");
    assert!(begun.elapsed() < Duration::from_secs(5), "it was left to the idle timeout");
    let refusals = refused(&master).await;
    assert_eq!((refusals.timed_out, refusals.total()), (1, 1), "{refusals:?}");
}

#[tokio::test]
async fn too_many_half_open_attempts_are_refused_and_links_are_not_disturbed() {
    let identities = alone(&secret());
    let limits = Limits { half_open_of_network: 2, ..Limits::default() };
    let (mut master, host) = master(&identities, limits);
    let worker = WorkerEndpoint::new(&identities).unwrap();
    let (at_worker, at_master) = tokio::join!(worker.dial(&host), master.accept());
    let (mut at_worker, mut at_master) = (at_worker.unwrap(), at_master.unwrap());
    let silent = || worker_tls(&identities, Some(identities.current.certified_key()));
    let strangers: Vec<_> = (0..6)
        .map(|_| {
            let (host, tls) = (host.clone(), silent());
            tokio::spawn(async move { stranger(&host, tls).await })
        })
        .collect();
    assert!(refused(&master).await.too_many >= 1);
    at_worker.sender.send(b"still here").await.unwrap();
    assert_eq!(at_master.receiver.receive().await.unwrap().as_deref(), Some(b"still here".as_slice()));
    strangers.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_full_master_says_so_and_has_room_again_when_a_link_goes() {
    let identities = alone(&secret());
    let (mut master, host) = master(&identities, Limits { links: 1, ..Limits::default() });
    let worker = WorkerEndpoint::new(&identities).unwrap();
    let (first, at_master) = tokio::join!(worker.dial(&host), master.accept());
    let error = worker.dial(&host).await.unwrap_err();
    assert!(error.to_string().contains("no connections at present"), "{error}");
    assert_eq!(master.refusals().too_many, 1);
    drop((first, at_master));
    let (second, _at_master) = tokio::join!(worker.dial(&host), master.accept());
    second.unwrap();
}

#[tokio::test]
async fn a_megabyte_of_noise_leaves_the_master_serving() {
    let identities = alone(&secret());
    let (mut master, host) = master(&identities, Limits::default());
    let noise = std::net::UdpSocket::bind(loopback()).unwrap();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..1_000_u32 {
        let mut datagram = vec![0; 40 + round as usize % 1_300];
        for byte in &mut datagram {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (random >> 56) as u8;
        }
        // Half of them look like first packets of QUIC's version 1.
        if round % 2 == 0 {
            datagram[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]);
        }
        noise.send_to(&datagram, &host).unwrap();
        if round % 50 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let worker = WorkerEndpoint::new(&identities).unwrap();
    let (at_worker, at_master) = tokio::join!(worker.dial(&host), master.accept());
    let (mut at_worker, mut at_master) = (at_worker.unwrap(), at_master.unwrap());
    at_worker.sender.send(b"undisturbed").await.unwrap();
    assert_eq!(at_master.receiver.receive().await.unwrap().as_deref(), Some(b"undisturbed".as_slice()));
}

#[tokio::test]
async fn an_absurd_length_ends_the_reading() {
    let identities = alone(&secret());
    let (mut master, host) = master(&identities, Limits::default());
    let tls = worker_tls(&identities, Some(identities.current.certified_key()));
    let connection = connect(&host, tls).await.unwrap();
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(&preamble(PROTOCOL_VERSION, Instance::default())).await.unwrap();
    let mut at_master = master.accept().await.unwrap();
    send.write_all(&[0xff, 0xff, 0xff, 0xf0, 1, 2, 3]).await.unwrap();
    assert_eq!(
        at_master.receiver.receive().await,
        Err(FrameError::TooLong { bytes: 0xffff_fff0, limit: FRAME_BYTES_MAX }),
        "the length alone is refused"
    );
}

#[tokio::test]
async fn a_secret_may_be_changed_on_either_side_first() {
    let [older, old, new] = [(); 3].map(|()| secret());
    let both = Identities::new(&new, Some(&old));
    // Master, worker: who has heard of the new secret, and what each still keeps from before.
    let pairs = [
        (alone(&old), both.clone()),
        (both.clone(), alone(&old)),
        (both.clone(), alone(&new)),
        (alone(&new), both.clone()),
        (both.clone(), both.clone()),
        (both.clone(), Identities::new(&old, Some(&older))),
        (Identities::new(&old, Some(&older)), both.clone()),
    ];
    for (index, (of_master, of_worker)) in pairs.into_iter().enumerate() {
        let (mut master, host) = master(&of_master, Limits::default());
        let worker = WorkerEndpoint::new(&of_worker).unwrap();
        for round in 0..2 {
            let before = master.refusals().total();
            let link = worker.dial(&host).await.unwrap_or_else(|error| panic!("pair {index}: {error}"));
            master.accept().await.unwrap();
            assert!(round == 0 || master.refusals().total() == before, "pair {index}: the way that went well is tried first");
            drop(link);
        }
    }
}

#[tokio::test]
async fn a_master_that_changed_its_secret_lets_nobody_in_with_the_old_one() {
    let (old, new) = (secret(), secret());
    let (_master, host) = master(&alone(&new), Limits::default());
    let error = WorkerEndpoint::new(&alone(&old)).unwrap().dial(&host).await.unwrap_err();
    assert!(matches!(error, DialError::WrongSecret { .. }), "{error:?}");
}

#[tokio::test]
async fn an_attempt_that_has_not_shown_its_address_leaves_nothing_behind() {
    let identities = alone(&secret());
    let (mut master, host) = master(&identities, Limits::default());
    // A genuine first packet, caught on its way and repeated by one who could not read the answer.
    let trap = tokio::net::UdpSocket::bind(loopback()).await.unwrap();
    let trapped = trap.local_addr().unwrap().to_string();
    let tls = worker_tls(&identities, Some(identities.current.certified_key()));
    let dialing = tokio::spawn(async move { connect(&trapped, tls).await.map(drop) });
    let mut packet = [0; 2_000];
    let (length, _) = trap.recv_from(&mut packet).await.unwrap();
    dialing.abort();
    let flood = tokio::net::UdpSocket::bind(loopback()).await.unwrap();
    for _ in 0..1_000 {
        flood.send_to(&packet[..length], &host).await.unwrap();
    }
    let worker = WorkerEndpoint::new(&identities).unwrap();
    let (at_worker, at_master) = tokio::join!(worker.dial(&host), master.accept());
    assert!(at_worker.is_ok() && at_master.is_some());
    assert_eq!(master.open_connections(), 1, "the worker's alone");
    assert_eq!(master.refusals().total(), 0);
    let mut answer = [0; 2_000];
    let length = flood.recv(&mut answer).await.unwrap();
    assert!(length < 200 && answer[0] & 0xf0 == 0xf0, "it was asked to try again, in {length} bytes");
}
