//! Masters and workers over real sockets on loopback: frames, and what links survive. Who comes in is in `door`.
//!
//! Times are only bounded from above, and generously: what is asserted is that something happens long before the timeout
//! that would make it happen anyway.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::accept::Limits;
use super::*;
use crate::cluster::identity::{Identities, Identity, Secret};

mod door;
mod lossy;

fn secret() -> Secret {
    Secret::parse(&Secret::random_text()).unwrap()
}

fn alone(secret: &Secret) -> Identities {
    Identities::new(secret, None)
}

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A master and the text that workers dial.
fn master(identities: &Identities, limits: Limits) -> (MasterEndpoint, String) {
    let master = MasterEndpoint::bind_with(loopback(), identities, limits).unwrap();
    let host = master.local_address().to_string();
    (master, host)
}

/// Both ends of a link between a master and a worker that share a secret.
async fn joined() -> (MasterEndpoint, WorkerEndpoint, PeerLink, PeerLink) {
    let identities = alone(&secret());
    let (mut master, host) = master(&identities, Limits::default());
    let worker = WorkerEndpoint::new(&identities).unwrap();
    let (at_worker, at_master) = tokio::join!(worker.dial(&host), master.accept());
    (master, worker, at_worker.unwrap(), at_master.unwrap())
}

#[tokio::test]
async fn frames_cross_both_ways_in_order_and_of_any_size() {
    let (_master, _worker, mut at_worker, mut at_master) = joined().await;
    let large: Vec<u8> = (0..3_000_000_u32).map(|index| (index % 251) as u8).collect();
    let sent: Vec<&[u8]> = vec![b"first", b"", &large, b"last"];
    let sending = async {
        for payload in &sent {
            at_worker.sender.send(payload).await.unwrap();
        }
        at_worker.sender.finish(Duration::from_secs(5)).await.unwrap();
    };
    let receiving = async {
        for payload in &sent {
            assert_eq!(at_master.receiver.receive().await.unwrap().as_deref(), Some(*payload));
        }
        assert_eq!(at_master.receiver.receive().await, Ok(None));
        at_master.sender.send(b"answer").await.unwrap();
    };
    tokio::join!(sending, receiving);
    assert_eq!(at_worker.receiver.receive().await.unwrap().as_deref(), Some(b"answer".as_slice()));
    assert!(at_worker.rtt() > Duration::ZERO);
}

#[tokio::test]
async fn receiving_may_be_cancelled_anywhere_and_loses_nothing() {
    let (_master, _worker, mut at_worker, mut at_master) = joined().await;
    let payload = vec![7; 300_000];
    let sending = async {
        for _ in 0..5 {
            at_worker.sender.send(&payload).await.unwrap();
        }
    };
    let receiving = async {
        let mut frames = 0;
        while frames < 5 {
            if let Ok(frame) = timeout(Duration::from_micros(50), at_master.receiver.receive()).await {
                assert_eq!(frame.unwrap().unwrap(), payload);
                frames += 1;
            }
        }
    };
    tokio::join!(sending, receiving);
}

#[tokio::test]
async fn a_cancelled_send_leaves_no_torn_frame() {
    let (_master, _worker, mut at_worker, mut at_master) = joined().await;
    // Nobody receives yet, so that the window fills and a send is left half done.
    let big = vec![1; 700_000];
    let mut cancelled = 0;
    while timeout(Duration::from_millis(50), at_worker.sender.send(&big)).await.is_ok() {
        cancelled += 1;
        assert!(cancelled < 10, "the windows have no bound");
    }
    let sending = async { at_worker.sender.send(b"after").await.unwrap() };
    let receiving = async {
        loop {
            let frame = at_master.receiver.receive().await.unwrap().unwrap();
            if frame.as_ref() == b"after" {
                return;
            }
            assert_eq!(frame, big);
        }
    };
    tokio::join!(sending, receiving);
}

#[tokio::test]
async fn the_reason_of_a_close_reaches_the_peer() {
    let (master, _worker, mut at_worker, mut at_master) = joined().await;
    at_worker.sender.send(b"goodbye").await.unwrap();
    at_worker.sender.finish(Duration::from_secs(5)).await.unwrap();
    at_worker.close("drained by request");
    assert_eq!(at_master.receiver.receive().await.unwrap().as_deref(), Some(b"goodbye".as_slice()));
    assert_eq!(at_master.handle().closed().await, "drained by request");
    assert_eq!(at_master.sender.send(b"x").await, Err(FrameError::Closed { reason: "drained by request".into() }));
    drop(at_worker);
    master.close("the run is over").await;
}

#[tokio::test]
async fn a_master_that_closes_tells_every_worker() {
    let (master, _worker, mut at_worker, _at_master) = joined().await;
    let (told, ()) = tokio::join!(at_worker.receiver.receive(), master.close("the run is over"));
    assert_eq!(told, Err(FrameError::Closed { reason: "the run is over".into() }));
}

#[tokio::test]
async fn a_worker_that_closes_tells_its_master() {
    let (_master, worker, _at_worker, mut at_master) = joined().await;
    let (told, ()) = tokio::join!(at_master.receiver.receive(), worker.close("told to end"));
    assert_eq!(told, Err(FrameError::Closed { reason: "told to end".into() }));
}

#[tokio::test]
async fn all_interfaces_are_those_of_ipv4_too() {
    let identities = alone(&secret());
    let Ok(mut master) = MasterEndpoint::bind((std::net::Ipv6Addr::UNSPECIFIED, 0).into(), &identities) else {
        return; // A machine without IPv6 has nothing to show here.
    };
    let worker = WorkerEndpoint::new(&identities).unwrap();
    for host in ["127.0.0.1", "[::1]"] {
        let host = format!("{host}:{}", master.local_address().port());
        let (link, at_master) = tokio::join!(worker.dial(&host), master.accept());
        link.unwrap_or_else(|error| panic!("{error}"));
        assert!(at_master.unwrap().remote.ip().is_loopback(), "{host}");
    }
}

#[tokio::test]
async fn a_link_follows_a_worker_to_another_address() {
    let (_master, worker, mut at_worker, mut at_master) = joined().await;
    let handle = at_master.handle();
    let before = handle.remote();
    worker.rebind().unwrap();
    at_worker.sender.send(b"moved").await.unwrap();
    assert_eq!(at_master.receiver.receive().await.unwrap().as_deref(), Some(b"moved".as_slice()));
    at_master.sender.send(b"seen").await.unwrap();
    assert_eq!(at_worker.receiver.receive().await.unwrap().as_deref(), Some(b"seen".as_slice()));
    assert_ne!(handle.remote(), before);
    assert_eq!(at_master.remote, before, "the first address stays known");
}

#[tokio::test]
async fn a_restarted_master_ends_old_links_at_once() {
    let identities = alone(&secret());
    let worker = WorkerEndpoint::new(&identities).unwrap();
    // The first master has a runtime of its own, which goes without a word to anybody, as a killed process does.
    let first = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (host_out, host) = tokio::sync::oneshot::channel();
    let theirs = identities.clone();
    first.spawn(async move {
        let (mut master, host) = master(&theirs, Limits::default());
        host_out.send(host).unwrap();
        let _link = master.accept().await;
        std::future::pending::<()>().await;
    });
    let host = host.await.unwrap();
    let mut link = worker.dial(&host).await.unwrap();
    first.shutdown_background();
    let address: SocketAddr = host.parse().unwrap();
    let mut second = None;
    for _ in 0..200 {
        match MasterEndpoint::bind(address, &identities) {
            Ok(master) => {
                second = Some(master);
                break;
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await, // The old socket is still being dropped.
        }
    }
    let mut second = second.expect("the old master never let go of its port");
    let begun = Instant::now();
    link.sender.send(b"are you there?").await.unwrap();
    let end = link.receiver.receive().await.unwrap_err();
    assert!(matches!(&end, FrameError::Lost { reason } if reason.contains("restarted")), "{end:?}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}: not much better than the idle timeout", begun.elapsed());
    let (again, at_master) = tokio::join!(worker.dial(&host), second.accept());
    assert!(again.is_ok() && at_master.is_some());
}

#[tokio::test]
async fn a_dial_says_what_is_wrong_with_the_host() {
    let worker = WorkerEndpoint::new(&alone(&Secret::none())).unwrap();
    let error = worker.dial("no port").await.unwrap_err();
    assert!(matches!(error, DialError::Resolve { .. }) && error.to_string().contains("`no port`"), "{error}");
    let closed = std::net::UdpSocket::bind(loopback()).unwrap().local_addr().unwrap().to_string();
    let error = worker.dial_within(&closed, Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(error, DialError::NoAnswer { .. }) && error.to_string().contains(&closed), "{error}");
}

#[tokio::test]
async fn a_master_that_comes_up_during_a_dial_is_found() {
    let identities = alone(&secret());
    let address = std::net::UdpSocket::bind(loopback()).unwrap().local_addr().unwrap();
    let worker = WorkerEndpoint::new(&identities).unwrap();
    let coming_up = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut master = MasterEndpoint::bind(address, &identities).unwrap();
        (master.accept().await, master)
    };
    let host = address.to_string();
    let (link, (at_master, _master)) = tokio::join!(worker.dial(&host), coming_up);
    assert!(link.is_ok() && at_master.is_some());
}

#[tokio::test]
async fn a_name_with_a_dead_address_is_joined_at_the_living_one() {
    // `localhost` is ::1 and 127.0.0.1 on most machines; the master listens on one of them.
    let identities = alone(&secret());
    let (mut master, host) = master(&identities, Limits::default());
    let port = host.rsplit(':').next().unwrap().to_owned();
    let worker = WorkerEndpoint::new(&identities).unwrap();
    let name = format!("localhost:{port}");
    let (link, at_master) = tokio::join!(worker.dial(&name), master.accept());
    link.unwrap();
    at_master.unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let identities = Identities { current: Identity::new(&Secret::none()), previous: None };
    let (_master, host) = master(&identities, Limits::default());
    let error = MasterEndpoint::bind(host.parse().unwrap(), &identities).unwrap_err();
    assert!(error.to_string().contains(&host), "{error}");
}
