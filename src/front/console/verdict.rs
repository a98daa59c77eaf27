//! The verdict: what a run's numbers, and how it ended, mean as an exit code.

use crate::stats::snapshot::Snapshot;

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
    /// 99: a threshold failed.
    ThresholdsFailed,
    /// 1, or what `--exit-code-on-error` says: a request failed or the script raised, and the scenario states no threshold.
    RequestsFailed(u8),
    /// 0: passed.
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
            Self::ThresholdsFailed => 99,
            Self::RequestsFailed(code) => code,
            Self::Passed => 0,
        }
    }
}

/// How a run ended, apart from its numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ending {
    /// A part of the program panicked or broke an invariant.
    pub had_bug: bool,
    /// The scenario could not be set up on a lane.
    pub bad_use: bool,
    /// Numbers of a worker are missing.
    pub cluster_lost: bool,
    /// Ctrl-C and SIGTERM.
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

/// The exit code of a run.
///
/// Where thresholds exist they alone judge the requests. An interrupted run has no verdict if it was cut, or if no request was made.
/// A run that made no request because its script raised is bad use: it tells of the script, and nothing of the target. One whose
/// script raised later has failed, as Locust has it, and so has one in which the generator could not make a single request: calling it
/// passed would say that something was tested.
#[must_use]
pub fn verdict(snapshot: &Snapshot, ending: Ending, exit_code_on_error: u8) -> ExitCode {
    // Requests that failed for want of the generator's own resources have tested nothing.
    let made_requests = snapshot.total.judged() > 0;
    let has_raised = snapshot.steps_raised() > 0;
    let is_script_bad = snapshot.total.requests == 0 && has_raised;
    let has_tested_nothing = !made_requests && (snapshot.users_dropped > 0 || snapshot.total.requests > 0);
    let has_failed = snapshot.total.failures > 0 || has_raised || has_tested_nothing;
    let has_no_verdict = match ending.interrupt {
        Interrupt::None => false,
        Interrupt::Graceful => !made_requests,
        Interrupt::Cut => true,
    };
    if ending.had_bug {
        ExitCode::Bug
    } else if ending.bad_use || is_script_bad {
        ExitCode::BadUse
    } else if ending.cluster_lost {
        ExitCode::ClusterLost
    } else if has_no_verdict {
        ExitCode::Interrupted
    } else if snapshot.thresholds.iter().any(|threshold| !threshold.passed) {
        ExitCode::ThresholdsFailed
    } else if snapshot.thresholds.is_empty() && has_failed {
        ExitCode::RequestsFailed(exit_code_on_error)
    } else {
        ExitCode::Passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::sample::FailureKind;
    use crate::stats::snapshot::{EntryView, ThresholdView};

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
        assert_eq!(verdict(&Snapshot::default(), Ending::default(), 1).code(), 0);
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
}
