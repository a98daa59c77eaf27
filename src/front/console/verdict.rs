//! The verdict: what a run's numbers, and how it ended, mean as an exit code.

use std::time::Duration;

use crate::front::snapshot_json::SnapshotJson;
use crate::stats::snapshot::Snapshot;
use crate::stats::tags;
use crate::stats::threshold::selected;

/// The exit codes of the program. Where several apply, the one that stands first here counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// 70: a bug of ours.
    Bug,
    /// 2: bad use, configuration or script.
    BadUse,
    /// 3: the run could not be finished or collected.
    ClusterLost,
    /// 130: Ctrl-C before any verdict.
    Interrupted,
    /// 4: more of the run was unsound than `--strict` allows.
    Unsound,
    /// 99: a threshold failed.
    ThresholdsFailed,
    /// 1, or what `--exit-code-on-error` says: a request failed or the script raised, and the scenario states no threshold.
    RequestsFailed(u8),
    /// The run passed: 0.
    Passed,
}

impl ExitCode {
    /// What the process ends with.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Bug => 70,
            Self::BadUse => 2,
            Self::ClusterLost => 3,
            Self::Interrupted => 130,
            Self::Unsound => 4,
            Self::ThresholdsFailed => 99,
            Self::RequestsFailed(code) => code,
            Self::Passed => 0,
        }
    }
}

/// What a person says of the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The exit code where a request failed and no threshold judges.
    pub exit_code_on_error: u8,
    /// A run whose own generator was at fault too often has no verdict on the target.
    pub is_strict: bool,
}

/// How a run ended, apart from its numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ending {
    /// A part of the program panicked or broke an invariant.
    pub had_bug: bool,
    /// The scenario could not be set up on a lane.
    pub bad_use: bool,
    /// The run could not be finished or collected, though its numbers may not show it.
    pub cluster_lost: bool,
    /// Ctrl-C, SIGTERM, or none of them.
    pub interrupt: Interrupt,
}

/// How often somebody asked the run to end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Interrupt {
    /// Never: the run came to its own end.
    #[default]
    None,
    /// Once: users finished, the numbers are whole.
    Graceful,
    /// Twice: what was in flight was cut.
    Cut,
}

/// What of a run's numbers an exit code follows from, wherever they were measured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Requests, whatever became of them.
    pub requests: u64,
    /// Failed requests; none that was cut, and none that the generator itself could not make.
    pub failures: u64,
    /// Requests that the end of the run, or of their user, cut off.
    pub cut: u64,
    /// Requests of the warm-up, which are none of those.
    pub warmed_up: u64,
    /// Requests that failed for want of the generator's own resources.
    pub local: u64,
    /// Errors that the script raised, in checks and wherever else.
    pub raised: u64,
    /// Checks, whether they held or not.
    pub checks: u64,
    /// Iterations that came to their end, those that raised included.
    pub iterations: u64,
    /// Iterations that the script ended by an error.
    pub iterations_raised: u64,
    /// Steps that raised: iterations, `on_start`s and `on_stop`s.
    pub steps_raised: u64,
    /// Names of the user classes of which no iteration ever came to a good end, though some began or tried to.
    pub broken_classes: Vec<String>,
    /// The names of the profiles, each with those of its classes.
    pub profiles: Vec<(String, Vec<String>)>,
    /// Seconds in which the generator was late, held back or out of resources.
    pub unsound_seconds: u64,
    /// Seconds of the run, without those of its warm-up.
    pub seconds: u64,
    /// Why the script ended the run, if it did.
    pub aborted: Option<String>,
    /// The run was ended by what of the script or the settings could not be used.
    pub is_misuse: bool,
    /// Why the run could not be finished or collected, if that is so: lost numbers are never a pass.
    pub incomplete: Option<String>,
    /// Metrics of the thresholds as they were written, and whether each passed.
    pub thresholds: Vec<(String, bool)>,
}

impl Evidence {
    /// What a snapshot tells.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        Self {
            requests: snapshot.total.requests,
            failures: snapshot.total.failures,
            cut: snapshot.total.cut,
            warmed_up: snapshot.warmup.as_ref().map_or(0, |warmup| warmup.numbers.total.requests),
            local: snapshot.total.local(),
            raised: snapshot.exceptions_raised().max(snapshot.steps_raised()),
            checks: snapshot.checks.iter().map(|check| check.passes + check.fails).sum(),
            iterations: snapshot.times.iterations.count,
            iterations_raised: snapshot.iterations_raised,
            steps_raised: snapshot.steps_raised(),
            broken_classes: snapshot
                .classes
                .iter()
                .filter(|class| is_broken(class.counts.finished, class.counts.raised, class.counts.start_failures))
                .map(|class| class.name.clone())
                .collect(),
            profiles: snapshot.profiles.iter().map(|profile| (profile.name.clone(), profile.classes.clone())).collect(),
            aborted: snapshot.aborted.clone(),
            is_misuse: snapshot.misuse.is_some(),
            incomplete: incomplete(snapshot.unfinished.as_ref(), !snapshot.holes.is_empty()),
            unsound_seconds: snapshot.health.unsound_seconds,
            // The warm-up is judged by nothing.
            seconds: snapshot.elapsed.saturating_sub(snapshot.warmup.as_ref().map_or(Duration::ZERO, |warmup| warmup.end)).as_secs(),
            thresholds: snapshot.thresholds.iter().map(|threshold| (threshold.metric.clone(), threshold.passed)).collect(),
        }
    }

    /// The same of a snapshot that came from afar, as far as it tells.
    #[must_use]
    pub fn of_json(snapshot: &SnapshotJson) -> Self {
        Self {
            requests: snapshot.total.requests,
            failures: snapshot.total.failures,
            cut: snapshot.total.cut,
            warmed_up: snapshot.warmup.as_ref().map_or(0, |warmup| warmup.total.requests),
            local: snapshot.generator.local_failures,
            raised: snapshot.exceptions.iter().map(|exception| exception.count).sum::<u64>().max(snapshot.iterations.steps_raised()),
            checks: snapshot.checks.iter().map(|check| check.passes + check.fails).sum(),
            iterations: snapshot.iterations.duration.count,
            iterations_raised: snapshot.iterations.raised,
            steps_raised: snapshot.iterations.steps_raised(),
            broken_classes: snapshot
                .classes
                .iter()
                .filter(|class| is_broken(class.iterations, class.raised, class.start_failures))
                .map(|class| class.name.clone())
                .collect(),
            profiles: snapshot.profiles.iter().map(|profile| (profile.name.clone(), profile.classes.clone())).collect(),
            aborted: snapshot.aborted.clone(),
            is_misuse: snapshot.misuse.is_some(),
            incomplete: incomplete(snapshot.unfinished.as_ref(), !snapshot.holes.is_empty()),
            unsound_seconds: snapshot.generator.unsound_s,
            // The warm-up is judged by nothing. A cast saturates.
            seconds: (snapshot.elapsed_s - snapshot.warmup.as_ref().map_or(0.0, |warmup| warmup.end_s)) as u64,
            thresholds: snapshot.thresholds.iter().map(|threshold| (threshold.metric.clone(), threshold.passed)).collect(),
        }
    }

    /// What alone makes a run that thresholds judge a failed one, though all of them hold; `None` where nothing does.
    ///
    /// Thresholds on other metrics hold best where nothing happens. Who states one on `exceptions` has thought of a script that raises, and who states one on
    /// `http_reqs` of a run without requests as well: of the whole run, or of the classes of the profile that it names.
    #[must_use]
    pub fn hollow(&self) -> Option<String> {
        let unforeseen: Vec<&String> = self.broken_classes.iter().filter(|class| !self.is_foreseen(class)).collect();
        let is_foreseen = unforeseen.is_empty() && !self.broken_classes.is_empty();
        let may_raise = self.selectors_on("exceptions").any(|selector| selector.is_empty());
        if let Some(why) = &self.aborted {
            Some(format!("the script ended the run: {why}"))
        } else if self.selectors_on("http_reqs").any(|selector| selector.is_empty()) {
            None
        } else if self.iterations > 0 && self.iterations_raised >= self.iterations && !is_foreseen && !may_raise {
            Some("the script raised in every iteration".to_owned())
        } else if self.requests == 0 && self.steps_raised > 0 && !may_raise {
            Some("the script raised, and made no request".to_owned())
        } else if self.requests == 0 {
            // Whoever counts those of an entry has thought of there being none.
            let is_counted = self.selectors_on("http_reqs").next().is_some();
            let words =
                if self.warmed_up > 0 { "no request was made but in the warm-up, which counts in nothing" } else { "no request was made" };
            (!is_counted).then(|| words.to_owned())
        } else if self.local >= self.requests {
            Some("no request could be made from this machine".to_owned())
        } else if self.cut.saturating_add(self.local) >= self.requests {
            Some(
                "no request came to its end: what was under way when the run was over was cut, which says nothing of the target".to_owned(),
            )
        } else if may_raise {
            None
        } else if self.checks > 0 && self.raised.saturating_sub(self.steps_raised) >= self.checks {
            Some("every check raised".to_owned())
        } else if let [class, more @ ..] = &unforeseen[..] {
            let others = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
            Some(format!("no iteration of {class}{others} came to its end without an error of the script"))
        } else {
            None
        }
    }

    /// What thresholds on this metric select by: nothing where they look at the whole run.
    fn selectors_on(&self, metric: &str) -> impl Iterator<Item = Vec<(String, String)>> {
        let selected = self.thresholds.iter().filter_map(|(stated, _)| selected(stated));
        selected.filter(move |(named, _)| *named == metric).map(|(_, selector)| selector)
    }

    /// What those select by that look at how often the script raised, and how many requests there were.
    fn selectors(&self) -> impl Iterator<Item = Vec<(String, String)>> {
        self.selectors_on("exceptions").chain(self.selectors_on("http_reqs"))
    }

    /// Whether one of those is of a profile that has this class.
    fn is_foreseen(&self, class: &str) -> bool {
        let is_named = |name: &str| self.selectors().flatten().any(|(key, value)| key == tags::PROFILE && value == name);
        self.profiles.iter().any(|(name, classes)| classes.iter().any(|of_it| of_it == class) && is_named(name))
    }

    /// Whether more than a hundredth of the run is not the target's alone.
    const fn is_unsound(&self) -> bool {
        self.unsound_seconds.saturating_mul(100) > self.seconds
    }

    /// Whether the target was asked anything.
    const fn has_asked(&self) -> bool {
        self.requests > self.local
    }
}

/// Why a run is not whole: what its master says of it, or that it has holes.
fn incomplete(unfinished: Option<&String>, has_holes: bool) -> Option<String> {
    unfinished.cloned().or_else(|| has_holes.then(|| NUMBERS_MISSING.to_owned()))
}

/// What is said of holes where nothing else is known.
pub(super) const NUMBERS_MISSING: &str = "numbers of a worker are missing";

/// Whether no iteration of a class came to a good end.
#[must_use]
pub const fn is_broken(finished: u64, raised: u64, start_failures: u64) -> bool {
    if finished == 0 { start_failures > 0 } else { raised >= finished }
}

/// The exit code of a run.
///
/// Where thresholds exist they judge the run, unless it was [hollow](Evidence::hollow): that is no matter of failed requests, and fails it whatever their code
/// is. An interrupted run has no verdict if it was cut, or if
/// no request was made. A run without thresholds that made no request because its script raised is bad use: it tells of the script, and
/// nothing of the target. One whose script raised later has failed, as Locust has it, be it in a check.
#[must_use]
pub fn verdict(evidence: &Evidence, ending: Ending, rules: Rules) -> ExitCode {
    let has_thresholds = !evidence.thresholds.is_empty();
    let is_script_bad = !has_thresholds && evidence.requests == 0 && evidence.steps_raised > 0;
    let has_failed = evidence.failures > 0 || evidence.raised > 0;
    let has_no_verdict = match ending.interrupt {
        Interrupt::None => false,
        Interrupt::Graceful => !evidence.has_asked(),
        Interrupt::Cut => true,
    };
    if ending.had_bug {
        ExitCode::Bug
    } else if ending.bad_use || evidence.is_misuse || is_script_bad {
        ExitCode::BadUse
    } else if ending.cluster_lost || evidence.incomplete.is_some() {
        ExitCode::ClusterLost
    } else if has_no_verdict {
        ExitCode::Interrupted
    } else if rules.is_strict && evidence.is_unsound() {
        ExitCode::Unsound
    } else if evidence.thresholds.iter().any(|(_, passed)| !passed) {
        ExitCode::ThresholdsFailed
    } else if !has_thresholds && has_failed {
        ExitCode::RequestsFailed(rules.exit_code_on_error)
    } else if evidence.hollow().is_some() {
        ExitCode::RequestsFailed(1)
    } else {
        ExitCode::Passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::sample::FailureKind;
    use crate::stats::snapshot::{ClassShare, EntryView, ProfileView, ThresholdView, WarmupView};
    use crate::stats::tally::ClassCounts;

    fn verdict(snapshot: &Snapshot, ending: Ending, exit_code_on_error: u8) -> ExitCode {
        super::verdict(&Evidence::of(snapshot), ending, Rules { exit_code_on_error, is_strict: false })
    }

    fn snapshot(requests: u64, failures: u64, thresholds: &[bool]) -> Snapshot {
        let threshold =
            |passed: &bool| ThresholdView { metric: String::new(), condition: String::new(), actual: String::new(), passed: *passed };
        Snapshot {
            total: EntryView { requests, failures, ..EntryView::default() },
            thresholds: thresholds.iter().map(threshold).collect(),
            ..Snapshot::default()
        }
    }

    #[test]
    fn thresholds_judge_neither_a_run_without_requests_nor_one_whose_checks_all_raised() {
        let hollow = |requests, thresholds: &[&str], checks, raised| {
            let thresholds = thresholds.iter().map(|metric| ((*metric).to_owned(), true)).collect();
            Evidence { requests, thresholds, checks, raised, iterations: 5, ..Evidence::default() }.hollow()
        };
        assert_eq!(hollow(0, &["exceptions"], 0, 0).as_deref(), Some("no request was made"));
        assert_eq!(hollow(0, &["exceptions", "http_reqs"], 0, 0), None);
        assert_eq!(hollow(7, &["http_req_failed"], 7, 7).as_deref(), Some("every check raised"));
        assert_eq!(hollow(7, &["http_req_failed"], 7, 6), None);
        assert_eq!(hollow(7, &["exceptions"], 7, 7), None);
    }

    #[test]
    fn the_gravest_reason_counts() {
        let failed = snapshot(10, 1, &[false]);
        let mut ending = Ending { had_bug: true, bad_use: true, cluster_lost: true, interrupt: Interrupt::Cut };
        let mut codes = vec![verdict(&failed, ending, 1).code()];
        ending.had_bug = false;
        codes.push(verdict(&failed, ending, 1).code());
        ending.bad_use = false;
        codes.push(verdict(&failed, ending, 1).code());
        ending.cluster_lost = false;
        codes.push(verdict(&failed, ending, 1).code());
        ending.interrupt = Interrupt::None;
        codes.push(verdict(&failed, ending, 1).code());
        codes.push(verdict(&snapshot(10, 1, &[]), ending, 1).code());
        codes.push(verdict(&snapshot(10, 0, &[]), ending, 1).code());
        assert_eq!(codes, [70, 2, 3, 130, 99, 1, 0]);
    }

    #[test]
    fn thresholds_alone_decide_where_they_exist() {
        assert_eq!(verdict(&snapshot(10, 9, &[true]), Ending::default(), 1), ExitCode::Passed);
        assert_eq!(verdict(&snapshot(10, 0, &[true, false]), Ending::default(), 1), ExitCode::ThresholdsFailed);
    }

    #[test]
    fn the_code_of_failed_requests_can_be_chosen() {
        assert_eq!(verdict(&snapshot(10, 1, &[]), Ending::default(), 0).code(), 0);
        assert_eq!(verdict(&snapshot(10, 1, &[]), Ending::default(), 7).code(), 7);
    }

    #[test]
    fn a_threshold_on_one_profile_says_nothing_of_the_classes_of_another() {
        let share = |name: &str, counts| ClassShare { name: name.to_owned(), counts, ..ClassShare::default() };
        let (whole, broken) =
            (ClassCounts { finished: 6, ..ClassCounts::default() }, ClassCounts { finished: 6, raised: 6, start_failures: 0 });
        let profile =
            |name: &str, class: &str| ProfileView { name: name.to_owned(), classes: vec![class.to_owned()], ..ProfileView::default() };
        let judged = |metrics: &[&str]| {
            let held = |metric: &&str| ThresholdView {
                metric: (*metric).to_owned(),
                condition: String::new(),
                actual: String::new(),
                passed: true,
            };
            let mut snapshot = Snapshot { thresholds: metrics.iter().map(held).collect(), ..snapshot(21, 0, &[]) };
            snapshot.iterations_raised = 6;
            snapshot.times.iterations.count = 12;
            snapshot.classes = vec![share("U", whole), share("V", broken)];
            snapshot.profiles = vec![profile("a", "U"), profile("b", "V")];
            verdict(&snapshot, Ending::default(), 0).code()
        };
        for metrics in [
            &["http_req_failed"][..],
            &["exceptions{profile:a}"],
            &["http_reqs{name:/a}"],
            &["exceptions{profile:bb}", "http_reqs{profile:a, name:b}"],
            &["http_reqs{name:\"/x,profile:b\"}"],
        ] {
            assert_eq!(judged(metrics), 1, "{metrics:?}");
        }
        for metrics in
            [&["exceptions"][..], &["http_req_failed", " http_reqs "], &["exceptions{profile:b}"], &["http_reqs{name:/v, profile: b}"]]
        {
            assert_eq!(judged(metrics), 0, "{metrics:?}");
        }
    }

    #[test]
    fn the_code_of_failed_requests_is_not_that_of_a_run_that_tells_nothing() {
        let nothing = Snapshot { start_failures: 3, ..snapshot(0, 0, &[true]) };
        assert_eq!(verdict(&nothing, Ending::default(), 0).code(), 1);
        let aborted = Snapshot { aborted: Some("the shop is closed".to_owned()), ..snapshot(10, 0, &[true]) };
        assert_eq!(verdict(&aborted, Ending::default(), 0).code(), 1);
    }

    #[test]
    fn one_interrupt_still_gives_the_runs_verdict_if_there_is_anything_to_judge() {
        let graceful = Ending { interrupt: Interrupt::Graceful, ..Ending::default() };
        assert_eq!(verdict(&snapshot(10, 1, &[]), graceful, 1).code(), 1);
        assert_eq!(verdict(&snapshot(10, 0, &[true]), graceful, 1).code(), 0);
        assert_eq!(verdict(&snapshot(0, 0, &[true]), graceful, 1).code(), 130);
    }

    #[test]
    fn a_run_whose_script_raised_before_any_request_is_bad_use() {
        let raised = Snapshot { iterations_raised: 3, ..Snapshot::default() };
        assert_eq!(verdict(&raised, Ending::default(), 1).code(), 2);
        let never_started = Snapshot { start_failures: 1, ..Snapshot::default() };
        assert_eq!(verdict(&never_started, Ending::default(), 1).code(), 2);
        let raised_later = Snapshot { iterations_raised: 3, ..snapshot(10, 0, &[]) };
        assert_eq!(verdict(&raised_later, Ending::default(), 1).code(), 1);
        let dropped = Snapshot { users_dropped: 1, ..Snapshot::default() };
        assert_eq!(verdict(&dropped, Ending::default(), 1).code(), 1);
    }

    #[test]
    fn local_failures_are_not_held_against_the_target_but_nothing_else_is_no_test() {
        let of_local = |requests, local| {
            let mut snapshot = snapshot(requests, 0, &[]);
            snapshot.total.failures_by_kind = vec![(FailureKind::Local, local)];
            verdict(&snapshot, Ending::default(), 1).code()
        };
        assert_eq!((of_local(10, 9), of_local(10, 10)), (0, 1));
    }

    /// A run whose thresholds on these metrics all hold.
    fn holding(metrics: &[&str], numbers: Snapshot) -> u8 {
        let stated = metrics.iter().map(|metric| ThresholdView {
            metric: (*metric).to_owned(),
            condition: String::new(),
            actual: String::new(),
            passed: true,
        });
        verdict(&Snapshot { thresholds: stated.collect(), ..numbers }, Ending::default(), 1).code()
    }

    #[test]
    fn a_run_that_made_no_request_does_not_pass_unless_a_threshold_has_thought_of_it() {
        assert_eq!(holding(&[], Snapshot::default()), 1);
        assert_eq!(holding(&["iteration_duration"], Snapshot::default()), 1);
        assert_eq!(holding(&["iteration_duration", "http_reqs"], Snapshot::default()), 0);
        assert_eq!(holding(&["http_reqs{name:/x}"], Snapshot::default()), 0);
        let warmup = WarmupView { end: Duration::from_secs(1), is_over: true, numbers: snapshot(12, 0, &[]) };
        let why = Evidence::of(&Snapshot { warmup: Some(std::sync::Arc::new(warmup)), ..Snapshot::default() }).hollow();
        assert_eq!(why.as_deref(), Some("no request was made but in the warm-up, which counts in nothing"));
    }

    #[test]
    fn a_script_that_raised_in_every_iteration_does_not_pass_unless_a_threshold_has_thought_of_it() {
        let of = |raised, count| {
            let iterations = crate::stats::snapshot::TrendView { count, ..Default::default() };
            let times = crate::stats::times::Times { iterations, ..Default::default() };
            Snapshot { times, iterations_raised: raised, ..snapshot(10, 0, &[]) }
        };
        assert_eq!(holding(&["http_req_duration"], of(5, 5)), 1);
        assert_eq!(holding(&["http_req_duration"], of(4, 5)), 0);
        assert_eq!(holding(&["exceptions"], of(5, 5)), 0);
        let with = |finished, raised, start_failures| {
            let counts = ClassCounts { finished, raised, start_failures };
            let classes = vec![ClassShare::default(), ClassShare { name: "Buyer".into(), counts, ..ClassShare::default() }];
            Snapshot { classes, ..of(raised, 90) }
        };
        for (class, code) in [(with(5, 5, 0), 1), (with(5, 4, 9), 0), (with(0, 0, 1), 1), (with(0, 0, 0), 0)] {
            assert_eq!(holding(&["http_req_duration"], class.clone()), code, "{:?}", class.classes);
            assert_eq!(holding(&["exceptions"], class), 0);
        }
        assert_eq!(holding(&["http_req_duration"], Snapshot { iterations_interrupted: 5, ..of(0, 0) }), 0);
        assert_eq!(holding(&["http_req_duration"], Snapshot { iterations_raised: 3, ..Snapshot::default() }), 1);
    }

    #[test]
    fn a_check_that_raised_fails_a_run_without_thresholds() {
        let exception = crate::stats::snapshot::ExceptionView { count: 1, ..Default::default() };
        let raised = Snapshot { exceptions: vec![exception], ..snapshot(10, 0, &[]) };
        assert_eq!(verdict(&raised, Ending::default(), 1).code(), 1);
        assert_eq!(holding(&["http_req_failed"], raised), 0);
    }

    #[test]
    fn a_run_of_which_numbers_are_lost_or_that_was_given_up_is_incomplete_wherever_it_is_judged() {
        use crate::stats::snapshot::HoleView;
        let holes = vec![HoleView { worker: "b_2".to_owned(), from: Duration::from_secs(3), to: Duration::from_secs(6) }];
        let with_hole = Snapshot { holes, ..snapshot(10, 0, &[true]) };
        let given_up = Snapshot { unfinished: Some("its workers ended their users".to_owned()), ..snapshot(10, 1, &[false]) };
        for (lost, why) in [(with_hole, NUMBERS_MISSING), (given_up, "its workers ended their users")] {
            let (here, afar) = (Evidence::of(&lost), Evidence::of_json(&SnapshotJson::from(&lost)));
            assert_eq!((here.incomplete.as_deref(), &afar.incomplete), (Some(why), &here.incomplete));
            for interrupt in [Interrupt::None, Interrupt::Graceful, Interrupt::Cut] {
                assert_eq!(verdict(&lost, Ending { interrupt, ..Ending::default() }, 1), ExitCode::ClusterLost);
            }
        }
        assert_eq!(verdict(&snapshot(10, 0, &[true]), Ending::default(), 1), ExitCode::Passed);
    }

    #[test]
    fn requests_that_were_cut_fail_no_run() {
        let mut cut = snapshot(4, 0, &[]);
        cut.total.cut = 3;
        assert_eq!(verdict(&cut, Ending::default(), 1).code(), 0);
        // Unless nothing else was asked.
        cut.total.cut = 4;
        assert_eq!(verdict(&cut, Ending::default(), 1).code(), 1);
        assert_eq!(holding(&["iteration_duration"], cut.clone()), 1);
        assert_eq!(holding(&["http_reqs"], cut), 0);
    }

    #[test]
    fn a_strict_run_has_no_verdict_on_the_target_where_more_than_a_hundredth_of_it_was_the_generators_fault() {
        let of = |unsound_seconds, seconds, passed, is_strict, ending| {
            let thresholds = vec![("http_reqs".to_owned(), passed)];
            let evidence = Evidence { requests: 9, unsound_seconds, seconds, thresholds, ..Evidence::default() };
            super::verdict(&evidence, ending, Rules { exit_code_on_error: 1, is_strict })
        };
        let ended = Ending::default();
        assert_eq!(of(1, 100, true, true, ended), ExitCode::Passed);
        assert_eq!(of(2, 100, true, true, ended), ExitCode::Unsound);
        assert_eq!(of(2, 100, true, false, ended), ExitCode::Passed);
        assert_eq!(of(2, 100, false, true, ended), ExitCode::Unsound);
        assert_eq!(of(0, 0, false, true, ended), ExitCode::ThresholdsFailed);
        assert_eq!(of(2, 100, true, true, Ending { cluster_lost: true, ..ended }), ExitCode::ClusterLost);
        assert_eq!(ExitCode::Unsound.code(), 4);
    }
}
