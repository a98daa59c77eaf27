//! How many connections there may be, and whose: one client must not shut the others out, and nobody the probes.
//!
//! A client has three quarters of all places at most. Beyond the places there is a doorstep, for connections that ask after health alone and
//! are gone at once: an orchestrator that hears nothing would end a master that only has many visitors.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// The places of a server.
#[derive(Debug, Clone)]
pub(super) struct Places {
    most: usize,
    taken: Arc<Mutex<Taken>>,
}

/// Taken until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    /// `None` on the doorstep.
    client: Option<IpAddr>,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    by_client: HashMap<IpAddr, usize>,
    places: usize,
    doorstep: usize,
}

impl Places {
    pub fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// A place for a connection from this address; `None` where not even the doorstep has one.
    pub fn take(&self, from: IpAddr) -> Option<Place> {
        let client = client(from);
        let mut taken = lock(&self.taken);
        let own = taken.by_client.get(&client).copied().unwrap_or(0);
        let has_room = taken.places < self.most && own < (self.most * 3).div_ceil(4);
        if has_room {
            taken.places += 1;
            taken.by_client.insert(client, own + 1);
        } else if taken.doorstep < DOORSTEP {
            taken.doorstep += 1;
        } else {
            return None;
        }
        Some(Place { client: has_room.then_some(client), taken: Arc::clone(&self.taken) })
    }
}

impl Place {
    /// Whether it is for a question after health alone.
    pub const fn is_doorstep(&self) -> bool {
        self.client.is_none()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        let Some(client) = self.client else {
            taken.doorstep -= 1;
            return;
        };
        taken.places -= 1;
        if let Some(own) = taken.by_client.get_mut(&client) {
            *own -= 1;
            if *own == 0 {
                taken.by_client.remove(&client);
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
    // Three plain counts are sound whatever panicked beside them.
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connections beyond all places.
const DOORSTEP: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_leaves_a_quarter_to_others_and_all_together_leave_the_doorstep() {
        let places = Places::new(8);
        let from = |text: &str| places.take(text.parse().unwrap());
        let greedy: Vec<_> = (0..7).map(|_| from("10.0.0.1").unwrap()).collect();
        assert_eq!(greedy.iter().filter(|place| place.is_doorstep()).count(), 1);
        let other = from("10.0.0.2").unwrap();
        assert!(!other.is_doorstep());
        let network: Vec<_> = (0..2).map(|host| from(&format!("2001:db8::{host}")).unwrap()).collect();
        assert_eq!(network.iter().filter(|place| place.is_doorstep()).count(), 1, "there are no more places");
        let crowd: Vec<_> = std::iter::from_fn(|| from("10.0.0.9")).collect();
        assert_eq!((crowd.len(), crowd.iter().all(Place::is_doorstep)), (DOORSTEP - 2, true));
        drop((greedy, other, network, crowd));
        assert!(!from("10.0.0.1").unwrap().is_doorstep());
        let taken = lock(&places.taken);
        assert_eq!((taken.places, taken.doorstep, taken.by_client.len()), (0, 0, 0));
    }
}
