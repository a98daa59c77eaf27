//! The scripts that a start may name, as people see them before they start one. Owns that they are looked at off the runtime, one look at a
//! time, and how long what was seen is good for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::planner::{Declined, Planner, ScriptView};

/// What was seen of the scripts. Shared by all who ask.
pub(super) struct Catalogue {
    planner: Arc<dyn Planner>,
    look: Mutex<Look>,
}

impl Catalogue {
    pub(super) fn new(planner: Arc<dyn Planner>) -> Self {
        Self { planner, look: Mutex::default() }
    }

    /// The scripts, the default one first, as they were a few seconds ago at most.
    pub(super) async fn scripts(&self) -> Result<Arc<[ScriptView]>, Declined> {
        let mut look = self.look.lock().await;
        if let Some((seen, scripts)) = &look.seen
            && seen.elapsed() < GOOD_FOR
        {
            return Ok(Arc::clone(scripts));
        }
        // A look that takes too long goes on, and whoever asks next waits for that one: a folder that does not answer takes one thread.
        let looking = look.looking.get_or_insert_with(|| {
            let planner = Arc::clone(&self.planner);
            tokio::task::spawn_blocking(move || planner.scripts().into())
        });
        let done = tokio::time::timeout(LOOK_TIMEOUT, looking).await;
        let Ok(done) = done else {
            return Err(Declined { reason: format!("the scripts were not ready within {} s", LOOK_TIMEOUT.as_secs()) });
        };
        look.looking = None;
        let scripts: Arc<[ScriptView]> = done.map_err(|panic| Declined { reason: format!("a bug of Lunamoth's, in a script: {panic}") })?;
        look.seen = Some((Instant::now(), Arc::clone(&scripts)));
        Ok(scripts)
    }
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Catalogue").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Look {
    seen: Option<(Instant, Arc<[ScriptView]>)>,
    looking: Option<JoinHandle<Arc<[ScriptView]>>>,
}

/// Each look evaluates all scripts, so that many who ask shall not keep the master busy.
const GOOD_FOR: Duration = Duration::from_secs(5);
/// A script is evaluated within seconds, or stopped by its watchdog; this is for a folder that does not answer.
const LOOK_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use crate::cluster::planner::{Planned, ScriptView};
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::plan::StartOrder;

    #[derive(Default)]
    struct Counting {
        looks: AtomicU32,
    }

    impl Planner for Counting {
        fn plan(&self, _order: &StartOrder) -> Result<Planned, String> {
            Err("nothing starts here".into())
        }

        fn scripts(&self) -> Vec<ScriptView> {
            let look = self.looks.fetch_add(1, Ordering::Relaxed);
            assert_ne!(look, 0, "the first look panics");
            vec![ScriptView { name: look.to_string(), ..ScriptView::default() }]
        }
    }

    #[tokio::test]
    async fn all_who_ask_share_one_look_and_a_panic_is_told_once() {
        let catalogue = Catalogue::new(Arc::new(Counting::default()));
        assert!(catalogue.scripts().await.unwrap_err().reason.contains("a bug of Lunamoth's"));
        let (a, b) = tokio::join!(catalogue.scripts(), catalogue.scripts());
        assert_eq!(a.unwrap()[0].name, "1");
        assert_eq!(b.unwrap()[0].name, "1");
    }
}
