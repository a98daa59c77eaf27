//! Feeds a screen from a master in the same process: snapshots, logs and answers, and what is wished goes to its handle.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use super::feed::{Ask, Event, Feed, FeedEnd, LogEntry, Order};
use super::state::Door;
use crate::cluster::handle::{Accepted, MasterHandle};
use crate::cluster::planner::Declined;
use crate::front::snapshot_json::{EntryDetailJson, PointJson, SnapshotJson};
use crate::plan::{Purpose, Rate, StartOrder};
use crate::stats::snapshot::{RunState, Snapshot};

/// What all screens of a process share.
#[derive(Clone)]
pub struct LocalFeed {
    /// By which screens see and command the run.
    pub handle: MasterHandle,
    /// Reads what this room may not name.
    pub reader: Reader,
    /// The newest view as JSON's structures, made once for all screens.
    latest: Arc<Mutex<Option<Latest>>>,
}

/// A snapshot, and what screens are drawn from.
type Latest = (Arc<Snapshot>, Arc<SnapshotJson>);

/// What a screen needs of the settings and of the folder of scripts.
#[derive(Clone)]
pub struct Reader {
    /// Reads a run time, as the command line does; the error is for people.
    pub run_time: fn(&str) -> Result<Duration, String>,
    /// Reads a rate of iterations, as the command line does; the error is for people.
    pub rate: fn(&str) -> Result<Rate, String>,
    /// The scripts that a start may name; the default one first.
    pub scripts: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
}

impl LocalFeed {
    /// Feeds from this master.
    #[must_use]
    pub fn new(handle: MasterHandle, reader: Reader) -> Self {
        Self { handle, reader, latest: Arc::default() }
    }

    fn json(&self, snapshot: &Arc<Snapshot>) -> Arc<SnapshotJson> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*latest {
            Some((known, json)) if Arc::ptr_eq(known, snapshot) => Arc::clone(json),
            _ => {
                let json = Arc::new(SnapshotJson::from(&**snapshot));
                *latest = Some((Arc::clone(snapshot), Arc::clone(&json)));
                json
            }
        }
    }

    async fn serve(self, mut end: FeedEnd, by: String, ends_with_run: bool) {
        let mut snapshots = self.handle.snapshots();
        snapshots.mark_changed();
        let logs = self.handle.logs().clone();
        let mut lines = logs.watch();
        lines.mark_changed();
        let mut told = 0;
        loop {
            tokio::select! {
                changed = snapshots.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let snapshot = snapshots.borrow_and_update().clone();
                    if end.events.send(Event::Snapshot(self.json(&snapshot))).await.is_err() {
                        return;
                    }
                    if ends_with_run && snapshot.state == RunState::Stopped {
                        return;
                    }
                }
                Ok(()) = lines.changed() => {
                    lines.borrow_and_update();
                    let page = logs.after(told, usize::MAX);
                    told = page.newest;
                    let entries: Vec<_> = page.lines.iter().map(|line| LogEntry::from(&**line)).collect();
                    if !entries.is_empty() && end.events.send(Event::Logs(entries)).await.is_err() {
                        return;
                    }
                }
                ask = end.asks.recv() => match ask {
                    Some(ask) => self.on_ask(ask, &end.events, &by),
                    None => return,
                },
            }
        }
    }

    /// Answers on a task of its own: the master may take its time.
    fn on_ask(&self, ask: Ask, events: &mpsc::Sender<Event>, by: &str) {
        let (feed, events, by) = (self.clone(), events.clone(), by.to_owned());
        drop(tokio::spawn(async move {
            let event = match ask {
                Ask::History => feed.history(),
                Ask::Detail { method, name } => match feed.detail(&method, &name) {
                    Some(detail) => Event::Detail(Box::new(detail)),
                    None => return,
                },
                Ask::Scripts => {
                    let scripts = Arc::clone(&feed.reader.scripts);
                    Event::Scripts(tokio::task::spawn_blocking(move || scripts()).await.unwrap_or_default())
                }
                ask => Event::Answered(feed.steer(ask, &by).await),
            };
            // The screen may have been left meanwhile.
            drop(events.send(event).await);
        }));
    }

    fn history(&self) -> Event {
        let snapshot = self.handle.snapshots().borrow().clone();
        let points = snapshot.history.iter().map(PointJson::from).collect();
        Event::History { run: self.json(&snapshot).run.clone(), points }
    }

    fn detail(&self, method: &str, name: &str) -> Option<EntryDetailJson> {
        let snapshot = self.handle.snapshots().borrow().clone();
        if method.is_empty() && name.is_empty() {
            return Some(EntryDetailJson::new(self.json(&snapshot).run.clone(), &snapshot.total, Some(&snapshot.phases)));
        }
        let entry = snapshot.entries.iter().find(|entry| *entry.method == *method && *entry.name == *name)?;
        Some(EntryDetailJson::new(self.json(&snapshot).run.clone(), entry, None))
    }

    async fn steer(&self, ask: Ask, by: &str) -> Result<String, String> {
        let handle = &self.handle;
        let words = |accepted: Accepted, otherwise: &str| if accepted.words.is_empty() { otherwise.to_owned() } else { accepted.words };
        let reason = |declined: Declined| declined.reason;
        match ask {
            Ask::Start(order) => {
                let order = self.order(order, Purpose::NewRun)?;
                handle.start(order, by).await.map(|accepted| words(accepted, "the run begins")).map_err(reason)
            }
            Ask::Retarget(order) => {
                let order = self.order(order, Purpose::Retarget)?;
                handle.start(order, by).await.map(|accepted| words(accepted, "it is on its way")).map_err(reason)
            }
            Ask::Stop => handle.stop(by).await.map(|accepted| words(accepted, "stopping: users finish what they do")).map_err(reason),
            Ask::Reset => handle.reset(by).await.map(|accepted| words(accepted, "the statistics begin anew")).map_err(reason),
            Ask::Pause => handle.pause(by).await.map(|_| "paused: no iteration begins".to_owned()).map_err(reason),
            Ask::Resume => handle.resume(by).await.map(|_| "the run goes on".to_owned()).map_err(reason),
            Ask::History | Ask::Detail { .. } | Ask::Scripts => Err("nothing to steer".to_owned()),
        }
    }

    fn order(&self, order: Order, purpose: Purpose) -> Result<StartOrder, String> {
        let Order { users, rate, profile, spawn_rate, run_time, host, script } = order;
        let run_time = run_time.map(|text| (self.reader.run_time)(&text)).transpose()?;
        let rate = rate.map(|text| (self.reader.rate)(&text)).transpose()?;
        Ok(StartOrder { profile, users, spawn_rate, rate, run_time, host, script, purpose, ..StartOrder::default() })
    }
}

impl std::fmt::Debug for LocalFeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalFeed").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

/// A feed from the master of this process, served by a task of the current runtime. `by` is who wishes, for the log.
#[must_use]
pub fn feed_of(local: &LocalFeed, door: Door, by: &str) -> Feed {
    let (feed, end) = Feed::new();
    drop(tokio::spawn(local.clone().serve(end, by.to_owned(), door == Door::Run)));
    feed
}
