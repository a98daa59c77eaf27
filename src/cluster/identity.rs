//! Who may come in: the shared secret and the identity that both sides derive from it.
//!
//! Master and workers hold one secret, so they hold one Ed25519 key pair. Each presents its public key as a raw public key
//! (RFC 7250) and accepts only the key that it derived itself. Raw keys have no names and no dates to go wrong, and what a
//! stranger presents is compared byte by byte before anything parses it. How the keys travel is for `transport`.

use std::fmt;
use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use hkdf::Hkdf;
use hkdf::hmac::{Hmac, KeyInit, Mac};
use rustls::crypto::ring::sign::any_eddsa_type;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use sha2::Sha256;

/// What master and workers share: 32 bytes of key.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    key: [u8; KEY_BYTES],
}

impl Secret {
    /// Reads a secret as people keep it in a variable or a file; white space around it does not count.
    ///
    /// What [`Secret::random_text`] gave is used as it is, and takes neither memory nor time. Any other text of at least 12 characters is
    /// stretched by Argon2id, which takes 19 MiB, given back at once, and about a tenth of a second. Both sides then get the same key from the
    /// same text.
    ///
    /// # Errors
    ///
    /// When the text is shorter, or is a damaged copy of a printed secret.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        if let Some(digits) = text.strip_prefix(PRINTED_PREFIX) {
            return hexadecimal(digits).map(|key| Self { key }).ok_or(SecretError::Damaged { digits: digits.chars().count() });
        }
        let characters = text.chars().count();
        if characters < CHARACTERS_MIN {
            return Err(SecretError::TooShort { characters });
        }
        Ok(Self { key: stretched(text) })
    }

    /// The secret of a cluster that has none, for loopback: a fixed text that everybody knows. It keeps nobody out.
    #[must_use]
    pub fn none() -> Self {
        Self { key: *PUBLIC_KEY }
    }

    /// Whether this is [`Secret::none`].
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.key == *PUBLIC_KEY
    }

    /// A secret to print and to share: 32 bytes from the system's random source.
    #[must_use]
    pub fn random_text() -> String {
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).expect("the system gives random bytes; without them there is no TLS either");
        let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{PRINTED_PREFIX}{digits}")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// Why a text is no secret. Never shows the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Too few characters to stretch.
    #[error("use the secret: it has {characters} characters and needs {CHARACTERS_MIN} or more. `lunamoth secret` prints a good one")]
    TooShort {
        /// How many it has.
        characters: usize,
    },
    /// It begins like a printed secret.
    #[error(
        "use the secret: it begins with `{PRINTED_PREFIX}`, but {} hexadecimal digits do not follow ({digits} characters do): copy it whole",
        KEY_BYTES * 2
    )]
    Damaged {
        /// How many characters follow the prefix.
        digits: usize,
    },
}

/// What one secret gives: the key pair that both sides present, and the keys that survive a master's restart.
#[derive(Clone)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    reset_key: ResetKey,
    connection_id_key: u64,
}

impl Identity {
    /// Derives everything from the secret: the same secret gives the same identity on every machine.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        let mut document = [0; PKCS8_HEAD.len() + KEY_BYTES];
        document[..PKCS8_HEAD.len()].copy_from_slice(&PKCS8_HEAD);
        document[PKCS8_HEAD.len()..].copy_from_slice(&derived::<KEY_BYTES>(secret, b"ed25519 seed"));
        let signing = any_eddsa_type(&PrivatePkcs8KeyDer::from(document.as_slice())).expect("any 32 bytes are an Ed25519 seed");
        let public = signing.public_key().expect("ring knows the public key of an Ed25519 pair").as_ref().to_vec();
        Self {
            key: Arc::new(CertifiedKey::new(vec![CertificateDer::from(public)], signing)),
            reset_key: ResetKey(derived(secret, b"stateless reset")),
            connection_id_key: u64::from_be_bytes(derived(secret, b"connection ids")),
        }
    }

    /// The public key, as a DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        self.key.cert.first().map_or(&[], AsRef::as_ref)
    }

    /// The key pair, as TLS presents it.
    pub(super) fn certified_key(&self) -> Arc<CertifiedKey> {
        self.key.clone()
    }

    /// Signs the tokens by which a restarted master resets old connections.
    pub(super) fn reset_key(&self) -> &ResetKey {
        &self.reset_key
    }

    /// Lets a restarted master know the connection ids that it once gave out.
    pub(super) fn connection_id_key(&self) -> u64 {
        self.connection_id_key
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(hidden)")
    }
}

/// The identities that one side takes part with: its own, and while a secret is changed, the one before.
#[derive(Debug, Clone)]
pub struct Identities {
    /// Presented first, and accepted.
    pub current: Identity,
    /// Accepted too, and presented to a peer that asks for it: one that has not heard of the current one.
    pub previous: Option<Identity>,
}

impl Identities {
    /// The identities of `LUNAMOTH_SECRET` and, where there is one, `LUNAMOTH_SECRET_PREVIOUS`.
    #[must_use]
    pub fn new(current: &Secret, previous: Option<&Secret>) -> Self {
        Self { current: Identity::new(current), previous: previous.map(Identity::new) }
    }

    /// Whether a peer with this public key (DER) may come in, once it has proved that the key is its own.
    #[must_use]
    pub fn accepts(&self, public_key: &[u8]) -> bool {
        // Public keys are no secret, so that the time of the comparison tells nothing.
        std::iter::once(&self.current).chain(&self.previous).any(|identity| identity.public_key() == public_key)
    }
}

/// Signs tokens of stateless resets with HMAC-SHA256.
#[derive(Clone)]
pub(super) struct ResetKey([u8; KEY_BYTES]);

impl ResetKey {
    /// The tag of `message`.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; RESET_TAG_BYTES] {
        self.mac(message).finalize().into_bytes().into()
    }

    /// Whether `tag` is the tag of `message`, in constant time.
    pub(super) fn is_tag_of(&self, message: &[u8], tag: &[u8]) -> bool {
        self.mac(message).verify_slice(tag).is_ok()
    }

    fn mac(&self, message: &[u8]) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(message);
        mac
    }
}

/// Argon2id with 19 MiB, four passes and one lane: twice the passes of OWASP's first recommendation, in memory that a worker of 64 MiB
/// has. The salt is fixed, for both sides must get the same key and have nothing else in common.
fn stretched(text: &str) -> [u8; KEY_BYTES] {
    let cost = Params::new(STRETCH_KIB, STRETCH_PASSES, STRETCH_LANES, Some(KEY_BYTES)).expect("the cost lies within Argon2's bounds");
    let mut key = [0; KEY_BYTES];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, cost)
        .hash_password_into(text.as_bytes(), STRETCH_SALT, &mut key)
        .expect("salt and output lie within Argon2's bounds, and a text does too");
    key
}

/// HKDF-SHA256 of the secret for one purpose.
fn derived<const N: usize>(secret: &Secret, purpose: &[u8]) -> [u8; N] {
    let mut key = [0; N];
    Hkdf::<Sha256>::new(Some(DERIVATION_SALT), &secret.key).expand(purpose, &mut key).expect("HKDF gives up to 8,160 bytes");
    key
}

/// Exactly 64 hexadecimal digits.
fn hexadecimal(digits: &str) -> Option<[u8; KEY_BYTES]> {
    if digits.len() != KEY_BYTES * 2 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = [0; KEY_BYTES];
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(key)
}

const KEY_BYTES: usize = 32;
/// The length of HMAC-SHA256.
pub(super) const RESET_TAG_BYTES: usize = 32;
/// Shortest text that is stretched.
const CHARACTERS_MIN: usize = 12;
/// How a printed secret begins: by it people and programs know one that leaked.
const PRINTED_PREFIX: &str = "lunamoth-secret-";
/// Everybody may know it.
const PUBLIC_KEY: &[u8; KEY_BYTES] = b"lunamoth on loopback: no secret!";
const STRETCH_KIB: u32 = 19 * 1024;
const STRETCH_PASSES: u32 = 4;
const STRETCH_LANES: u32 = 1;
/// Part of the protocol: another salt is another cluster.
const STRETCH_SALT: &[u8] = b"lunamoth cluster secret 2";
const DERIVATION_SALT: &[u8] = b"lunamoth cluster identity 1";
/// A PKCS#8 document of Ed25519 (RFC 8410) up to the seed that ends it.
const PKCS8_HEAD: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_secret_is_used_as_it_is_and_no_two_are_alike() {
        let text = Secret::random_text();
        assert_ne!(text, Secret::random_text());
        let digits = text.strip_prefix(PRINTED_PREFIX).unwrap();
        assert_eq!(Secret::parse(&format!(" {text}\n")).unwrap().key, hexadecimal(digits).unwrap());
    }

    #[test]
    fn a_damaged_copy_of_a_printed_secret_is_told_instead_of_stretched() {
        let text = Secret::random_text();
        assert_eq!(Secret::parse(&text[..text.len() - 1]), Err(SecretError::Damaged { digits: 63 }));
        assert_eq!(Secret::parse(&format!("{text}0")), Err(SecretError::Damaged { digits: 65 }));
        let unlike = format!("{PRINTED_PREFIX}{}", "g".repeat(64));
        assert_eq!(Secret::parse(&unlike), Err(SecretError::Damaged { digits: 64 }));
    }

    #[test]
    fn a_short_text_is_refused_and_a_longer_one_stretched_the_same_each_time() {
        assert_eq!(Secret::parse("elevenchars"), Err(SecretError::TooShort { characters: 11 }));
        assert!(Secret::parse("").unwrap_err().to_string().contains("lunamoth secret"));
        let secret = Secret::parse("twelve chars").unwrap();
        // The key is part of the protocol: a build that stretches otherwise could not join a cluster of this one.
        let key: String = secret.key.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(key, "4afd9e716e092a2154bfd3ab8feff12eeda7f4c21a4eb2abec710e9a670f6b7b");
    }

    #[test]
    fn an_identity_follows_from_the_secret_alone() {
        let secret = Secret::parse(&Secret::random_text()).unwrap();
        let (one, other) = (Identity::new(&secret), Identity::new(&secret));
        assert_eq!(one.public_key(), other.public_key());
        assert_eq!(one.connection_id_key(), other.connection_id_key());
        assert_eq!(one.reset_key().sign(b"id"), other.reset_key().sign(b"id"));
        assert_ne!(one.public_key(), Identity::new(&Secret::none()).public_key());
        assert!(one.reset_key().is_tag_of(b"id", &other.reset_key().sign(b"id")));
        assert!(!one.reset_key().is_tag_of(b"ic", &other.reset_key().sign(b"id")));
    }

    #[test]
    fn the_public_identity_is_the_same_in_every_build() {
        let key: String = Identity::new(&Secret::none()).public_key().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(key, "302a300506032b6570032100403b9d57289badd3046cdc2b37971bd2ef18f405c3934da6439711117aae4161");
    }

    #[test]
    fn the_previous_identity_is_accepted_beside_the_current_one() {
        let [new, old, other] = [(); 3].map(|()| Secret::parse(&Secret::random_text()).unwrap());
        let identities = Identities::new(&new, Some(&old));
        assert!(identities.accepts(Identity::new(&new).public_key()));
        assert!(identities.accepts(Identity::new(&old).public_key()));
        assert!(!identities.accepts(Identity::new(&other).public_key()));
        assert!(!Identities::new(&new, None).accepts(Identity::new(&old).public_key()));
        assert!(!identities.accepts(&[]));
    }

    #[test]
    fn nothing_that_is_printed_for_debugging_shows_a_key() {
        let secret = Secret::none();
        let shown = format!("{secret:?} {:?} {:?}", Identity::new(&secret), Identities::new(&secret, Some(&secret)));
        assert_eq!(shown.matches("hidden").count(), 4);
        assert!(!shown.contains("loopback") && !shown.contains("108, 117"));
    }
}
