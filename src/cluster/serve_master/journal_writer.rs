//! The journal's own thread: a disk that is slow holds up nobody but whoever waits for a record to be safe.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::cluster::journal::{Journal, JournalError};
use crate::cluster::logs::MASTER_TARGET;
use crate::cluster::record::Record;

/// Hands records to the journal, one after the other; those that wait together are synced together.
pub(super) struct JournalWriter {
    records: mpsc::Sender<(u64, Record)>,
    kept: mpsc::Receiver<u64>,
    thread: JoinHandle<()>,
    /// Records that found no room.
    dropped: u64,
}

impl JournalWriter {
    pub(super) fn start(journal: Journal) -> Self {
        let (records, inbox) = mpsc::channel(RECORDS);
        let (done, kept) = mpsc::channel(RECORDS);
        let thread = tokio::task::spawn_blocking(move || write(journal, inbox, &done));
        Self { records, kept, thread, dropped: 0 }
    }

    /// Puts a record to be written. One that finds no room is not written, and not answered: whoever waits for it goes on waiting.
    pub(super) fn keep(&mut self, number: u64, record: Record) {
        if self.records.try_send((number, record)).is_err() {
            self.dropped += 1;
            log::error!(target: MASTER_TARGET, "the journal of --state is too slow: {} records are not written", self.dropped);
        }
    }

    /// The number of the next record that is safe.
    pub(super) async fn next_kept(&mut self) -> Option<u64> {
        self.kept.recv().await
    }

    /// Waits until everything is written.
    pub(super) async fn close(self) {
        let Self { records, mut kept, thread, .. } = self;
        drop(records);
        while kept.recv().await.is_some() {}
        // A panic has been printed; there is nothing left to write.
        let _ = thread.await;
    }
}

fn write(mut journal: Journal, mut inbox: mpsc::Receiver<(u64, Record)>, done: &mpsc::Sender<u64>) {
    let mut is_broken = false;
    while let Some(first) = inbox.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(more) = inbox.try_recv()
        {
            batch.push(more);
        }
        match keep(&mut journal, &batch) {
            Ok(()) => is_broken = false,
            // The numbers are in the table all the same, so workers are let go; only a restart would miss them.
            Err(why) if !is_broken => {
                is_broken = true;
                log::error!(target: MASTER_TARGET, "{why}; should this master die, what is not in its journal dies with it");
            }
            Err(_) => {}
        }
        for (number, _) in batch {
            if done.blocking_send(number).is_err() {
                return;
            }
        }
    }
}

/// Writes all that can be written, and says what could not first.
fn keep(journal: &mut Journal, batch: &[(u64, Record)]) -> Result<(), JournalError> {
    let mut first = Ok(());
    for (_, record) in batch {
        first = first.and(journal.append(record));
    }
    first.and(journal.sync())
}

/// Records that may wait: all of five hundred workers that leave together, several times over.
const RECORDS: usize = 4_096;
/// Records of one sync.
const BATCH: usize = 256;
