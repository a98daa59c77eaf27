//! Whether a master is alone: it asks, as a worker would, who answers at a name that leads to all of them.
//!
//! Two masters behind one service would share the workers between them. Owns the questions alone; what follows from the answers is `app`'s.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::identity::Identities;
use super::transport::{DialError, Instance, TransportError, WorkerEndpoint};

/// Whether a master answers at `host` (`HOST:PORT`). To be asked before the own one listens, so that it does not hear itself. A name that is
/// not known, and silence, are answered no. Must be called within a runtime.
///
/// # Errors
/// There is no UDP port to be had.
pub async fn another_answers(identities: &Identities, host: &str) -> Result<bool, TransportError> {
    Ok(!answers(identities, host).await?.is_empty())
}

/// Whether a master answers at `host` that has an older claim than `own`, which listens there, too: of masters that began at the same moment,
/// so that none has heard another, one stays. Those of another secret or version do not count; they cannot be told from each other.
///
/// # Errors
/// As [`another_answers`].
pub async fn another_has_the_older_claim(identities: &Identities, host: &str, own: Instance) -> Result<bool, TransportError> {
    Ok(answers(identities, host).await?.into_iter().flatten().any(|other| other < own))
}

/// Which masters answered, once for each dial; one that let nobody in is nameless.
async fn answers(identities: &Identities, host: &str) -> Result<Vec<Option<Instance>>, TransportError> {
    // A name may have an address for each master (a headless service), or one that leads to any of them.
    let addresses: Vec<SocketAddr> = match timeout(PATIENCE, lookup_host(host)).await {
        Ok(Ok(found)) => found.take(ADDRESSES_MAX).collect(),
        // Nobody is known by that name, or nobody knows it in time.
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    let mut dials = JoinSet::new();
    for address in addresses.iter().cycle().take(if addresses.is_empty() { 0 } else { DIALS.max(addresses.len()) }) {
        // An endpoint has a port of its own, and behind a service each port may be led to another master.
        let (endpoint, host) = (WorkerEndpoint::new(identities)?, address.to_string());
        dials.spawn(async move {
            let answer = match endpoint.dial_within(&host, PATIENCE).await {
                Ok(link) => Some(Some(link.instance)),
                // One of another secret or version is a master, too.
                Err(DialError::WrongVersion { .. } | DialError::WrongSecret { .. } | DialError::Refused { .. }) => Some(None),
                Err(_) => None,
            };
            endpoint.close("a master looked whether it is alone").await;
            answer
        });
    }
    // A dial that panicked has not heard anybody.
    Ok(dials.join_all().await.into_iter().flatten().collect())
}

/// Of two masters one is missed by all of them once in 256 times.
const DIALS: usize = 8;
const ADDRESSES_MAX: usize = 64;
const PATIENCE: Duration = Duration::from_millis(800);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::identity::Secret;
    use crate::cluster::transport::MasterEndpoint;

    #[tokio::test]
    async fn a_master_hears_whether_another_one_is_there() {
        let identities = Identities::new(&Secret::none(), None);
        let endpoint = MasterEndpoint::bind(([127, 0, 0, 1], 0).into(), &identities).unwrap();
        let host = endpoint.local_address().to_string();
        assert!(another_answers(&identities, &host).await.unwrap());
        let other = Identities::new(&Secret::parse(&Secret::random_text()).unwrap(), None);
        assert!(another_answers(&other, &host).await.unwrap(), "one of another secret is no less a master");
        endpoint.close("over").await;
        assert!(!another_answers(&identities, &host).await.unwrap());
        assert!(!another_answers(&identities, "no-such-name.invalid:5557").await.unwrap());
    }

    #[tokio::test]
    async fn of_two_masters_that_began_at_once_one_gives_way() {
        let identities = Identities::new(&Secret::none(), None);
        let [one, two] = [(); 2].map(|()| MasterEndpoint::bind(([127, 0, 0, 1], 0).into(), &identities).unwrap());
        let gives_way = async |own: &MasterEndpoint, asked: &MasterEndpoint| {
            another_has_the_older_claim(&identities, &asked.local_address().to_string(), own.instance()).await.unwrap()
        };
        assert!(!gives_way(&one, &one).await, "it knows itself");
        assert_ne!(gives_way(&one, &two).await, gives_way(&two, &one).await);
    }
}
