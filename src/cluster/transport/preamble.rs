//! The first 16 bytes of a link in each direction, the same in every version for ever, so that any two versions can at least
//! refuse each other politely: the magic, the protocol's version (big endian), and six bytes kept for later, which are sent
//! as zero and not looked at.

use crate::stats::phases::PHASES;
use crate::stats::times::TIMES;

/// The version of everything that follows the preamble: frames, messages, their encoding. Versions do not mix. Its last two digits are the
/// number of phases and times, so that who adds one need not think of it.
pub const PROTOCOL_VERSION: u16 = LAYOUT * 100 + (PHASES.len() + TIMES.len()) as u16;

/// Raised with every other change.
const LAYOUT: u16 = 15;

/// The preamble of a version.
pub(super) fn preamble(version: u16) -> [u8; PREAMBLE_BYTES] {
    let mut bytes = [0; PREAMBLE_BYTES];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[MAGIC.len()..MAGIC.len() + 2].copy_from_slice(&version.to_be_bytes());
    bytes
}

/// The version that a preamble names; nothing when it is none.
pub(super) fn version_of(bytes: &[u8; PREAMBLE_BYTES]) -> Option<u16> {
    let version = bytes.strip_prefix(MAGIC)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*version))
}

/// Its length.
pub(super) const PREAMBLE_BYTES: usize = 16;
const MAGIC: &[u8; 8] = b"LUNAMOTH";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preamble_has_the_bytes_that_every_version_knows() {
        assert_eq!(&preamble(0x0102), b"LUNAMOTH\x01\x02\0\0\0\0\0\0");
    }

    #[test]
    fn a_version_is_read_whatever_the_bytes_kept_for_later_say() {
        assert_eq!(version_of(b"LUNAMOTH\x00\x07abcdef"), Some(7));
        assert_eq!(version_of(b"LUNAMOTM\x00\x07\0\0\0\0\0\0"), None);
        assert_eq!(version_of(&[0; PREAMBLE_BYTES]), None);
    }
}
