//! Whether a worker has stood still for so long that its slots may be others' by now, and until when it does not know.
//!
//! | in | event | goes to |
//! |---|---|---|
//! | any | nothing has happened for [`STANDSTILL`], not even a tick | in doubt |
//! | in doubt | an answer to what was said since, on the link that there was: orders that say otherwise came before it | sure |
//! | in doubt | a welcome on another link | in doubt until orders |
//! | in doubt until orders | orders | sure |
//!
//! As long as it is in doubt, lanes hand nothing out that is due in an open profile, and where no master speaks they go on waiting: an orphan goes on by its
//! plan as long as it knows where it is. Orders alone end no doubt on the old link: they may have lain there
//! while the worker stood still, from before it was given up.

use std::time::Instant;

use crate::load::pulse::STANDSTILL;

/// What a worker knows of its own standstills.
#[derive(Debug, Default)]
pub(super) struct Standstill {
    /// When something happened here last.
    last: Option<Instant>,
    doubt: Option<Doubt>,
}

#[derive(Debug, Clone, Copy)]
struct Doubt {
    since: Instant,
    /// A master has welcomed the worker since, and sends its orders.
    awaits_orders: bool,
}

impl Standstill {
    /// Something happens, and be it that time passes.
    pub fn look(&mut self, now: Instant) {
        let last = self.last.replace(now);
        if last.is_some_and(|last| now.saturating_duration_since(last) >= STANDSTILL) {
            self.doubt = Some(Doubt { since: now, awaits_orders: false });
        }
    }

    /// The master has answered what was said at `asked`.
    pub fn on_answer(&mut self, asked: Instant) {
        self.doubt.take_if(|doubt| !doubt.awaits_orders && asked >= doubt.since);
    }

    /// A master welcomes the worker on another link.
    pub const fn on_welcome(&mut self) {
        if let Some(doubt) = &mut self.doubt {
            doubt.awaits_orders = true;
        }
    }

    /// Orders have come, which end the doubt on another link.
    pub fn on_orders(&mut self) {
        self.doubt.take_if(|doubt| doubt.awaits_orders);
    }

    /// Whether what it owns is its own, as far as anybody can know.
    pub const fn is_sure(&self) -> bool {
        self.doubt.is_none()
    }
}
