//! Keys: whose may come in, and what they may do; and the one by which clients know this server.

use std::path::{Path, PathBuf};

use russh::keys::ssh_key::authorized_keys::{AuthorizedKeys, Entry};
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::ssh_key::{LineEnding, PublicKey};
use russh::keys::{HashAlg, PrivateKey};

/// The private key of the server.
#[derive(Clone)]
pub struct HostKey(pub(super) PrivateKey);

impl std::fmt::Debug for HostKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("HostKey").field(&self.fingerprint()).finish()
    }
}

impl HostKey {
    /// As `ssh-keygen -l` shows it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }
}

/// Why the server cannot be opened.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it all")]
pub enum SshError {
    #[error("cannot read the ssh host key `{}`: {reason}", path.display())]
    HostKey { path: PathBuf, reason: String },
    #[error("cannot keep an ssh host key in `{}`: {reason}", path.display())]
    Keep { path: PathBuf, reason: String },
    #[error("cannot read the ssh keys in `{}`: {source}", path.display())]
    Authorized { path: PathBuf, source: std::io::Error },
    #[error("cannot listen for ssh at {address}: {source}")]
    Listen { address: std::net::SocketAddr, source: std::io::Error },
    #[error("cannot start the ssh server: {0}")]
    Thread(std::io::Error),
}

/// The host key of `named`; else the one that is kept in `state`, or one made of `seed` and kept there; else one that lasts as long as this
/// process.
///
/// # Errors
/// A file cannot be read or written.
pub fn host_key(named: Option<&Path>, state: Option<&Path>, seed: &[u8; 32]) -> Result<HostKey, SshError> {
    let load = |path: &Path| {
        russh::keys::load_secret_key(path, None)
            .map(HostKey)
            .map_err(|error| SshError::HostKey { path: path.to_owned(), reason: error.to_string() })
    };
    if let Some(path) = named {
        return load(path);
    }
    let kept = state.map(|state| state.join(FILE));
    if let Some(path) = kept.as_ref().filter(|path| path.exists()) {
        return load(path);
    }
    let key = PrivateKey::from(Ed25519Keypair::from_seed(seed));
    if let Some(path) = kept {
        // It writes a file that its owner alone can read.
        key.write_openssh_file(&path, LineEnding::LF).map_err(|error| SshError::Keep { path, reason: error.to_string() })?;
    }
    Ok(HostKey(key))
}

/// Who has come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guest {
    /// The key's comment, or its fingerprint.
    pub(super) name: String,
    pub(super) is_read_only: bool,
}

/// Whose key it is, by the file's text as it is now; none may not come in.
pub(super) fn guest(authorized: &str, key: &PublicKey) -> Option<Guest> {
    // A line that cannot be read lets nobody in, and keeps nobody else out.
    authorized.lines().filter_map(entry).find_map(|entry| {
        if entry.public_key().key_data() != key.key_data() {
            return None;
        }
        let mut is_read_only = false;
        for option in entry.config_opts().iter() {
            match option.to_ascii_lowercase().as_str() {
                "command=\"view\"" | "lunamoth-view" => is_read_only = true,
                // These take away what nobody has here.
                "restrict" | "no-pty" | "no-port-forwarding" | "no-agent-forwarding" | "no-x11-forwarding" | "no-user-rc" | "pty" => {}
                // Whoever has set other limits must not find them passed over.
                _ => return None,
            }
        }
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let comment = entry.public_key().comment().to_string();
        let name = if matches!(comment.trim(), "" | NO_COMMENT) { fingerprint } else { format!("{} ({fingerprint})", comment.trim()) };
        Some(Guest { name, is_read_only })
    })
}

fn entry(line: &str) -> Option<Entry> {
    let read = |line: &str| AuthorizedKeys::new(line).next()?.ok();
    // The reader knows options only where a comment follows the key.
    read(line).or_else(|| read(&format!("{} {NO_COMMENT}", line.trim_end())))
}

const NO_COMMENT: &str = "-";

/// Of the key in the folder of `--state`.
const FILE: &str = "ssh_host_key";

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> PublicKey {
        PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32])).public_key().clone()
    }

    #[test]
    fn keys_come_in_with_what_their_options_say() {
        let line = |seed| key(seed).to_openssh().unwrap();
        let file = format!(
            "# people\n\n{} anna@example\ncommand=\"view\" {}\nlunamoth-view {}\nbroken line\ncommand=\"/bin/sh\" {}\nfrom=\"10.0.0.1\" {}\n{}\n",
            line(1),
            line(2),
            line(3),
            line(4),
            line(5),
            line(6)
        );
        let found: Vec<Option<bool>> = (1..=7).map(|seed| guest(&file, &key(seed)).map(|guest| guest.is_read_only)).collect();
        assert_eq!(found, [Some(false), Some(true), Some(true), None, None, Some(false), None]);
        assert!(guest(&file, &key(1)).unwrap().name.starts_with("anna@example (SHA256:"));
        assert!(guest(&file, &key(6)).unwrap().name.starts_with("SHA256:"));
    }

    #[test]
    fn a_host_key_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let made = host_key(None, Some(folder.path()), &[1; 32]).unwrap().fingerprint();
        let kept = host_key(None, Some(folder.path()), &[2; 32]).unwrap().fingerprint();
        assert_eq!(made, kept);
        let named = folder.path().join(FILE);
        assert_eq!(host_key(Some(&named), None, &[3; 32]).unwrap().fingerprint(), made);
        assert!(host_key(Some(&folder.path().join("none")), None, &[3; 32]).is_err());
    }
}
