//! What people ask of the master, and when it is done: starts wait their turn, everything else is done at once.
//!
//! | asked | no run | waiting | spawning, running | stopping |
//! |---|---|---|---|---|
//! | start | plan it, then start it | wait until it is live or over | re-target | wait for the end, then as without a run |
//! | stop, cut | drop the starts that wait, and say that nothing runs | the same, and stop or cut | the same | the same |
//! | reset | clear what the last run left, and say whether there was one | reset | reset | reset |
//! | end for misuse | nothing | end | end | nothing |
//! | pause, resume | declined | declined | pause, resume | declined |
//! | note the scripts of its own folder | note | note | note | note |
//! | take changed scripts over | nothing | wait until it is live or over | plan it, then revise the run | nothing |
//!
//! A start that comes while another one is planned waits for it, and becomes a re-target. One that may only be a run, or only a re-target, is
//! declined where it cannot.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::cluster::handle::{Accepted, Command, Request};
use crate::cluster::logs::MASTER_TARGET;
use crate::cluster::master::{Action, Master, Refused, Rerate, Retarget};
use crate::cluster::planner::{BY_HAND, Declined, Planned, Planner};
use crate::plan::{LoadProfile, ProfileEnd, Purpose, RunId, StartOrder, shown_host};
use crate::stats::snapshot::RunState;

/// The starts that have not been answered.
pub(super) struct Asking {
    planner: Arc<dyn Planner>,
    waiting: VecDeque<Start>,
    /// Which start is being planned; its number tells it from those that were given up.
    planning: Option<(u64, Start)>,
    /// A start that waits for other scripts to come into the master's folder, and when it is planned again.
    delayed: Option<(Instant, Start)>,
    /// The running test shall take changed scripts over.
    wants_revision: bool,
    /// The planning of a revision that is under way.
    revising: Option<u64>,
    /// In this run somebody has given these profiles another level: functions of the script steer them no more.
    by_hand: (RunId, BTreeSet<usize>),
    count: u64,
    outcomes: mpsc::Sender<PlanOutcome>,
}

/// What became of planning.
pub(super) struct PlanOutcome {
    number: u64,
    planned: Result<Planned, String>,
}

struct Start {
    order: StartOrder,
    by: String,
    reply: Reply,
    /// When it has waited long enough for other scripts.
    until: Option<Instant>,
}

type Reply = oneshot::Sender<Result<Accepted, Declined>>;

impl Asking {
    pub(super) fn new(planner: Arc<dyn Planner>) -> (Self, mpsc::Receiver<PlanOutcome>) {
        let (outcomes, inbox) = mpsc::channel(OUTCOMES);
        (
            Self {
                planner,
                waiting: VecDeque::new(),
                planning: None,
                delayed: None,
                wants_revision: false,
                revising: None,
                by_hand: (RunId::default(), BTreeSet::new()),
                count: 0,
                outcomes,
            },
            inbox,
        )
    }

    pub(super) fn on_request(&mut self, request: Request, master: &mut Master, now: Instant) -> Vec<Action> {
        let Request { command, by, reply } = request;
        let said = idle_words(&command, master.state(now), self.has_starts());
        let (actions, words) = match command {
            Command::Start(order) => {
                self.enqueue(Start { order, by, reply, until: None });
                return Vec::new();
            }
            Command::Stop => {
                self.give_up("the run was stopped before it began");
                (master.on_stop(now), "stop")
            }
            Command::Cut => {
                self.give_up("the run was cut before it began");
                (master.on_cut(now), "cut")
            }
            Command::Reset => (master.on_reset(now), "reset of the statistics"),
            Command::Misuse(why) => (master.on_misuse(why), "end of the run, for its script cannot steer it"),
            Command::NoteScripts(scripts) => {
                master.on_own_scripts(scripts);
                answer(reply, Ok(Accepted::default()));
                return Vec::new();
            }
            Command::Revise => {
                self.wants_revision = true;
                answer(reply, Ok(Accepted::default()));
                return Vec::new();
            }
            Command::Pause | Command::Resume => {
                let is_pause = command == Command::Pause;
                let words = if is_pause { "pause" } else { "resume" };
                match if is_pause { master.on_pause(now) } else { master.on_resume(now) } {
                    Ok(actions) => (actions, words),
                    Err(Refused { why: reason, actions }) => {
                        note(&by, || format!("{words}, declined: {reason}"));
                        answer(reply, Err(Declined { reason }));
                        return actions;
                    }
                }
            }
        };
        note(&by, || words.to_owned());
        let (run, host) = current(master, now);
        answer(reply, Ok(Accepted { run, host, words: said.to_owned() }));
        actions
    }

    /// Does what can be done for the starts that wait.
    pub(super) fn proceed(&mut self, master: &mut Master, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        self.revise_if_possible(master, now);
        if let Some((_, start)) = self.delayed.take_if(|(at, _)| now >= *at) {
            self.waiting.push_front(start);
        }
        while self.delayed.is_none()
            && self.planning.is_none()
            && let Some(start) = self.waiting.pop_front()
        {
            match master.state(now) {
                state if let Some(reason) = refusal(&start.order, state) => {
                    note(&start.by, || format!("start, declined: {reason}"));
                    answer(start.reply, Err(Declined { reason }));
                }
                RunState::Ready | RunState::Stopped if let Some(profile) = &start.order.profile => {
                    let reason =
                        format!("no run is under way, and so no profile `{profile}` whose level could change: start one without it");
                    note(&start.by, || format!("start, declined: {reason}"));
                    answer(start.reply, Err(Declined { reason }));
                }
                RunState::Ready | RunState::Stopped => self.plan(start),
                RunState::Spawning | RunState::Running | RunState::Paused => {
                    let (more, result) = self.retarget(&start, master, now);
                    actions.extend(more);
                    answer(start.reply, result);
                }
                RunState::Waiting | RunState::Stopping => {
                    self.waiting.push_front(start);
                    break;
                }
            }
        }
        actions
    }

    pub(super) fn on_planned(&mut self, outcome: PlanOutcome, master: &mut Master, now: Instant) -> Vec<Action> {
        if self.revising.take_if(|number| *number == outcome.number).is_some() {
            return master.on_revise(outcome.planned.map(|planned| (*planned.start.plan).clone()), now);
        }
        let Some((_, start)) = self.planning.take_if(|(number, _)| *number == outcome.number) else { return Vec::new() };
        let planned = match outcome.planned {
            Ok(planned) => self.wait_for_scripts(start, planned, master, now),
            Err(reason) => Some((start, Err(reason))),
        };
        let Some((start, planned)) = planned else { return Vec::new() };
        let begun = planned.and_then(|planned| {
            let accepted =
                Accepted { run: planned.start.plan.run, host: planned.start.plan.host.as_deref().map(shown_host), words: planned.words };
            master.on_start(planned.start, now).map(|actions| (actions, accepted))
        });
        match begun {
            Ok((actions, accepted)) => {
                note(&start.by, || format!("start of run {}: {}", accepted.run, accepted.words));
                answer(start.reply, Ok(accepted));
                actions
            }
            Err(reason) => {
                note(&start.by, || format!("start, declined: {reason}"));
                answer(start.reply, Err(Declined { reason }));
                Vec::new()
            }
        }
    }

    /// The start and what came of its planning; nothing while the master's folder has other scripts than it asks for. Those of the workers
    /// are compared with the master's once the run is there.
    fn wait_for_scripts(
        &mut self,
        start: Start,
        planned: Planned,
        master: &Master,
        now: Instant,
    ) -> Option<(Start, Result<Planned, String>)> {
        let own = &planned.start.plan.fingerprint;
        let Some(wanted) = start.order.scripts_fingerprint.as_ref().filter(|wanted| !own.starts_with(wanted.as_str())) else {
            return Some((start, Ok(planned)));
        };
        let until = start.until.unwrap_or(now + master.skew_timeout());
        if now >= until {
            let (script, own) = (&planned.start.plan.script, short(own));
            let reason =
                format!("the scripts on the master are not those of fingerprint {wanted}: it has {script} as of {own} (--skew-timeout)");
            return Some((start, Err(reason)));
        }
        if start.until.is_none() {
            note(&start.by, || format!("start, waiting for the scripts of fingerprint {wanted}; the master has {}", short(own)));
        }
        self.delayed = Some((now + REPLAN, Start { until: Some(until), ..start }));
        None
    }

    fn enqueue(&mut self, start: Start) {
        let StartOrder { users, spawn_rate, .. } = start.order;
        if users == Some(0) || spawn_rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
            answer(start.reply, Err(Declined { reason: "a start needs at least one user, and a spawn rate above zero".into() }));
        } else if self.waiting.len() < WAITING {
            self.waiting.push_back(start);
        } else {
            answer(start.reply, Err(Declined { reason: "too many starts wait for the run before them to end".into() }));
        }
    }

    fn has_starts(&self) -> bool {
        self.planning.is_some() || self.delayed.is_some() || !self.waiting.is_empty()
    }

    fn give_up(&mut self, reason: &str) {
        let delayed = self.delayed.take().map(|(_, start)| start);
        for start in self.planning.take().map(|(_, start)| start).into_iter().chain(delayed).chain(self.waiting.drain(..)) {
            answer(start.reply, Err(Declined { reason: reason.into() }));
        }
    }

    fn plan(&mut self, start: Start) {
        let order = start.order.clone();
        let number = self.spawn_planning(move |planner| planner.plan(&order));
        self.planning = Some((number, start));
    }

    /// Plans the running test anew, if that is wanted and none is being planned.
    fn revise_if_possible(&mut self, master: &Master, now: Instant) {
        if !self.wants_revision || self.revising.is_some() {
            return;
        }
        match master.state(now) {
            RunState::Waiting => {}
            RunState::Spawning | RunState::Running | RunState::Paused => {
                self.wants_revision = false;
                let (script, host) = master.script().unwrap_or_default();
                let order = StartOrder { script, host, ..StartOrder::default() };
                self.revising = Some(self.spawn_planning(move |planner| planner.revision(&order)));
            }
            RunState::Ready | RunState::Stopping | RunState::Stopped => self.wants_revision = false,
        }
    }

    /// Plans on a thread of its own; answers the number that the outcome bears.
    fn spawn_planning(&mut self, plan: impl FnOnce(&dyn Planner) -> Result<Planned, String> + Send + 'static) -> u64 {
        self.count += 1;
        let (number, planner, outcomes) = (self.count, self.planner.clone(), self.outcomes.clone());
        tokio::spawn(async move {
            let planning = tokio::task::spawn_blocking(move || plan(&*planner));
            let planned = match tokio::time::timeout(PLAN_TIMEOUT, planning).await {
                Ok(Ok(planned)) => planned,
                Ok(Err(panic)) => Err(format!("a bug of Lunamoth's, in planning: {panic}")),
                Err(_) => Err(format!("the script was not ready within {} s", PLAN_TIMEOUT.as_secs())),
            };
            // A shell that is gone has nobody to answer.
            let _ = outcomes.send(PlanOutcome { number, planned }).await;
        });
        number
    }

    fn retarget(&mut self, start: &Start, master: &mut Master, now: Instant) -> (Vec<Action>, Result<Accepted, Declined>) {
        let planned = self.retargeting(&start.order, master, now).map_err(|why| Refused { why, actions: Vec::new() });
        let done = planned.and_then(|(change, accepted)| {
            let (profile, actions) = match change {
                Change::Users(profile, retarget) => (profile, master.on_retarget_of(profile, retarget, now)?),
                Change::Rate(profile, rerate) => (profile, master.on_rerate_of(profile, rerate, now)?),
                Change::End(profile) => (profile, master.on_end_of(profile, start.order.at, now)?),
            };
            if start.order.purpose != Purpose::Steer {
                if self.by_hand.0 != accepted.run {
                    self.by_hand = (accepted.run, BTreeSet::new());
                }
                self.by_hand.1.insert(profile);
            }
            Ok((actions, accepted))
        });
        match done {
            Ok((actions, accepted)) => {
                note(&start.by, || format!("re-target of run {}: {}", accepted.run, accepted.words));
                (actions, Ok(accepted))
            }
            Err(Refused { why: reason, actions }) => {
                note(&start.by, || format!("re-target, declined: {reason}"));
                (actions, Err(Declined { reason }))
            }
        }
    }

    fn retargeting(&self, order: &StartOrder, master: &Master, now: Instant) -> Result<(Change, Accepted), String> {
        let snapshot = master.snapshot(now);
        let is_running = |asked: &str| snapshot.host.as_ref().is_some_and(|host| host.trim_end_matches('/') == asked.trim_end_matches('/'));
        if let Some(asked) = order.host.as_deref().map(shown_host).filter(|asked| !is_running(asked)) {
            let running = snapshot.host.as_ref().map_or_else(|| "without a host".to_owned(), |host| format!("against `{host}`"));
            return Err(format!("a run {running} is under way: stop it before one against `{asked}` begins"));
        }
        if let Some(asked) = order.script.as_deref().filter(|script| script.trim_end_matches(".lua") != snapshot.scenario) {
            return Err(format!("a run of `{}` is under way: stop it before one of `{asked}` begins", snapshot.scenario));
        }
        let running = master.fingerprint().unwrap_or_default();
        if let Some(wanted) = order.scripts_fingerprint.as_ref().filter(|wanted| !running.starts_with(wanted.as_str())) {
            return Err(format!("a run of the scripts as of {} is under way: stop it before one as of {wanted} begins", short(running)));
        }
        let (place, profile) = profile_of(order, master)?;
        let of = profile_words(order);
        if order.purpose == Purpose::Steer && self.by_hand.0 == snapshot.run && self.by_hand.1.contains(&place) {
            return Err(BY_HAND.to_owned());
        }
        if let LoadProfile::Iterations(_) = profile {
            return Err(format!(
                "{of}a run of iterations ends by itself when they are done: it takes neither another number of users nor a rate; stop it first"
            ));
        }
        let has_ended = matches!(profile.end(), ProfileEnd::StopAt(end) if end <= master.elapsed(now));
        if has_ended && order.run_time.is_none() {
            return Err(format!("{of}it has come to its end: say for how long it shall go on, with a run time"));
        }
        // A level is no start: one that is to start later has it from then on.
        let start = Some(profile.start())
            .filter(|start| *start > master.elapsed(now))
            .map(|start| format!("its start at {} s", start.as_secs_f64()));
        let time = match (order.run_time, &start) {
            (Some(time), _) => format!(", for {} s from {} on", time.as_secs_f64(), start.as_deref().unwrap_or("now")),
            (None, Some(start)) => format!(", from {start} on"),
            (None, None) => String::new(),
        };
        let users = match (order.users, order.rate, profile.is_open()) {
            (None, Some(rate), true) => {
                let words = format!("{of}arrivals: {rate}{time}; the run goes on");
                let accepted = Accepted { run: snapshot.run, host: snapshot.host, words };
                return Ok((Change::Rate(place, Rerate { rate, at: order.at, run_time: order.run_time }), accepted));
            }
            (None, None, _) if order.purpose == Purpose::Steer => {
                let accepted = Accepted { run: snapshot.run, host: snapshot.host, words: format!("{of}its users finish") };
                return Ok((Change::End(place), accepted));
            }
            (Some(users), None, false) => users,
            (_, _, true) => return Err(format!("{of}a run of arrivals is under way: say which rate it shall have, or stop it first")),
            (_, _, false) => return Err(format!("{of}a run is under way: say how many users it shall have, or stop it first")),
        };
        let (spawn_rate, why) = match order.spawn_rate {
            Some(rate) => (rate, ""),
            None => (profile.spawn_rate(), ", as before"),
        };
        let pace = if spawn_rate.is_finite() { format!("{spawn_rate} per second{why}") } else { format!("once{why}") };
        let accepted =
            Accepted { run: snapshot.run, host: snapshot.host, words: format!("{of}users: {users} at {pace}{time}; the run goes on") };
        Ok((Change::Users(place, Retarget { users, spawn_rate, run_time: order.run_time }), accepted))
    }
}

/// The profile whose level an order changes, and its place: the one that it names, or the only one.
fn profile_of<'a>(order: &StartOrder, master: &'a Master) -> Result<(usize, &'a LoadProfile), String> {
    let profile = master.profile().ok_or("no run is under way")?;
    let named = profile.named();
    let names = || named.iter().map(|named| format!("`{}`", named.name)).collect::<Vec<_>>().join(", ");
    let place = match &order.profile {
        None if named.len() > 1 => {
            return Err(format!(
                "the run that is under way has the profiles {}: say which of them shall change (`profile`), or stop it first",
                names()
            ));
        }
        None => 0,
        Some(wanted) if named.is_empty() => return Err(format!("there is no profile `{wanted}`: the run has one, which has no name")),
        Some(wanted) => {
            let place = named.iter().position(|named| named.name == *wanted);
            place.ok_or_else(|| format!("there is no profile `{wanted}` in the run that is under way; there are {}", names()))?
        }
    };
    profile.part(place).map(|part| (place, part)).ok_or_else(|| "no run is under way".into())
}

/// Which profile an order is of, where it names one.
fn profile_words(order: &StartOrder) -> String {
    order.profile.as_ref().map_or_else(String::new, |name| format!("profile `{name}`: "))
}

/// As many digits of a fingerprint as people are shown.
fn short(fingerprint: &str) -> &str {
    fingerprint.get(..12).unwrap_or(fingerprint)
}

/// What somebody wants of a run that is under way.
enum Change {
    /// Of the profile with this place.
    Users(usize, Retarget),
    Rate(usize, Rerate),
    End(usize),
}

/// Why a start cannot become what it shall.
fn refusal(order: &StartOrder, state: RunState) -> Option<String> {
    let why = match (order.purpose, state) {
        (Purpose::NewRun, RunState::Ready | RunState::Stopped) | (Purpose::Any, _) => return None,
        (Purpose::NewRun, RunState::Spawning | RunState::Running | RunState::Paused) if let Some(lacking) = order.lacks() => {
            return Some(format!("a run is under way: {lacking} to change it, or stop it first"));
        }
        (Purpose::NewRun, _) => "a run is under way: stop it first, or re-target it",
        (Purpose::Retarget | Purpose::Steer, RunState::Ready | RunState::Stopped) => "no run is under way: start one",
        (Purpose::Retarget | Purpose::Steer, RunState::Stopping) => "the run is ending: start another one when it is over",
        (Purpose::Retarget | Purpose::Steer, _) => return None,
    };
    Some(why.to_owned())
}

/// What a stop, a cut or a reset comes to where no run is under way; empty where one is.
const fn idle_words(command: &Command, state: RunState, drops_starts: bool) -> &'static str {
    match (command, state) {
        (Command::Stop | Command::Cut, RunState::Ready | RunState::Stopped) if drops_starts => "the start that was on its way is given up",
        (Command::Stop | Command::Cut, RunState::Ready) => "no run is under way (state: ready), and so there is nothing to stop",
        (Command::Stop | Command::Cut, RunState::Stopped) => "the run is over (state: stopped), and so there is nothing to stop",
        (Command::Reset, RunState::Ready) => "no run has been started, and so there is nothing to reset",
        (Command::Reset, RunState::Stopped) => "the run is over: the statistics that it had left are cleared",
        _ => "",
    }
}

/// The run, and its base URL.
fn current(master: &Master, now: Instant) -> (RunId, Option<String>) {
    master.run().map_or_else(Default::default, |(run, _)| (run, master.snapshot(now).host))
}

/// Writes to the log who has asked for what. The process's own wishes, which come without a name, it need not tell itself.
fn note(by: &str, words: impl FnOnce() -> String) {
    if !by.is_empty() {
        log::info!(target: MASTER_TARGET, "{by} asked: {}", words());
    }
}

fn answer(reply: Reply, result: Result<Accepted, Declined>) {
    // Whoever asked may have given up.
    let _ = reply.send(result);
}

/// Starts that may wait for the end of a run.
const WAITING: usize = 16;
const OUTCOMES: usize = 8;
/// Between two looks at scripts that are on their way.
const REPLAN: Duration = Duration::from_secs(1);
/// A script is evaluated within seconds, or stopped by its watchdog; this is for a folder that does not answer.
const PLAN_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_or_a_reset_where_no_run_is_under_way_says_so() {
        let said = |command: &Command, state| idle_words(command, state, false);
        assert!(said(&Command::Stop, RunState::Ready).starts_with("no run is under way (state: ready)"));
        assert!(said(&Command::Stop, RunState::Stopped).starts_with("the run is over (state: stopped)"));
        assert!(said(&Command::Reset, RunState::Ready).contains("nothing to reset"));
        assert!(said(&Command::Reset, RunState::Stopped).ends_with("are cleared"));
        assert!(idle_words(&Command::Stop, RunState::Ready, true).contains("start that was on its way"));
        for state in [RunState::Waiting, RunState::Spawning, RunState::Running, RunState::Paused, RunState::Stopping] {
            assert_eq!((said(&Command::Stop, state), said(&Command::Reset, state)), ("", ""), "{state:?}");
        }
    }

    #[test]
    fn a_start_in_mid_run_that_names_no_level_is_told_what_it_lacks() {
        let pace = StartOrder { purpose: Purpose::NewRun, spawn_rate: Some(5.0), ..StartOrder::default() };
        let wanted = "a run is under way: a spawn rate alone (-r, `spawn_rate`) needs the number of users (-u, `users`) to change it, or stop it first";
        assert_eq!(refusal(&pace, RunState::Running).as_deref(), Some(wanted));
        assert_eq!(refusal(&pace, RunState::Ready), None);
        let users = StartOrder { users: Some(3), ..pace };
        assert_eq!(refusal(&users, RunState::Running).as_deref(), Some("a run is under way: stop it first, or re-target it"));
    }
}
