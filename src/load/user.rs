//! The life of a user: `on_start`, iterations with think time and the pause after a fruitless one, `on_stop`.
//!
//! Owns the order of the steps and the pause's rule. What a step does is the script's; when the life begins and ends is the lane's.
//!
//! | in | event | does | goes to |
//! |---|---|---|---|
//! | starting | `on_start` done | | iterating |
//! | starting | `on_start` raised | counts it, pauses | starting |
//! | iterating | fruitful iteration | thinks | iterating |
//! | iterating | fruitless iteration | counts it, pauses | iterating |
//! | either | the run is paused | waits until it goes on | the same |
//! | either | no iteration is left for it | `on_stop`, if it has started | gone |
//! | iterating | told to finish in mid-iteration | ends it at its next sleep or wait, counts it as interrupted, `on_stop` | gone |
//! | iterating | told to finish or to give way between two, or `self:stop()` | `on_stop` | gone |
//! | starting | told to finish or to give way, or `self:stop()` | ends `on_start` at its next sleep or wait | gone |
//!
//! `on_stop` is the counterpart of an `on_start` that has come to its end: where that never came, there is nothing to undo.
//! Invariant: each iteration that began is counted once, as finished or as interrupted, whatever ends the user.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::allotment::{Next, Share};
use super::debt::OTHERS;
use super::pool::{Arrival, Pool};
use super::{Step, UserControl, VirtualUser, now};
use crate::stats::drop_reason::DropReason;
use crate::stats::recorder::Recorder;

/// How a life went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// Iterations that began and are over: finished or interrupted.
    pub iterations: u64,
    /// It ended since the user was told to, and not by the script.
    pub was_told: bool,
}

/// Where a user's iterations count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Index into the plan's classes.
    pub class: usize,
    /// Its profile, where that has a name.
    pub profile: Option<usize>,
}

/// Lives the whole life of `user`, which has `share` of the iterations.
pub(super) async fn live<U: VirtualUser>(
    user: &mut U,
    place: Place,
    control: &UserControl,
    recorder: &RefCell<Recorder>,
    pauses: bool,
    share: &mut Share,
) -> Life {
    let mut pause = Pause::new(pauses);
    control.pass().await;
    if control.is_at_its_end() {
        return Life { iterations: 0, was_told: true };
    }
    if share.is_used_up() {
        return Life { iterations: 0, was_told: false };
    }
    if let Some(was_told) = start(user, place.class, control, recorder, &mut pause).await {
        return Life { iterations: 0, was_told };
    }
    let mut life = Life { iterations: 0, was_told: true };
    let mut began = now();
    while !control.is_at_its_end() {
        if control.is_held() {
            control.pass().await;
            began = now();
            continue;
        }
        match share.next(control, began).await {
            Next::Begins => {}
            Next::Waits => {
                began = now();
                continue;
            }
            Next::IsThrough => {
                life.was_told = false;
                break;
            }
        }
        let begun = Begun { place, recorder };
        let step = user.iterate().await;
        let ended = now();
        let length = ended.saturating_duration_since(began);
        // Without a rest between them, an iteration begins where the last one ends: the clock is read once.
        began = ended;
        life.iterations += 1;
        if !step.interrupted {
            begun.finish(length, step.raised);
        }
        if step.ended || step.interrupted {
            life.was_told = !step.ended;
            break;
        }
        make_room(&step, control, recorder).await;
        let idle = idle_after(user, &step, ended, length, &mut pause, recorder);
        if idle > Duration::ZERO {
            user.rest(idle);
            control.sleep_until(ended + idle).await;
            began = now();
        } else if step.held.is_some() {
            began = now();
        } else if !step.yielded {
            tokio::task::yield_now().await;
            began = now();
        }
    }
    if user.on_stop().await.raised {
        recorder.borrow_mut().stop_failure();
    }
    life
}

/// Leaves the lane to others after a step that held it.
async fn make_room(step: &Step, control: &UserControl, recorder: &RefCell<Recorder>) {
    if let Some(held) = step.held
        && control.make_room_now(held).await
    {
        recorder.borrow_mut().hold_pause();
    }
}

/// How long the user thinks, or pauses, whichever is longer, once its step has `ended`.
fn idle_after<U: VirtualUser>(
    user: &mut U,
    step: &Step,
    ended: Instant,
    length: Duration,
    pause: &mut Pause,
    recorder: &RefCell<Recorder>,
) -> Duration {
    let think = user.think_time(ended);
    // A short iteration that had nothing to ask for is no failure: where its user thinks by itself, it does not spin.
    if think > Duration::ZERO && !step.raised && step.requests == 0 && length < SHORTEST_WORK {
        pause.reset();
        return think;
    }
    match pause.after(step, length) {
        Some(pause) => {
            recorder.borrow_mut().backoff();
            pause.max(think)
        }
        None => think,
    }
}

/// Lives the life of a user of an open profile, which was made for iteration `first` and has the others from its room of the pool: it runs one iteration after the other as they are due,
/// without think time or pause, and leaves when it is told to. One whose `on_start` raises leaves at once; the next iteration that is due
/// tries with another.
pub(super) async fn serve<U: VirtualUser>(
    user: &mut U,
    first: Arrival,
    control: &UserControl,
    recorder: &RefCell<Recorder>,
    (pool, room): (&Pool, usize),
    place: Place,
) -> Life {
    let begun = user.on_start().await;
    if begun.raised {
        recorder.borrow_mut().start_failure(place.class);
    }
    if begun.raised || begun.ended {
        first.give_up(DropReason::OnStartFailed);
        return Life { iterations: 0, was_told: false };
    }
    if begun.interrupted {
        return Life { iterations: 0, was_told: true };
    }
    let (mut life, seat) = (Life { iterations: 0, was_told: true }, Rc::default());
    let mut next = Some(first);
    while let Some(arrival) = next {
        let began = now();
        let (index, late) = arrival.begin(began);
        control.begin_arrival(index, late);
        let begun = Begun { place, recorder };
        let step = user.iterate().await;
        let length = now().saturating_duration_since(began);
        control.end_arrival();
        life.iterations += 1;
        if !step.interrupted {
            begun.finish(length, step.raised);
            let (mut recorder, since_due) = (recorder.borrow_mut(), late.saturating_add(length));
            recorder.iteration_since_due(since_due);
            if let Some(profile) = place.profile {
                recorder.profile(profile).since_due.add(since_due);
            }
        }
        if step.ended || step.interrupted {
            life.was_told = !step.ended;
            break;
        }
        if step.held.is_some() {
            make_room(&step, control, recorder).await;
        } else if !step.yielded {
            tokio::task::yield_now().await;
        }
        next = pool.next(room, &seat, control).await;
    }
    if user.on_stop().await.raised {
        recorder.borrow_mut().stop_failure();
    }
    life
}

/// An iteration that has begun. Dropped before it is finished, it was interrupted: by its own end in mid-way, or by the user's.
struct Begun<'a> {
    place: Place,
    recorder: &'a RefCell<Recorder>,
}

impl Begun<'_> {
    fn finish(self, length: Duration, raised: bool) {
        let mut recorder = self.recorder.borrow_mut();
        recorder.iteration(self.place.class, length, raised);
        if let Some(profile) = self.place.profile {
            recorder.profile(profile).iteration(length, raised);
        }
        drop(recorder);
        std::mem::forget(self);
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let mut recorder = self.recorder.borrow_mut();
        recorder.iteration_interrupted();
        if let Some(profile) = self.place.profile {
            recorder.profile(profile).events.interrupted += 1;
        }
    }
}

/// Runs `on_start` until it holds. If that never came: whether the user was told to end, or else ended itself.
async fn start<U: VirtualUser>(
    user: &mut U,
    class: usize,
    control: &UserControl,
    recorder: &RefCell<Recorder>,
    pause: &mut Pause,
) -> Option<bool> {
    loop {
        let step = user.on_start().await;
        if step.ended {
            return Some(false);
        }
        if step.interrupted {
            return Some(true);
        }
        let ended = now();
        make_room(&step, control, recorder).await;
        if !step.raised {
            pause.reset();
            return None;
        }
        recorder.borrow_mut().start_failure(class);
        // Even with pauses switched off: an `on_start` that raises at once would spin.
        let idle = pause.grow(FIRST_PAUSE);
        user.rest(idle);
        control.sleep_until(ended + idle).await;
        if control.is_at_its_end() {
            return Some(true);
        }
    }
}

/// The pause that follows a fruitless iteration: 100 ms, doubling to 2 s, until one bears fruit. One that asked for nothing has not failed, so that the doubling
/// begins lower, and a user that seldom does so loses little.
#[derive(Debug)]
struct Pause {
    enabled: bool,
    /// `None` until an iteration was fruitless.
    next: Option<Duration>,
}

impl Pause {
    fn new(enabled: bool) -> Self {
        Self { enabled, next: None }
    }

    /// The pause that `step` calls for, if any.
    fn after(&mut self, step: &Step, length: Duration) -> Option<Duration> {
        if !is_fruitless(step, length) {
            self.reset();
            return None;
        }
        // A step that never yielded had the lane for itself: as long as it took, the others get many times that.
        let others = if step.yielded { Duration::ZERO } else { length.saturating_mul(OTHERS) };
        let first = if step.raised || step.requests > 0 { FIRST_PAUSE } else { FIRST_IDLE_PAUSE };
        self.enabled.then(|| self.grow(first).max(others))
    }

    /// At least `first`.
    fn grow(&mut self, first: Duration) -> Duration {
        let pause = self.next.unwrap_or(first).max(first);
        self.next = Some((pause * 2).min(LONGEST_PAUSE));
        pause
    }

    fn reset(&mut self) {
        self.next = None;
    }
}

/// Whether a step got nothing done: it raised, or no request of it was answered, or it did no work at all.
///
/// The last rule is for the empty task: without any request and without time spent, it would spin.
fn is_fruitless(step: &Step, length: Duration) -> bool {
    step.raised || if step.requests > 0 { step.answered == 0 } else { !step.yielded || length < SHORTEST_WORK }
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// After an iteration that neither raised nor asked for anything.
const FIRST_IDLE_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// An iteration without requests that is shorter than this did no work.
const SHORTEST_WORK: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::*;
    use crate::load::allotment::Allotment;
    use crate::stats::recorder::Limits;

    /// Answers each step from a script of steps, and notes what it was asked.
    struct Scripted {
        starts: Vec<Step>,
        iterations: Vec<Step>,
        calls: Rc<RefCell<Vec<String>>>,
        control: Rc<UserControl>,
        think: Duration,
        turn: Cell<usize>,
        stop: Step,
    }

    impl VirtualUser for Scripted {
        async fn on_start(&mut self) -> Step {
            self.calls.borrow_mut().push("start".into());
            if self.starts.is_empty() { Step::default() } else { self.starts.remove(0) }
        }
        async fn iterate(&mut self) -> Step {
            self.calls.borrow_mut().push("iterate".into());
            let turn = self.turn.replace(self.turn.get() + 1);
            if turn + 1 == self.iterations.len() {
                self.control.drain();
            }
            self.iterations[turn]
        }
        async fn on_stop(&mut self) -> Step {
            self.calls.borrow_mut().push("stop".into());
            self.stop
        }
        fn think_time(&mut self, _ended: Instant) -> Duration {
            self.think
        }
        fn rest(&mut self, pause: Duration) {
            self.calls.borrow_mut().push(format!("rest {pause:?}"));
        }
    }

    const ANSWERED: Step = Step { raised: false, interrupted: false, ended: false, requests: 1, answered: 1, yielded: true, held: None };
    const RAISED: Step = Step { raised: true, ..ANSWERED };
    const DEAF: Step = Step { answered: 0, ..ANSWERED };
    const EMPTY: Step = Step { requests: 0, answered: 0, yielded: false, ..ANSWERED };
    const INTERRUPTED: Step = Step { interrupted: true, ..ANSWERED };

    fn calls_of(starts: Vec<Step>, iterations: Vec<Step>, think: Duration) -> Vec<String> {
        lived(starts, iterations, think).0
    }

    fn any_number() -> Share {
        Rc::new(Allotment::new(Arc::default(), 0)).share(0)
    }

    /// What was asked of a user, how its life went, and how many of its iterations were counted as finished and as interrupted.
    fn lived(starts: Vec<Step>, iterations: Vec<Step>, think: Duration) -> (Vec<String>, Life, u64, u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let control = Rc::new(UserControl::default());
            let calls = Rc::new(RefCell::new(Vec::new()));
            let recorder = RefCell::new(Recorder::new(Limits { names: 10 }));
            let mut user = Scripted {
                starts,
                iterations,
                calls: calls.clone(),
                control: control.clone(),
                think,
                turn: Cell::new(0),
                stop: Step::default(),
            };
            let life = live(&mut user, Place { class: 0, profile: None }, &control, &recorder, true, &mut any_number()).await;
            let tally = recorder.borrow_mut().take(0);
            (calls.take(), life, tally.times.iterations.spread.count, tally.events.iterations_interrupted)
        })
    }

    #[test]
    fn an_interrupted_iteration_is_the_last_and_no_finished_one_and_on_stop_runs_after_it() {
        let (calls, life, finished, interrupted) = lived(vec![], vec![ANSWERED, INTERRUPTED, ANSWERED], Duration::ZERO);
        assert_eq!(calls, ["start", "iterate", "iterate", "stop"]);
        assert_eq!((life, finished, interrupted), (Life { iterations: 2, was_told: true }, 1, 1));
    }

    #[test]
    fn a_user_that_was_told_to_finish_in_its_on_start_runs_no_task_and_no_on_stop() {
        let (calls, life, finished, interrupted) = lived(vec![INTERRUPTED], vec![ANSWERED], Duration::ZERO);
        assert_eq!(calls, ["start"]);
        assert_eq!((life, finished, interrupted), (Life { iterations: 0, was_told: true }, 0, 0));
    }

    #[test]
    fn an_on_stop_that_raises_is_counted_as_such_and_as_no_iteration() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let tally = runtime.block_on(async {
            let control = Rc::new(UserControl::default());
            let recorder = RefCell::new(Recorder::new(Limits { names: 10 }));
            let (calls, turn) = (Rc::default(), Cell::new(0));
            let mut user = Scripted {
                starts: vec![],
                iterations: vec![ANSWERED],
                calls,
                control: control.clone(),
                think: Duration::ZERO,
                turn,
                stop: RAISED,
            };
            live(&mut user, Place { class: 0, profile: None }, &control, &recorder, true, &mut any_number()).await;
            recorder.borrow_mut().take(0)
        });
        assert_eq!((tally.times.iterations.spread.count, tally.events.iterations_raised, tally.events.stop_failures), (1, 0, 1));
    }

    #[test]
    fn an_iteration_whose_user_is_dropped_in_it_was_interrupted() {
        let recorder = RefCell::new(Recorder::new(Limits { names: 10 }));
        drop(Begun { place: Place { class: 0, profile: None }, recorder: &recorder });
        Begun { place: Place { class: 0, profile: None }, recorder: &recorder }.finish(Duration::from_millis(1), false);
        let tally = recorder.borrow_mut().take(0);
        assert_eq!((tally.times.iterations.spread.count, tally.events.iterations_interrupted), (1, 1));
    }

    #[test]
    fn a_user_starts_iterates_and_stops() {
        assert_eq!(calls_of(vec![], vec![ANSWERED, ANSWERED], Duration::ZERO), ["start", "iterate", "iterate", "stop"]);
    }

    #[test]
    fn a_fruitless_iteration_is_followed_by_a_growing_pause_until_one_bears_fruit() {
        let iterations = vec![RAISED, DEAF, EMPTY, ANSWERED, RAISED, ANSWERED];
        let rests: Vec<String> = calls_of(vec![], iterations, Duration::ZERO).into_iter().filter(|call| call.starts_with("rest")).collect();
        assert_eq!(rests, ["rest 100ms", "rest 200ms", "rest 400ms", "rest 100ms"]);
    }

    #[test]
    fn an_iteration_that_had_nothing_to_do_is_no_failure_where_its_user_thinks() {
        let rests = calls_of(vec![], vec![EMPTY, EMPTY, EMPTY, RAISED, EMPTY], Duration::from_millis(50));
        let rests: Vec<String> = rests.into_iter().filter(|call| call.starts_with("rest")).collect();
        assert_eq!(rests, ["rest 50ms", "rest 50ms", "rest 50ms", "rest 100ms", "rest 50ms"]);
    }

    #[test]
    fn an_iteration_that_held_the_lane_leaves_it_to_the_others_for_many_times_as_long() {
        let mut pause = Pause::new(true);
        assert_eq!(pause.after(&EMPTY, Duration::from_millis(300)), Some(Duration::from_millis(3_000)));
        assert_eq!(pause.after(&RAISED, Duration::from_millis(300)), Some(Duration::from_millis(100)), "it yielded");
        let runaway = Step { raised: true, ..EMPTY };
        assert_eq!(pause.after(&runaway, Duration::from_secs(1)), Some(Duration::from_secs(10)));
    }

    #[test]
    fn who_seldom_asks_for_nothing_loses_little_and_who_never_asks_rests_for_two_seconds() {
        let mut pause = Pause::new(true);
        for _ in 0..10 {
            assert_eq!(pause.after(&EMPTY, Duration::ZERO), Some(Duration::from_millis(10)));
            assert_eq!(pause.after(&ANSWERED, Duration::from_millis(20)), None);
        }
        let idle: Duration = (0..9).filter_map(|_| pause.after(&EMPTY, Duration::ZERO)).sum();
        assert_eq!((idle, pause.after(&EMPTY, Duration::ZERO)), (Duration::from_millis(4_550), Some(Duration::from_secs(2))));
    }

    #[test]
    fn the_pause_doubles_to_two_seconds_and_never_shortens_the_think_time() {
        let rests: Vec<String> =
            calls_of(vec![], vec![RAISED; 8], Duration::from_millis(300)).into_iter().filter(|call| call.starts_with("rest")).collect();
        assert_eq!(rests, ["rest 300ms", "rest 300ms", "rest 400ms", "rest 800ms", "rest 1.6s", "rest 2s", "rest 2s", "rest 2s"]);
    }

    #[test]
    fn a_user_whose_on_start_raises_runs_no_task_until_it_holds() {
        let calls = calls_of(vec![RAISED, RAISED], vec![ANSWERED], Duration::ZERO);
        assert_eq!(calls, ["start", "rest 100ms", "start", "rest 200ms", "start", "iterate", "stop"]);
    }

    #[test]
    fn a_user_that_ends_itself_still_runs_its_on_stop() {
        let ended = Step { ended: true, ..ANSWERED };
        assert_eq!(calls_of(vec![], vec![ended, ANSWERED], Duration::ZERO), ["start", "iterate", "stop"]);
    }
}
