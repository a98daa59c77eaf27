//! The first 16 bytes of a link in each direction, the same in every version for ever, so that any two versions can at least
//! refuse each other politely: the magic, the protocol's version (big endian), and six bytes that tell masters apart, zero
//! from a worker.

use crate::stats::phases::PHASES;
use crate::stats::times::TIMES;

/// The version of everything that follows the preamble: frames, messages, their encoding. Versions do not mix. Its last two digits are the
/// number of phases and times, so that who adds one need not think of it.
pub const PROTOCOL_VERSION: u16 = LAYOUT * 100 + (PHASES.len() + TIMES.len()) as u16;

/// Raised with every other change.
const LAYOUT: u16 = 24;

/// Which master speaks, drawn anew by each that begins to listen; zero is none. Of two masters behind one name the smaller one stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instance([u8; 6]);

impl Instance {
    /// Drawn at random: no other process has it.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 6];
        getrandom::fill(&mut bytes).expect("the system gives random bytes; without them there is no TLS either");
        Self(bytes)
    }
}

/// The preamble of a version.
pub(super) fn preamble(version: u16, instance: Instance) -> [u8; PREAMBLE_BYTES] {
    let mut bytes = [0; PREAMBLE_BYTES];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[MAGIC.len()..MAGIC.len() + 2].copy_from_slice(&version.to_be_bytes());
    bytes[MAGIC.len() + 2..].copy_from_slice(&instance.0);
    bytes
}

/// The version that a preamble names; nothing when it is none.
pub(super) fn version_of(bytes: &[u8; PREAMBLE_BYTES]) -> Option<u16> {
    let version = bytes.strip_prefix(MAGIC)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*version))
}

/// Who speaks, of a preamble that has a version.
pub(super) fn instance_of(bytes: &[u8; PREAMBLE_BYTES]) -> Instance {
    Instance(*bytes.last_chunk().expect("a preamble is longer than that"))
}

pub(super) const PREAMBLE_BYTES: usize = 16;
const MAGIC: &[u8; 8] = b"LUNAMOTH";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preamble_has_the_bytes_that_every_version_knows() {
        assert_eq!(&preamble(0x0102, Instance::default()), b"LUNAMOTH\x01\x02\0\0\0\0\0\0");
        let bytes = preamble(7, Instance(*b"abcdef"));
        assert_eq!((&bytes, instance_of(&bytes)), (b"LUNAMOTH\0\x07abcdef", Instance(*b"abcdef")));
    }

    #[test]
    fn a_version_is_read_whatever_the_bytes_kept_for_later_say() {
        assert_eq!(version_of(b"LUNAMOTH\x00\x07abcdef"), Some(7));
        assert_eq!(version_of(b"LUNAMOTM\x00\x07\0\0\0\0\0\0"), None);
        assert_eq!(version_of(&[0; PREAMBLE_BYTES]), None);
    }
}
