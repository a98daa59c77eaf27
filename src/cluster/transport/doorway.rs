//! How many peers may stand in the door: attempts that have shown their address and not yet proved themselves.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts who stands in it, over all and by network, so that one network cannot fill it.
#[derive(Debug)]
pub(super) struct Doorway {
    places: usize,
    /// Of one IPv4 address, or of one /64 of IPv6, which is what one host can have.
    places_of_network: usize,
    standing: Mutex<HashMap<IpAddr, usize>>,
}

impl Doorway {
    pub(super) fn new(places: usize, places_of_network: usize) -> Arc<Self> {
        Arc::new(Self { places, places_of_network, standing: Mutex::default() })
    }

    /// A place for a peer at this address; nothing when there is none.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let network = network(address);
        let mut standing = self.standing();
        let (all, here) = (standing.values().sum::<usize>(), standing.get(&network).copied().unwrap_or(0));
        if all >= self.places || here >= self.places_of_network {
            return None;
        }
        standing.insert(network, here + 1);
        Some(Place { doorway: self.clone(), network })
    }

    fn leave(&self, network: IpAddr) {
        let mut standing = self.standing();
        if let Some(here) = standing.get_mut(&network) {
            *here -= 1;
            if *here == 0 {
                standing.remove(&network);
            }
        }
    }

    fn standing(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the doorway, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    doorway: Arc<Doorway>,
    network: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.doorway.leave(self.network);
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_network_cannot_fill_the_doorway() {
        let doorway = Doorway::new(3, 2);
        let [one, two] = ["2001:db8::1", "::ffff:192.0.2.1"].map(address);
        let held = [doorway.enter(one).unwrap(), doorway.enter(address("2001:db8::2")).unwrap()];
        assert!(doorway.enter(address("2001:db8::3")).is_none());
        let _other = doorway.enter(two).unwrap();
        assert!(doorway.enter(address("192.0.2.9")).is_none(), "all three places are taken");
        drop(held);
        assert!(doorway.enter(one).is_some());
    }

    #[test]
    fn who_has_left_is_forgotten() {
        let doorway = Doorway::new(10, 10);
        for last in 0..=255 {
            drop(doorway.enter(IpAddr::from([192, 0, 2, last])).unwrap());
        }
        assert!(doorway.standing().is_empty());
    }
}
