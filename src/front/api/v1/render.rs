//! What this API shows of a snapshot, as texts. Pure.

use crate::front::snapshot_json::{self, EntriesJson, EntryJson, ErrorsJson, ExceptionsJson, SnapshotJson, WorkerJson, WorkersJson};
use crate::stats::snapshot::{RunState, Snapshot};

type Text = Result<String, serde_json::Error>;

/// The rows of the statistics.
pub(in super::super) fn entries(snapshot: &Snapshot) -> Text {
    let entries = snapshot.entries.iter().map(EntryJson::from).collect();
    serde_json::to_string(&EntriesJson { run: run_name(snapshot), total: (&snapshot.total).into(), entries })
}

pub(in super::super) fn errors(snapshot: &Snapshot) -> Text {
    serde_json::to_string(&ErrorsJson { run: run_name(snapshot), errors: snapshot_json::errors(snapshot) })
}

pub(in super::super) fn exceptions(snapshot: &Snapshot) -> Text {
    serde_json::to_string(&ExceptionsJson { run: run_name(snapshot), exceptions: snapshot_json::exceptions(snapshot) })
}

/// The workers and their health.
pub(in super::super) fn workers(snapshot: &Snapshot) -> Text {
    serde_json::to_string(&WorkersJson { run: run_name(snapshot), workers: snapshot.workers.iter().map(WorkerJson::from).collect() })
}

/// The snapshot as an event of the stream. Its JSON is on one line, from the first brace to the last.
pub(in super::super) fn event(snapshot: &Snapshot, number: u64) -> Text {
    Ok(format!("event: snapshot\nid: {number}\ndata: {}\n\n", serde_json::to_string(&SnapshotJson::from(snapshot))?))
}

/// The run as bodies name it; empty before the first one.
pub(super) fn run_name(snapshot: &Snapshot) -> String {
    if snapshot.state == RunState::Ready { String::new() } else { snapshot.run.to_string() }
}
