//! How many connections there may be, and whose: one client must not shut the others out, and nobody the probes.
//!
//! A client has three quarters of all places at most. Beyond the places there is a doorstep, for connections that ask after health alone and
//! are gone at once: an orchestrator that hears nothing would end a master that only has many visitors. Where it is full, who comes pushes out
//! who has stood there for longest: a probe is answered at once, and it is others that stand and wait.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// The places of a server.
#[derive(Debug, Clone)]
pub(super) struct Places {
    most: usize,
    taken: Arc<Mutex<Taken>>,
}

/// Taken until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    at: At,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug)]
enum At {
    /// Inside, as one of this client's.
    Inside(IpAddr),
    /// The so manieth on the doorstep; it ends when its sender is gone.
    Doorstep(u64, oneshot::Receiver<()>),
}

#[derive(Debug, Default)]
struct Taken {
    by_client: HashMap<IpAddr, usize>,
    places: usize,
    /// Who stands on the doorstep, the longest first.
    doorstep: BTreeMap<u64, oneshot::Sender<()>>,
    /// Who has ever stood there.
    ever: u64,
}

impl Places {
    pub fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// A place for a connection from this address.
    pub fn take(&self, from: IpAddr) -> Place {
        let client = client(from);
        let mut taken = lock(&self.taken);
        let own = taken.by_client.get(&client).copied().unwrap_or(0);
        let at = if taken.places < self.most && own < (self.most * 3).div_ceil(4) {
            taken.places += 1;
            taken.by_client.insert(client, own + 1);
            At::Inside(client)
        } else {
            if taken.doorstep.len() >= DOORSTEP {
                drop(taken.doorstep.pop_first());
            }
            taken.ever += 1;
            let (sender, receiver) = oneshot::channel();
            let number = taken.ever;
            taken.doorstep.insert(number, sender);
            At::Doorstep(number, receiver)
        };
        Place { at, taken: Arc::clone(&self.taken) }
    }
}

impl Place {
    /// Whether it is for a question after health alone.
    pub const fn is_doorstep(&self) -> bool {
        matches!(self.at, At::Doorstep(..))
    }

    /// Waits until somebody else has this place on the doorstep; for ever inside.
    pub async fn is_pushed_out(&mut self) {
        match &mut self.at {
            At::Inside(_) => std::future::pending().await,
            At::Doorstep(_, sender_is_gone) => drop(sender_is_gone.await),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        let client = match &self.at {
            At::Inside(client) => client,
            At::Doorstep(number, _) => {
                taken.doorstep.remove(number);
                return;
            }
        };
        taken.places -= 1;
        if let Some(own) = taken.by_client.get_mut(client) {
            *own -= 1;
            if *own == 0 {
                taken.by_client.remove(client);
            }
        }
    }
}

/// Of IPv6 the network, since a machine has many addresses there.
pub(super) fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

fn lock(taken: &Mutex<Taken>) -> std::sync::MutexGuard<'_, Taken> {
    // Plain counts are sound whatever panicked beside them.
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connections beyond all places.
const DOORSTEP: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_client_leaves_a_quarter_to_others_and_all_together_leave_the_doorstep() {
        let places = Places::new(8);
        let from = |text: &str| places.take(text.parse().unwrap());
        let greedy: Vec<_> = (0..7).map(|_| from("10.0.0.1")).collect();
        assert_eq!(greedy.iter().filter(|place| place.is_doorstep()).count(), 1);
        let other = from("10.0.0.2");
        assert!(!other.is_doorstep());
        let network: Vec<_> = (0..2).map(|host| from(&format!("2001:db8::{host}"))).collect();
        assert_eq!(network.iter().filter(|place| place.is_doorstep()).count(), 1, "there are no more places");
        drop((greedy, other, network));
        assert!(!from("10.0.0.1").is_doorstep());
        let taken = lock(&places.taken);
        assert_eq!((taken.places, taken.doorstep.len(), taken.by_client.len()), (0, 0, 0));
    }

    #[tokio::test]
    async fn issue_15_who_comes_to_a_full_doorstep_pushes_out_who_stands_there_longest() {
        let places = Places::new(0);
        let mut crowd: Vec<_> = (0..DOORSTEP + 2).map(|_| places.take([10, 0, 0, 9].into())).collect();
        assert_eq!((lock(&places.taken).doorstep.len(), crowd.iter().all(Place::is_doorstep)), (DOORSTEP, true));
        let is_out = async |place: &mut Place| tokio::time::timeout(Duration::ZERO, place.is_pushed_out()).await.is_ok();
        assert!(is_out(&mut crowd[0]).await && is_out(&mut crowd[1]).await && !is_out(&mut crowd[2]).await);
        // Who was pushed out takes nobody's place with him when he goes.
        drop(crowd.drain(..2));
        assert_eq!(lock(&places.taken).doorstep.len(), DOORSTEP);
        drop(crowd);
        assert_eq!(lock(&places.taken).doorstep.len(), 0);
    }
}
