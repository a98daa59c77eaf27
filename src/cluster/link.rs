//! Links between a master and its workers as the shells see them: numbered, messages in through one queue of events, messages out
//! through a queue of each link's own. Both are bounded.
//!
//! Owns what is common to all links, and the in-memory one that joins master and worker of a local run: nothing is copied or encoded.
//! Links between machines are `remote`'s.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::message::{ToMaster, ToWorker};

/// What happens on links: `In` is what the other side says, `Out` what is said to it.
#[derive(Debug)]
#[expect(missing_docs, reason = "`link` is the link that an event happens on")]
pub enum LinkEvent<In, Out> {
    /// A link stands. Comes before anything else of it.
    Up {
        link: LinkId,
        /// Where the other side is, where that is another process.
        address: Option<SocketAddr>,
        /// What is put here is sent, in order. Dropped, it closes the link once all of it is on its way.
        outbox: mpsc::Sender<Out>,
    },
    /// The other side has said something.
    Message { link: LinkId, message: In },
    /// The way to the other side and back was measured.
    Measured {
        link: LinkId,
        /// How long it takes at present.
        round_trip: Duration,
    },
    /// The link is gone. The last event of it.
    Down { link: LinkId },
}

/// Where links are announced to a shell.
#[derive(Debug)]
pub struct Links<In, Out> {
    events: mpsc::Sender<LinkEvent<In, Out>>,
    /// How many links there have been; numbers are never used again.
    count: Arc<AtomicU64>,
}

/// The links of a master.
pub type MasterLinks = Links<ToMaster, ToWorker>;

/// The links of a worker.
pub type WorkerLinks = Links<ToWorker, ToMaster>;

impl<In, Out> Links<In, Out> {
    /// No links, and the end that the shell listens at.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<LinkEvent<In, Out>>) {
        let (events, inbox) = mpsc::channel(EVENTS);
        (Self { events, count: Arc::default() }, inbox)
    }

    /// Announces a new link, whose other side is at `address`. The answer is its inward end, and the messages that are to be carried out; `None` once the shell is gone.
    pub async fn open(&self, address: Option<SocketAddr>) -> Option<(Inward<In, Out>, mpsc::Receiver<Out>)> {
        let link = LinkId(self.count.fetch_add(1, Ordering::Relaxed) + 1);
        let (outbox, outgoing) = mpsc::channel(OUTBOX);
        self.events.send(LinkEvent::Up { link, address, outbox }).await.ok()?;
        Some((Inward { link, events: self.events.clone() }, outgoing))
    }
}

impl<In, Out> Clone for Links<In, Out> {
    fn clone(&self) -> Self {
        Self { events: self.events.clone(), count: self.count.clone() }
    }
}

/// The inward end of one link.
#[derive(Debug)]
pub struct Inward<In, Out> {
    link: LinkId,
    events: mpsc::Sender<LinkEvent<In, Out>>,
}

impl<In, Out> Inward<In, Out> {
    /// The link that the messages are told to come by.
    #[must_use]
    pub const fn link(&self) -> LinkId {
        self.link
    }

    /// Hands a message to the shell, and waits while it has many to look at: that is how a sender that is too fast is slowed down. `false`
    /// once the shell is gone.
    pub async fn deliver(&self, message: In) -> bool {
        self.events.send(LinkEvent::Message { link: self.link, message }).await.is_ok()
    }

    /// Tells the shell how long the way there and back takes. One that finds no room is dropped; another will follow.
    pub fn measured(&self, round_trip: Duration) {
        let _ = self.events.try_send(LinkEvent::Measured { link: self.link, round_trip });
    }

    /// Tells the shell that the link is gone.
    pub async fn close(self) {
        // A shell that is gone has no use for it.
        let _ = self.events.send(LinkEvent::Down { link: self.link }).await;
    }
}

/// How a worker comes to a link.
pub trait Dialer: Send + Sync + 'static {
    /// Makes one link to the master, wherever it is at this moment, and announces it to `links`.
    ///
    /// # Errors
    /// Why it came to nothing, for people. It does so within some seconds.
    fn dial(&self, links: WorkerLinks) -> impl Future<Output = Result<(), String>> + Send;
}

/// Dials a master in the same process.
#[derive(Debug)]
pub struct MemoryDialer {
    /// Where the master hears of the worker's links.
    pub master: MasterLinks,
}

impl Dialer for MemoryDialer {
    async fn dial(&self, links: WorkerLinks) -> Result<(), String> {
        let (to_master, from_master) = self.master.open(None).await.ok_or("the master is gone")?;
        let Some((to_worker, from_worker)) = links.open(None).await else {
            to_master.close().await;
            return Err("the worker is gone".into());
        };
        tokio::spawn(carry(from_worker, to_master));
        tokio::spawn(carry(from_master, to_worker));
        Ok(())
    }
}

/// Carries one direction of an in-memory link, until either side has closed it.
async fn carry<Message, Other>(mut outgoing: mpsc::Receiver<Message>, inward: Inward<Message, Other>) {
    while let Some(message) = outgoing.recv().await {
        if !inward.deliver(message).await {
            return;
        }
    }
    inward.close().await;
}

/// Events that may wait for a shell.
const EVENTS: usize = 1_024;
/// Messages that may wait on one link: a worker's whole total in parts, or minutes of answers. A link that has more waiting is closed.
pub(super) const OUTBOX: usize = 1_024;

/// One connection to a master, numbered by the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    async fn linked() -> (mpsc::Receiver<LinkEvent<ToMaster, ToWorker>>, mpsc::Receiver<LinkEvent<ToWorker, ToMaster>>) {
        let (master, at_master) = MasterLinks::new();
        let (worker, at_worker) = WorkerLinks::new();
        MemoryDialer { master }.dial(worker).await.unwrap();
        (at_master, at_worker)
    }

    #[tokio::test]
    async fn what_one_side_sends_the_other_hears_in_order_and_then_that_the_link_is_gone() {
        let (mut at_master, mut at_worker) = linked().await;
        let Some(LinkEvent::Up { link, outbox, .. }) = at_worker.recv().await else { panic!("the worker's end is up first") };
        assert_eq!(link, LinkId(1));
        outbox.send(ToMaster::Leaving).await.unwrap();
        outbox.send(ToMaster::Goodbye).await.unwrap();
        drop(outbox);
        assert!(matches!(at_master.recv().await, Some(LinkEvent::Up { link: LinkId(1), .. })));
        assert!(matches!(at_master.recv().await, Some(LinkEvent::Message { message: ToMaster::Leaving, .. })));
        assert!(matches!(at_master.recv().await, Some(LinkEvent::Message { message: ToMaster::Goodbye, .. })));
        assert!(matches!(at_master.recv().await, Some(LinkEvent::Down { link: LinkId(1) })));
    }

    #[tokio::test]
    async fn a_master_that_is_gone_cannot_be_dialled() {
        let (master, at_master) = MasterLinks::new();
        drop(at_master);
        let (worker, _at_worker) = WorkerLinks::new();
        assert_eq!(MemoryDialer { master }.dial(worker).await, Err("the master is gone".to_owned()));
    }
}
