//! One output at work: a thread of its own, and a short queue before it, so that a slow disk or a pipe that nobody reads holds up neither
//! the run nor the other outputs.
//!
//! Owns when an output is opened, written and given up. Of a master's many runs each takes the place of the one before.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::kinds::Wanted;
use super::output::Output;
use super::{Closing, ReportError};
use crate::plan::RunId;
use crate::stats::snapshot::Snapshot;

/// Why an output is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It could not be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// It was slower than the run.
    #[error("{said}: slower than the run, so that {left_out} of its seconds are left out")]
    Slow {
        /// The flag that asks for it.
        said: String,
        /// Snapshots that found no place in the queue.
        left_out: u64,
    },
    /// It did not come to an end.
    #[error("{said}: not written within {} s of the run's end", PATIENCE.as_secs())]
    Stuck {
        /// The flag that asks for it.
        said: String,
    },
    /// Its thread has panicked; the log has where.
    #[error("{said}: its thread has ended; this is a bug of Lunamoth's")]
    Gone {
        /// The flag that asks for it.
        said: String,
    },
}

enum Message {
    Snapshot(Arc<Snapshot>),
    Finish(Arc<Snapshot>, Closing, oneshot::Sender<Result<(), ReportError>>),
}

/// An output with its thread, from before the first run to the end of the program.
pub struct Writer {
    said: String,
    queue: mpsc::Sender<Message>,
    /// Snapshots of this run that found no place in the queue.
    left_out: u64,
}

impl Writer {
    /// Starts the thread of an output that [`Wanted::open`] has opened.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(wanted: Wanted, output: Box<dyn Output>) -> std::io::Result<Self> {
        let (queue, messages) = mpsc::channel(QUEUE);
        let said = wanted.said().to_owned();
        let work = Working { wanted, output: Some(output), run: None, lost: None };
        std::thread::Builder::new().name("output".to_owned()).spawn(move || work.serve(messages))?;
        Ok(Self { said, queue, left_out: 0 })
    }

    /// Hands a snapshot of a run that has begun to the output; waits for nothing.
    pub fn on_snapshot(&mut self, snapshot: &Arc<Snapshot>) {
        // The last place is the end's.
        let has_room = self.queue.capacity() > 1 && self.queue.try_send(Message::Snapshot(Arc::clone(snapshot))).is_ok();
        // A thread that is gone is told at the end, once.
        if has_room || self.queue.is_closed() {
            return;
        }
        if self.left_out == 0 {
            log::warn!("{}: slower than the run; what finds no place in its queue is left out", self.said);
        }
        self.left_out += 1;
    }

    /// Asks the output to write its end.
    pub fn finish(&mut self, last: &Arc<Snapshot>, closing: &Closing) -> Finishing {
        let (reply, written) = oneshot::channel();
        let asked = self.queue.try_send(Message::Finish(Arc::clone(last), closing.clone(), reply));
        let is_full = matches!(asked, Err(TrySendError::Full(_)));
        Finishing { said: self.said.clone(), written, is_full, left_out: std::mem::take(&mut self.left_out) }
    }
}

/// An output that writes its end.
pub struct Finishing {
    said: String,
    written: oneshot::Receiver<Result<(), ReportError>>,
    /// It has not even written the end of the run before.
    is_full: bool,
    left_out: u64,
}

impl Finishing {
    /// Waits for it, but not for ever.
    ///
    /// # Errors
    /// All or a part of it is not there.
    pub async fn done(self) -> Result<(), WriteError> {
        let Self { said, written, is_full, left_out } = self;
        if is_full {
            return Err(WriteError::Stuck { said });
        }
        match tokio::time::timeout(PATIENCE, written).await {
            Err(_) => Err(WriteError::Stuck { said }),
            Ok(Err(_)) => Err(WriteError::Gone { said }),
            Ok(Ok(written)) => {
                written?;
                if left_out == 0 { Ok(()) } else { Err(WriteError::Slow { said, left_out }) }
            }
        }
    }
}

/// An output at work, on its thread.
struct Working {
    wanted: Wanted,
    /// None once it is finished, and where it could not be opened anew.
    output: Option<Box<dyn Output>>,
    /// Whose numbers are in it.
    run: Option<RunId>,
    /// What was told of a second that could not be written; the later ones are tried, and say the same.
    lost: Option<ReportError>,
}

impl Working {
    fn serve(mut self, mut messages: mpsc::Receiver<Message>) {
        while let Some(message) = messages.blocking_recv() {
            match message {
                Message::Snapshot(snapshot) => self.on_snapshot(&snapshot),
                // Whoever asked may have given up.
                Message::Finish(last, closing, reply) => drop(reply.send(self.finish(&last, &closing))),
            }
        }
    }

    fn on_snapshot(&mut self, snapshot: &Snapshot) {
        if self.run.replace(snapshot.run).is_some_and(|run| run != snapshot.run) {
            // Another run: what it writes takes the place of what stands there.
            self.lost = None;
            self.output = self.wanted.open().map_err(|why| self.lose(why)).ok();
        }
        if let Some(Err(why)) = self.output.as_mut().map(|output| output.on_snapshot(snapshot)) {
            self.lose(why);
        }
    }

    /// Tells of the first thing that is lost. A full disk ends neither the run nor the output.
    fn lose(&mut self, why: ReportError) {
        if self.lost.is_none() {
            log::error!("{why}; the run goes on, and what comes later is tried again");
            self.lost = Some(why);
        }
    }

    fn finish(&mut self, last: &Snapshot, closing: &Closing) -> Result<(), ReportError> {
        self.on_snapshot(last);
        let lost = self.lost.take().map_or(Ok(()), Err);
        let written = self.output.take().map_or(Ok(()), |mut output| output.finish(last, closing));
        written.and(lost)
    }
}

/// Snapshots that wait for an output.
const QUEUE: usize = 8;

/// How long the end of an output may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::mpsc;

    use super::*;
    use crate::front::report::output::Output;

    /// An output that writes as fast as it is let, and tells what it wrote.
    struct Slow {
        let_on: mpsc::Receiver<()>,
        wrote: mpsc::Sender<String>,
    }

    impl Output for Slow {
        fn keys(&self) -> Vec<PathBuf> {
            Vec::new()
        }

        fn on_snapshot(&mut self, snapshot: &Snapshot) -> Result<(), ReportError> {
            self.let_on.recv().unwrap();
            if snapshot.elapsed == Duration::from_secs(2) {
                return Err(ReportError { path: "disk".into(), source: std::io::ErrorKind::StorageFull.into() });
            }
            self.wrote.send(format!("{} s", snapshot.elapsed.as_secs())).unwrap();
            Ok(())
        }

        fn finish(&mut self, _: &Snapshot, closing: &Closing) -> Result<(), ReportError> {
            self.wrote.send(closing.words.clone()).unwrap();
            Ok(())
        }
    }

    fn at(seconds: u64) -> Arc<Snapshot> {
        Arc::new(Snapshot { elapsed: Duration::from_secs(seconds), ..Snapshot::default() })
    }

    fn slow() -> (Writer, mpsc::Sender<()>, mpsc::Receiver<String>) {
        let ((go_on, let_on), (wrote, written)) = (mpsc::channel(), mpsc::channel());
        let wanted = Wanted::new("json", std::path::Path::new("unused.json")).unwrap();
        (Writer::start(wanted, Box::new(Slow { let_on, wrote })).unwrap(), go_on, written)
    }

    #[tokio::test]
    async fn an_output_that_is_slower_than_the_run_holds_nobody_up_and_says_what_it_left_out() {
        let (mut writer, go_on, written) = slow();
        // Each returns at once, although nothing is written yet; more than the queue and the thread hold is left out.
        (10..40).for_each(|second| writer.on_snapshot(&at(second)));
        assert!(writer.left_out >= 30 - 1 - QUEUE as u64, "{}", writer.left_out);
        let left_out = writer.left_out;
        let finishing = writer.finish(&at(40), &Closing { words: "PASSED".to_owned(), ..Closing::default() });
        (0..40).for_each(|_| go_on.send(()).unwrap());
        let told = finishing.done().await.unwrap_err().to_string();
        assert_eq!(told, format!("--out json=unused.json: slower than the run, so that {left_out} of its seconds are left out"));
        let written: Vec<String> = written.try_iter().collect();
        assert_eq!((written.len() as u64, written.last().unwrap().as_str()), (30 - left_out + 2, "PASSED"), "{written:?}");
    }

    #[tokio::test]
    async fn a_second_that_cannot_be_written_is_told_at_the_end_and_the_rest_is_there() {
        let (mut writer, go_on, written) = slow();
        (0..9).for_each(|_| go_on.send(()).unwrap());
        (1..=3).for_each(|second| writer.on_snapshot(&at(second)));
        let told = writer.finish(&at(4), &Closing::default()).done().await.unwrap_err().to_string();
        assert!(told.starts_with("cannot write `disk`: "), "{told}");
        assert_eq!(written.try_iter().collect::<Vec<String>>(), ["1 s", "3 s", "4 s", ""]);
    }

    #[test]
    fn an_output_that_there_is_not_is_told_with_those_that_there_are() {
        let told = Wanted::new("influx", std::path::Path::new("x")).map(|_| ()).unwrap_err();
        assert!(told.starts_with("--out influx=x: there is no output `influx`; there are csv=BASE, json=FILE"), "{told}");
    }
}
