//! The memory that bodies take in one process, all lanes and users together, and its bound.
//!
//! The limit of one body does not bound what thousands of users hold at once. Small bodies are not counted: they are gone at once, and the count would
//! cost each request.

use std::sync::atomic::{AtomicU64, Ordering};

use super::classify::{Failure, FailureKind};

/// What may be held, and what is.
#[derive(Debug)]
pub struct BodyMemory {
    limit: AtomicU64,
    held: AtomicU64,
}

impl BodyMemory {
    const fn new(limit: u64) -> Self {
        Self { limit: AtomicU64::new(limit), held: AtomicU64::new(0) }
    }

    /// That of this process; without a limit until it is told one.
    #[must_use]
    pub fn of_process() -> &'static Self {
        static OF_PROCESS: BodyMemory = BodyMemory::new(u64::MAX);
        &OF_PROCESS
    }

    /// No more than `bytes` may be held.
    pub fn limit_to(&self, bytes: u64) {
        self.limit.store(bytes, Ordering::Relaxed);
    }

    /// One for a test, that nobody else uses.
    #[cfg(test)]
    pub(super) fn of_test(limit: u64) -> &'static Self {
        Box::leak(Box::new(Self::new(limit)))
    }

    /// Bytes that are held, those of small bodies left out.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

/// A part of the memory; given back when dropped.
#[derive(Debug)]
pub struct Lease {
    memory: &'static BodyMemory,
    bytes: u64,
}

impl Lease {
    pub(super) fn new(memory: &'static BodyMemory) -> Self {
        Self { memory, bytes: 0 }
    }

    /// Makes it a lease of `bytes`.
    ///
    /// # Errors
    /// `local`: all lanes' bodies together would pass the limit.
    pub(super) fn resize(&mut self, bytes: u64) -> Result<(), Failure> {
        let more = bytes.saturating_sub(self.bytes);
        let held = self.memory.held.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        let limit = self.memory.limit.load(Ordering::Relaxed);
        if more > 0 && held > limit {
            self.memory.held.fetch_sub(more, Ordering::Relaxed);
            return Err(too_many(limit));
        }
        self.memory.held.fetch_sub(self.bytes.saturating_sub(bytes), Ordering::Relaxed);
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

fn too_many(limit: u64) -> Failure {
    let message = format!(
        "the bodies of all users together would take more than {} MiB, half of the load generator's memory: use `discard`, fewer users a worker, or a lower `--body-limit`",
        limit >> 20
    );
    Failure::new(FailureKind::Local, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_together_stay_below_the_limit_and_give_back_what_they_took() {
        let memory = BodyMemory::of_test(10 << 20);
        let (mut one, mut other) = (Lease::new(memory), Lease::new(memory));
        one.resize(6 << 20).unwrap();
        let failure = other.resize(5 << 20).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Local);
        assert!(failure.message.contains("more than 10 MiB"), "{}", failure.message);
        assert_eq!(memory.held(), 6 << 20);
        one.resize(1 << 20).unwrap();
        other.resize(5 << 20).unwrap();
        assert_eq!(memory.held(), 6 << 20);
        drop((one, other));
        assert_eq!(memory.held(), 0);
    }
}
