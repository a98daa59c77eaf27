//! The doorstep: places of connections that have not logged in yet. Decides who has one, and who gives it up where all are taken.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The places, and who has them.
#[derive(Debug)]
pub(super) struct Doorstep {
    places: usize,
    /// The one that has been here longest stands first.
    strangers: Mutex<Vec<Stranger>>,
}

#[derive(Debug)]
struct Stranger {
    since: Instant,
    sent_away: Arc<Notify>,
}

/// A place at the doorstep, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    doorstep: Arc<Doorstep>,
    sent_away: Arc<Notify>,
}

impl Doorstep {
    /// So many places, all free.
    pub(super) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self { places, strangers: Mutex::new(Vec::new()) })
    }

    /// A place, where one is free or somebody has had one for [`PATIENCE`]: a login is over in less, and who says nothing makes room.
    pub(super) fn enter(self: &Arc<Self>, now: Instant) -> Option<Place> {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if strangers.len() >= self.places {
            if now.saturating_duration_since(strangers.first()?.since) < PATIENCE {
                return None;
            }
            strangers.remove(0).sent_away.notify_one();
        }
        let sent_away = Arc::new(Notify::new());
        strangers.push(Stranger { since: now, sent_away: Arc::clone(&sent_away) });
        Some(Place { doorstep: Arc::clone(self), sent_away })
    }
}

impl Place {
    /// Returns once somebody else needs the place.
    pub(super) async fn sent_away(&self) {
        self.sent_away.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut strangers = self.doorstep.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        strangers.retain(|stranger| !Arc::ptr_eq(&stranger.sent_away, &self.sent_away));
    }
}

/// A login takes two round trips and some processor time; who types a passphrase meanwhile is sent away only where all places are taken.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_has_been_here_longest_makes_room_for_somebody_new() {
        let doorstep = Doorstep::new(2);
        let begin = Instant::now();
        let (silent, other) = (doorstep.enter(begin).unwrap(), doorstep.enter(begin + PATIENCE / 2).unwrap());
        assert!(doorstep.enter(begin + PATIENCE / 2).is_none(), "all places are taken by logins that may be under way");
        let new = doorstep.enter(begin + PATIENCE).unwrap();
        silent.sent_away().await;
        drop(silent);
        assert!(doorstep.enter(begin + PATIENCE).is_none());
        let patient = tokio::time::timeout(Duration::from_secs(60), other.sent_away()).await;
        assert!(patient.is_err(), "the other one stays");
        drop((other, new));
        assert!(doorstep.enter(begin + PATIENCE).is_some());
    }
}
