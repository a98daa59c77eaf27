//! Links over a bad network: a relay that delays every packet and loses some, the same ones each time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;

use super::*;

/// Between one worker and one master: 100 ms there, 100 ms back, and one packet of five lost.
struct Relay {
    address: SocketAddr,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Relay {
    async fn to(master: SocketAddr, delay: Duration, lost_percent: u64) -> Self {
        let to_worker = Arc::new(UdpSocket::bind(loopback()).await.unwrap());
        let to_master = Arc::new(UdpSocket::bind(loopback()).await.unwrap());
        to_master.connect(master).await.unwrap();
        let address = to_worker.local_addr().unwrap();
        let (tell_worker, worker) = tokio::sync::watch::channel(None);
        let (there, back) = ((to_worker.clone(), to_master.clone()), (to_master, to_worker));
        let there = tokio::spawn(async move {
            let (mut buffer, mut fate) = ([0; 2_000], Fate(1));
            loop {
                let (length, from) = there.0.recv_from(&mut buffer).await.unwrap();
                tell_worker.send_replace(Some(from));
                if fate.percent() >= lost_percent {
                    let (packet, socket) = (buffer[..length].to_vec(), there.1.clone());
                    tokio::spawn(async move {
                        tokio::time::sleep(delay).await;
                        drop(socket.send(&packet).await);
                    });
                }
            }
        });
        let back = tokio::spawn(async move {
            let (mut buffer, mut fate) = ([0; 2_000], Fate(2));
            loop {
                let length = back.0.recv(&mut buffer).await.unwrap();
                let to = worker.borrow().unwrap();
                if fate.percent() >= lost_percent {
                    let (packet, socket) = (buffer[..length].to_vec(), back.1.clone());
                    tokio::spawn(async move {
                        tokio::time::sleep(delay).await;
                        drop(socket.send_to(&packet, to).await);
                    });
                }
            }
        });
        Self { address, tasks: vec![there, back] }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// A generator of small quality.
struct Fate(u64);

impl Fate {
    fn percent(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % 100
    }
}

#[tokio::test]
async fn a_fifth_of_the_packets_lost_leaves_a_link_quick() {
    let identities = alone(&secret());
    let (mut master, host) = master(&identities, Limits::default());
    let relay = Relay::to(host.parse().unwrap(), Duration::from_millis(100), 20).await;
    let worker = WorkerEndpoint::new(&identities).unwrap();
    let name = relay.address.to_string();
    let begun = Instant::now();
    let (at_worker, at_master) = tokio::join!(worker.dial(&name), master.accept());
    let (mut at_worker, mut at_master) = (at_worker.unwrap(), at_master.unwrap());
    let joined = begun.elapsed();
    // Four workers' worth of deltas: 20 frames of 20 kB.
    let payload = vec![5; 20_000];
    let begun = Instant::now();
    let sending = async {
        for _ in 0..20 {
            at_worker.sender.send(&payload).await.unwrap();
        }
    };
    let receiving = async {
        for _ in 0..20 {
            assert_eq!(at_master.receiver.receive().await.unwrap().unwrap(), payload);
        }
    };
    tokio::join!(sending, receiving);
    let crossed = begun.elapsed();
    eprintln!("joined after {joined:?}, 400 kB crossed in {crossed:?}");
    assert!(joined < Duration::from_secs(8), "joined only after {joined:?}");
    assert!(crossed < Duration::from_secs(10), "400 kB took {crossed:?}");
}
