//! Links between machines: frames of the [`super::transport`] are messages by the [`super::codec`], and back.
//!
//! Each link has two tasks, one for each direction. They decide nothing: what cannot be read ends the link, and the machines on both
//! sides know what to do then.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use super::codec::{self, CodecError};
use super::identity::Identities;
use super::link::{Dialer, Inward, MasterLinks, WorkerLinks};
use super::transport::{FrameReceiver, FrameSender, LinkHandle, MasterEndpoint, PeerLink, TransportError, WorkerEndpoint};

/// Dials the master on another machine.
#[derive(Debug)]
pub struct RemoteDialer {
    endpoint: WorkerEndpoint,
    host: String,
    complaints: Arc<Complaints>,
}

impl RemoteDialer {
    /// A dialer of the master at `host` (`HOST:PORT`); its name is looked up at each dial. Must be made within a runtime.
    ///
    /// # Errors
    /// There is no UDP port to be had.
    pub fn new(identities: &Identities, host: String) -> Result<Self, TransportError> {
        Ok(Self { endpoint: WorkerEndpoint::new(identities)?, host, complaints: Arc::default() })
    }
}

impl Dialer for RemoteDialer {
    async fn dial(&self, links: WorkerLinks) -> Result<(), String> {
        let peer = self.endpoint.dial(&self.host).await.map_err(|why| why.to_string())?;
        let (inward, outgoing) = links.open(Some(peer.remote)).await.ok_or("the worker is gone")?;
        tokio::spawn(carry(peer, inward, outgoing, codec::encode_to_master, codec::decode_to_worker, self.complaints.clone()));
        Ok(())
    }
}

/// The master's door: hands each worker that may come in to the shell.
#[derive(Debug)]
pub struct WorkerDoor {
    closer: oneshot::Sender<String>,
    task: JoinHandle<()>,
}

impl WorkerDoor {
    /// Lets the workers that come to `endpoint` in to `links`.
    #[must_use]
    pub fn open(endpoint: MasterEndpoint, links: MasterLinks) -> Self {
        let (closer, closed) = oneshot::channel();
        Self { closer, task: tokio::spawn(receive(endpoint, links, closed)) }
    }

    /// Waits shortly until links that the shell has closed have sent what they had to, and closes all others for this reason.
    pub async fn close(self, reason: &str) {
        // A door that is gone, by a panic of its own, is closed.
        let _ = self.closer.send(reason.to_owned());
        let _ = self.task.await;
    }
}

async fn receive(mut endpoint: MasterEndpoint, links: MasterLinks, mut closed: oneshot::Receiver<String>) {
    let complaints = Arc::<Complaints>::default();
    let mut carried = JoinSet::new();
    let reason = loop {
        tokio::select! {
            peer = endpoint.accept() => {
                let Some(peer) = peer else { break "the master's port is gone".to_owned() };
                log::debug!("a worker comes from {}", peer.remote);
                let Some((inward, outgoing)) = links.open(Some(peer.remote)).await else { break "the master ends".to_owned() };
                carried.spawn(carry(peer, inward, outgoing, codec::encode_to_worker, codec::decode_to_master, complaints.clone()));
            }
            Some(_) = carried.join_next() => {}
            reason = &mut closed => break reason.unwrap_or_default(),
        }
    };
    let last_words = async { while carried.join_next().await.is_some() {} };
    // Links that the shell has not closed would go on for ever; they are cut off here.
    let _ = tokio::time::timeout(LAST_WORDS, last_words).await;
    endpoint.close(&reason).await;
}

/// Carries both directions of a link until it is gone.
async fn carry<In, Out>(
    peer: PeerLink,
    inward: Inward<In, Out>,
    outgoing: mpsc::Receiver<Out>,
    encode: fn(&Out) -> Vec<u8>,
    decode: fn(&[u8]) -> Result<In, CodecError>,
    complaints: Arc<Complaints>,
) {
    let handle = peer.handle();
    let PeerLink { sender, receiver, .. } = peer;
    tokio::join!(write(sender, outgoing, encode, handle.clone(), &complaints), read(receiver, inward, decode, handle, &complaints));
}

async fn write<Out>(
    mut sender: FrameSender,
    mut outgoing: mpsc::Receiver<Out>,
    encode: fn(&Out) -> Vec<u8>,
    handle: LinkHandle,
    complaints: &Complaints,
) {
    while let Some(message) = outgoing.recv().await {
        if let Err(why) = sender.send(&encode(&message)).await {
            complaints.say(|| format!("the link to {} is given up: {why}", handle.remote()));
            return handle.close("a message could not be sent");
        }
    }
    // The shell has closed the link: what it said before still arrives. A peer that is gone needs no word.
    let _ = sender.finish(LAST_WORDS).await;
    handle.close("closed");
}

async fn read<In, Out>(
    mut receiver: FrameReceiver,
    inward: Inward<In, Out>,
    decode: fn(&[u8]) -> Result<In, CodecError>,
    handle: LinkHandle,
    complaints: &Complaints,
) {
    let mut measured = Instant::now();
    loop {
        match receiver.receive().await {
            Ok(Some(bytes)) => match decode(&bytes) {
                Ok(message) => {
                    if !inward.deliver(message).await {
                        break;
                    }
                    if measured.elapsed() >= MEASURE_INTERVAL {
                        measured = Instant::now();
                        inward.measured(handle.rtt());
                    }
                }
                Err(why) => {
                    complaints.say(|| format!("{} is cut off, since it has sent what is no message: {why}", handle.remote()));
                    handle.close("what came is no message");
                    break;
                }
            },
            Ok(None) => break,
            Err(why) => {
                log::debug!("the link to {} is gone: {why}", handle.remote());
                break;
            }
        }
    }
    inward.close().await;
}

/// Lines of the log about peers, one a second at the most: a peer cannot fill the log.
#[derive(Debug, Default)]
struct Complaints {
    /// When the last one was written, and how many have been left out since.
    last: Mutex<(Option<Instant>, u64)>,
}

impl Complaints {
    fn say(&self, text: impl FnOnce() -> String) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if last.0.is_some_and(|at| now.saturating_duration_since(at) < COMPLAINT_INTERVAL) {
            last.1 += 1;
            return;
        }
        let left_out = std::mem::take(&mut last.1);
        last.0 = Some(now);
        drop(last);
        let text = text();
        match left_out {
            0 => log::warn!("{text}"),
            more => log::warn!("{text} ({more} lines like this were left out)"),
        }
    }
}

/// How long what was sent last may take to arrive.
const LAST_WORDS: Duration = Duration::from_secs(2);
const MEASURE_INTERVAL: Duration = Duration::from_secs(1);
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::identity::Secret;
    use crate::cluster::link::LinkEvent;
    use crate::cluster::message::{ToMaster, ToWorker};
    use crate::cluster::transport::FrameError;

    type AtMaster = mpsc::Receiver<LinkEvent<ToMaster, ToWorker>>;

    fn open_door() -> (WorkerDoor, String, AtMaster) {
        let endpoint = MasterEndpoint::bind(([127, 0, 0, 1], 0).into(), &identities()).unwrap();
        let host = endpoint.local_address().to_string();
        let (links, at_master) = MasterLinks::new();
        (WorkerDoor::open(endpoint, links), host, at_master)
    }

    fn identities() -> Identities {
        Identities::new(&Secret::none(), None)
    }

    async fn next<T>(events: &mut mpsc::Receiver<T>) -> T {
        tokio::time::timeout(Duration::from_secs(10), events.recv()).await.expect("it comes soon").expect("somebody is there")
    }

    #[tokio::test]
    async fn messages_pass_between_machines_and_the_last_ones_arrive_after_the_link_is_closed() {
        let (door, host, mut at_master) = open_door();
        let (links, mut at_worker) = WorkerLinks::new();
        RemoteDialer::new(&identities(), host).unwrap().dial(links).await.unwrap();
        let LinkEvent::Up { outbox: to_master, .. } = next(&mut at_worker).await else { panic!("the worker's end is up first") };
        let LinkEvent::Up { outbox: to_worker, address, .. } = next(&mut at_master).await else { panic!("the master's end is up first") };
        assert!(address.is_some_and(|address| address.ip().is_loopback()), "{address:?}");
        to_master.send(ToMaster::Leaving).await.unwrap();
        assert!(matches!(next(&mut at_master).await, LinkEvent::Message { message: ToMaster::Leaving, .. }));
        for number in 0..100 {
            to_worker.send(ToWorker::Refuse(format!("{number}"))).await.unwrap();
        }
        drop(to_worker);
        for number in 0..100 {
            let LinkEvent::Message { message: ToWorker::Refuse(text), .. } = next(&mut at_worker).await else { panic!("{number} is lost") };
            assert_eq!(text, number.to_string());
        }
        assert!(matches!(next(&mut at_worker).await, LinkEvent::Down { .. }));
        door.close("over").await;
    }

    #[tokio::test]
    async fn a_peer_that_sends_what_is_no_message_is_cut_off() {
        let (door, host, mut at_master) = open_door();
        let mut peer = WorkerEndpoint::new(&identities()).unwrap().dial(&host).await.unwrap();
        let LinkEvent::Up { outbox: _kept, .. } = next(&mut at_master).await else { panic!("the master's end is up first") };
        peer.sender.send(b"\xffno message").await.unwrap();
        let end = tokio::time::timeout(Duration::from_secs(10), peer.receiver.receive()).await.expect("it is cut off soon");
        assert_eq!(end, Err(FrameError::Closed { reason: "what came is no message".into() }));
        assert!(matches!(next(&mut at_master).await, LinkEvent::Down { .. }));
        door.close("over").await;
    }

    #[test]
    fn complaints_of_one_second_are_one_line_and_a_count() {
        let complaints = Complaints::default();
        let said = std::cell::Cell::new(0);
        for _ in 0..50 {
            complaints.say(|| {
                said.set(said.get() + 1);
                String::new()
            });
        }
        assert_eq!((said.get(), complaints.last.lock().unwrap().1), (1, 49));
    }
}
