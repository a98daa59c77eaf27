//! The scripts that lie on the master and on its workers: who has which one, whose do not compile, and what people are told of it.

use super::super::message::Scripts;
use super::Master;
use super::action::Action;
use super::peers::{Arrival, Peer, PeerNumber, Presence};

impl Master {
    /// What the master's own folder holds, at its start and whenever that changes. The caller logs it.
    pub fn on_own_scripts(&mut self, scripts: Scripts) {
        self.scripts = scripts;
    }

    /// A worker's folder has changed.
    pub(super) fn on_scripts(&mut self, number: PeerNumber, scripts: Scripts, out: &mut Vec<Action>) {
        let peer = self.peers.get_mut(number);
        let host = peer.hello.worker.host.clone();
        let Scripts { script, fingerprint, error } = scripts;
        let is_other = (&peer.hello.script, &peer.hello.fingerprint) != (&script, &fingerprint);
        let had_error = peer.script_error.is_some();
        let lacked_script = peer.lacks_script();
        (peer.hello.script, peer.hello.fingerprint) = (script, fingerprint);
        if peer.script_error == error {
            if is_other && error.is_none() {
                out.push(Action::Log(log::Level::Info, has_scripts(&host, peer)));
            }
            return;
        }
        peer.script_error = error;
        if lacked_script && !peer.lacks_script() {
            return self.log_arrival(number, Arrival::New, out);
        }
        let (level, text) = match &peer.script_error {
            Some(error) if peer.lacks_script() => (log::Level::Error, format!("{host} has no script that it could run: {error}")),
            Some(error) => {
                (log::Level::Error, format!("{host} keeps the script that it has, for what its folder holds cannot be used: {error}"))
            }
            None if had_error || is_other => (log::Level::Info, has_scripts(&host, peer)),
            None => return,
        };
        out.push(Action::Log(level, text));
    }

    /// The worker has another version of the script that the next start runs. Nothing where that cannot be told before a start: they mean
    /// different files, or leave open which one.
    pub(super) fn differs(&self, peer: &Peer) -> bool {
        let (own, theirs) = (&self.scripts, &peer.hello);
        let can_be_told = !own.fingerprint.is_empty() && !theirs.fingerprint.is_empty() && own.script == theirs.script;
        can_be_told && own.fingerprint != theirs.fingerprint && !self.config.allows_skew
    }

    /// What people must know of folders that do not compile; a line or two, however many workers there are.
    pub(super) fn script_warnings(&self) -> Vec<String> {
        let own = self.scripts.error.as_ref().map(|error| format!("no run can start as the scripts on the master are: {error}"));
        let behind = self.run.as_ref().map(|run| run.revision_warnings(&self.peers)).unwrap_or_default();
        let mut broken = self.peers.iter().filter(|(_, peer)| peer.presence == Presence::Here).filter_map(|(_, peer)| {
            let error = peer.script_error.as_ref()?;
            let keeps = if peer.lacks_script() { "so that it makes no load" } else { "and it keeps those that it has" };
            Some(format!("the scripts on {} cannot be used, {keeps}: {error}", peer.hello.worker.host))
        });
        let first = broken.next();
        let others = broken.count();
        let theirs = first.map(|first| if others == 0 { first } else { format!("{first} (and on {others} more workers)") });
        own.into_iter().chain(theirs).chain(behind).collect()
    }
}

fn has_scripts(host: &str, peer: &Peer) -> String {
    let (script, fingerprint) = (&peer.hello.script, &peer.hello.fingerprint);
    if script.is_empty() {
        return format!("{host} has scripts of which each start has to name one");
    }
    format!("{host} has the script {script} as of {}", fingerprint.get(..SHORT_DIGITS).unwrap_or(fingerprint))
}

/// As many digits of a fingerprint as other lines of the log show.
const SHORT_DIGITS: usize = 12;
