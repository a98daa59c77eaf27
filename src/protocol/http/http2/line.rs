//! Who waits for a stream, in order.

use std::collections::VecDeque;
use std::task::Waker;

/// A line in which each has a ticket.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: VecDeque<(u64, Waker)>,
    tickets: u64,
}

impl Line {
    /// Whether nobody stands before whoever holds `ticket`, or before somebody who holds none.
    pub(super) fn is_turn_of(&self, ticket: Option<u64>) -> bool {
        self.waiting.front().is_none_or(|(first, _)| Some(*first) == ticket)
    }

    /// Takes a place at the end, or stays in the one that `ticket` is for; its ticket.
    pub(super) fn wait(&mut self, ticket: Option<u64>, waker: &Waker) -> u64 {
        if let Some((number, known)) = self.waiting.iter_mut().find(|(number, _)| Some(*number) == ticket) {
            known.clone_from(waker);
            return *number;
        }
        self.tickets += 1;
        self.waiting.push_back((self.tickets, waker.clone()));
        self.tickets
    }

    pub(super) fn leave(&mut self, ticket: u64) {
        self.waiting.retain(|(number, _)| *number != ticket);
    }

    pub(super) fn first(&self) -> Option<&Waker> {
        self.waiting.front().map(|(_, waker)| waker)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Waker> {
        self.waiting.iter().map(|(_, waker)| waker)
    }
}
