//! Work on bodies that would hold the lane too long, done aside: one thread a lane, less urgent than the lane's own, works at it in slices.
//!
//! Owns the thread and the order of the work: what has had little time yet goes first, turn by turn; what takes long is finished one after the other, so
//! that few large bodies are held at a time. A job whose user is gone is dropped at its next slice. Each user waits for one job, and a batch for one a
//! request, which bounds the queue.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Work that is done in steps, each of which takes little time.
pub(super) trait Work: Send + 'static {
    /// What comes of it.
    type Product: Send + 'static;

    /// One step; `Some` at the end.
    fn step(&mut self) -> Option<Self::Product>;
}

/// What came of work, and the processor time that it took.
#[derive(Debug)]
pub(super) struct Done<T> {
    pub(super) product: T,
    pub(super) took: Duration,
}

/// One lane's thread for such work; begun when there is some.
#[derive(Debug, Default)]
pub(super) struct Aside {
    jobs: RefCell<Option<mpsc::Sender<Box<dyn Job>>>>,
}

impl Aside {
    /// Does `work` on the thread. Dropped, it is given up.
    ///
    /// # Errors
    /// A text for people: there is no thread to be had, or the work panicked.
    pub(super) async fn run<W: Work>(&self, work: W) -> Result<Done<W::Product>, String> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Working { work, reply: Some(reply), took: Duration::ZERO });
        self.jobs()?.send(job).map_err(|_| GONE.to_owned())?;
        answer.await.map_err(|_| GONE.to_owned())
    }

    fn jobs(&self) -> Result<mpsc::Sender<Box<dyn Job>>, String> {
        let mut jobs = self.jobs.borrow_mut();
        if let Some(jobs) = &*jobs {
            return Ok(jobs.clone());
        }
        let (sender, receiver) = mpsc::channel();
        std::thread::Builder::new()
            .name("bodies".to_owned())
            .spawn(move || {
                give_way();
                work_off(&receiver);
            })
            .map_err(|error| format!("the load generator's machine gives no thread to unpack bodies on: {error}"))?;
        Ok(jobs.insert(sender).clone())
    }
}

/// Work whose kind is forgotten.
trait Job: Send {
    /// Somebody waits for it.
    fn is_wanted(&self) -> bool;
    /// Works for about `slice`. True at its end, when the answer is given.
    fn work(&mut self, slice: Duration) -> bool;
    /// Processor time so far.
    fn took(&self) -> Duration;
}

struct Working<W: Work> {
    work: W,
    reply: Option<oneshot::Sender<Done<W::Product>>>,
    took: Duration,
}

impl<W: Work> Job for Working<W> {
    fn is_wanted(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| !reply.is_closed())
    }

    fn work(&mut self, slice: Duration) -> bool {
        let (begin, begin_used) = (Instant::now(), thread_time());
        let product = loop {
            match self.work.step() {
                None if begin.elapsed() < slice => {}
                other => break other,
            }
        };
        self.took += thread_time().saturating_sub(begin_used);
        let Some(product) = product else { return false };
        if let Some(reply) = self.reply.take() {
            // The user may have gone meanwhile.
            drop(reply.send(Done { product, took: self.took }));
        }
        true
    }

    fn took(&self) -> Duration {
        self.took
    }
}

fn work_off(jobs: &mpsc::Receiver<Box<dyn Job>>) {
    let mut young: VecDeque<Box<dyn Job>> = VecDeque::new();
    let mut old: VecDeque<Box<dyn Job>> = VecDeque::new();
    loop {
        if young.is_empty() && old.is_empty() {
            match jobs.recv() {
                Ok(job) => young.push_back(job),
                Err(mpsc::RecvError) => return,
            }
        }
        young.extend(jobs.try_iter());
        let (mut job, is_young) = match young.pop_front() {
            Some(job) => (job, true),
            None => match old.pop_front() {
                Some(job) => (job, false),
                None => continue,
            },
        };
        // Decoders are others' code, and what they decode is anybody's: a panic ends its own job, which nobody answers then.
        let is_over = !job.is_wanted() || catch_unwind(AssertUnwindSafe(|| job.work(SLICE))).unwrap_or(true);
        match (is_over, is_young) {
            (true, _) => {}
            (false, true) if job.took() < YOUTH => young.push_back(job),
            (false, true) => old.push_back(job),
            (false, false) => old.push_front(job),
        }
    }
}

/// Makes this thread less urgent than the lanes.
fn give_way() {
    // SAFETY: takes plain numbers; 0 is the calling thread. Where the system refuses, the thread is as urgent as others, and all else is as before.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
}

/// Processor time of this thread.
pub(super) fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable for the whole call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

const GONE: &str = "the load generator failed while it unpacked a body";
/// After this time others have their turn.
const SLICE: Duration = Duration::from_micros(500);
/// Work that has taken longer waits for its turn behind all other.
const YOUTH: Duration = Duration::from_millis(5);
const NICENESS: libc::c_int = 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts down, and burns time meanwhile.
    struct Countdown(u32);

    impl Work for Countdown {
        type Product = &'static str;

        fn step(&mut self) -> Option<&'static str> {
            let begin = thread_time();
            while thread_time() - begin < Duration::from_micros(100) {}
            self.0 = self.0.checked_sub(1).expect("it was told that it was over");
            (self.0 == 0).then_some("over")
        }
    }

    fn run<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
    }

    #[test]
    fn short_work_overtakes_long_work_and_its_time_is_told() {
        run(async {
            let aside = Aside::default();
            let order = RefCell::new(Vec::new());
            let long = async {
                let done = aside.run(Countdown(2_000)).await.unwrap();
                order.borrow_mut().push("long");
                assert!(done.took >= Duration::from_millis(200) && done.product == "over", "{done:?}");
            };
            let short = async {
                for _ in 0..5 {
                    aside.run(Countdown(3)).await.unwrap();
                }
                order.borrow_mut().push("short");
            };
            tokio::join!(long, short);
            assert_eq!(*order.borrow(), ["short", "long"]);
        });
    }

    #[test]
    fn work_that_nobody_waits_for_is_given_up() {
        run(async {
            let aside = Aside::default();
            let endless = aside.run(Countdown(u32::MAX));
            assert!(tokio::time::timeout(Duration::from_millis(20), endless).await.is_err());
            aside.run(Countdown(1)).await.unwrap();
        });
    }

    #[test]
    fn a_panic_ends_its_own_work_only() {
        struct Panics;
        impl Work for Panics {
            type Product = ();
            fn step(&mut self) -> Option<()> {
                panic!("on purpose");
            }
        }
        run(async {
            let aside = Aside::default();
            assert_eq!(aside.run(Panics).await.unwrap_err(), GONE);
            assert_eq!(aside.run(Countdown(1)).await.unwrap().product, "over");
        });
    }
}
