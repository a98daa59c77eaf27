//! Whether a master is alone: it asks, as a worker would, whether another one answers at a name that leads to all of them.
//!
//! Two masters behind one service would share the workers between them. Owns the question alone; what follows from the answer is `app`'s.

use std::time::Duration;

use tokio::task::JoinSet;

use super::identity::Identities;
use super::transport::{DialError, TransportError, WorkerEndpoint};

/// Whether a master answers at `host` (`HOST:PORT`). To be asked before the own one listens, so that it does not hear itself. A name that is
/// not known, and silence, are answered no. Must be called within a runtime.
///
/// # Errors
/// There is no UDP port to be had.
pub async fn another_answers(identities: &Identities, host: &str) -> Result<bool, TransportError> {
    let mut dials = JoinSet::new();
    for _ in 0..DIALS {
        // An endpoint has a port of its own, and behind a service each port may be led to another master.
        let (endpoint, host) = (WorkerEndpoint::new(identities)?, host.to_owned());
        dials.spawn(async move {
            let dialled = endpoint.dial_within(&host, PATIENCE).await;
            // One of another secret or version is a master, too.
            let answers =
                matches!(dialled, Ok(_) | Err(DialError::WrongVersion { .. } | DialError::WrongSecret { .. } | DialError::Refused { .. }));
            endpoint.close("a master looked whether it is alone").await;
            answers
        });
    }
    while let Some(answers) = dials.join_next().await {
        // A dial that panicked has not heard anybody.
        if answers.unwrap_or(false) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Of two masters one is missed by all of them once in 256 times.
const DIALS: usize = 8;
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
}
