//! The journal's own thread: a disk that is slow holds up nobody but whoever waits for a record to be safe.

use std::io;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::cluster::record::Record;

/// What keeps records.
pub trait Keeper: Send + 'static {
    /// Writes a record and syncs it.
    ///
    /// # Errors
    /// The disk is full or gone.
    fn keep(&mut self, record: &Record) -> io::Result<()>;
}

/// Hands records to a keeper, one after the other.
pub(super) struct JournalWriter {
    records: mpsc::Sender<(u64, Record)>,
    kept: mpsc::Receiver<u64>,
    thread: JoinHandle<()>,
    /// Records that found no room.
    dropped: u64,
}

impl JournalWriter {
    pub(super) fn start(mut keeper: Box<dyn Keeper>) -> Self {
        let (records, mut inbox) = mpsc::channel::<(u64, Record)>(RECORDS);
        let (done, kept) = mpsc::channel(RECORDS);
        let thread = tokio::task::spawn_blocking(move || {
            let mut is_broken = false;
            while let Some((number, record)) = inbox.blocking_recv() {
                match keeper.keep(&record) {
                    Ok(()) => is_broken = false,
                    // The numbers are in the table all the same, so workers are let go; only a restart would miss them.
                    Err(why) if !is_broken => {
                        is_broken = true;
                        log::error!("the journal of --state cannot be written: {why}; should this master die, its numbers die with it");
                    }
                    Err(_) => {}
                }
                if done.blocking_send(number).is_err() {
                    return;
                }
            }
        });
        Self { records, kept, thread, dropped: 0 }
    }

    /// Puts a record to be written. One that finds no room is not written, and not answered: whoever waits for it goes on waiting.
    pub(super) fn keep(&mut self, number: u64, record: Record) {
        if self.records.try_send((number, record)).is_err() {
            self.dropped += 1;
            log::error!("the journal of --state is too slow: {} records are not written", self.dropped);
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
        // A panic of the keeper's has been printed; there is nothing left to write.
        let _ = thread.await;
    }
}

/// Records that may wait: all of five hundred workers that leave together, several times over.
const RECORDS: usize = 4_096;
