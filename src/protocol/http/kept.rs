//! Bytes of a body, and their part of the memory.

use super::classify::Failure;
use super::memory::{BodyMemory, Lease};

/// Bytes of a body, and their part of the memory.
#[derive(Debug, Default)]
pub struct Kept {
    /// The bytes, which count until they are dropped.
    pub bytes: Vec<u8>,
    /// Given back with the bytes.
    pub lease: Option<Lease>,
}

/// Makes room for `more` bytes in `bytes`, half as much again as there is, so that a body is not copied for each piece; leases what is not small.
pub(super) fn make_room(bytes: &mut Vec<u8>, more: usize, limit: u64, lease: &mut Option<Lease>) -> Result<(), Failure> {
    let needed = bytes.len() + more;
    if needed <= bytes.capacity() {
        return Ok(());
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let wanted = needed.max(bytes.capacity().saturating_add(bytes.capacity() / 2).min(limit));
    if wanted > UNCOUNTED_BYTES {
        lease.get_or_insert_with(|| Lease::new(BodyMemory::of_process())).resize(wanted as u64)?;
    }
    bytes.reserve_exact(wanted - bytes.len());
    Ok(())
}

/// Bodies up to this size are not counted; 5,000 of them at a time are 320 MiB. A server that promises a larger one gets no larger buffer before it has
/// sent so much.
pub(super) const UNCOUNTED_BYTES: usize = 64 * 1024;
