//! `lunamoth swarm`, `stop`, `status`, `reset`: a master controlled from a shell.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::client::options;
use super::ending::rules;
use super::failure::Failure;
use super::signals::Signals;
use super::start::{Start, run_to_end};
use crate::cli::{Control, ControlAction};
use crate::config::Settings;
use crate::front::client::{self, ClientError, MasterClient};
use crate::front::console::{self, Ending, Evidence, ExitCode, Rules};
use crate::front::snapshot_json::{AcceptedJson, OrderJson, RunJson, SnapshotJson};
use crate::front::text::escape;

pub(super) fn control(start: &Start, control: &Control) -> Result<u8, Failure> {
    let master = MasterClient::new(&options(&start.settings)?).map_err(failed)?;
    let shell = Shell { start, master, is_json: control.is_json, control };
    run_to_end(async {
        let mut signals = Signals::new()?;
        tokio::select! {
            code = shell.carry_out(control.action) => code.map(ExitCode::code),
            () = signals.next() => Ok(shell.interrupted(control.action)),
        }
    })
}

/// One command, on its way.
struct Shell<'a> {
    start: &'a Start,
    master: MasterClient,
    is_json: bool,
    control: &'a Control,
}

impl Shell<'_> {
    async fn carry_out(&self, action: ControlAction) -> Result<ExitCode, Failure> {
        let (reply, waits) = match action {
            ControlAction::Swarm { waits } => (self.master.swarm(&self.order()?).await, waits),
            ControlAction::Stop { waits } => (self.master.act("stop").await, waits),
            ControlAction::Reset => (self.master.act("reset").await, false),
            ControlAction::Report { is_html } => {
                let text = self.master.report(is_html).await.map_err(failed)?;
                self.start.screen.print(&text);
                return Ok(ExitCode::Passed);
            }
            ControlAction::Status { watches: true } => return self.watch().await,
            ControlAction::Status { watches: false } => {
                let (snapshot, text) = self.snapshot().await?;
                self.show(&snapshot, &text);
                return Ok(ExitCode::Passed);
            }
        };
        let (reply, text): (AcceptedJson, String) = reply.map_err(failed)?;
        self.start.screen.print(&if self.is_json { format!("{text}\n") } else { client::accepted(&reply) });
        if waits && !reply.run.is_empty() { self.wait(&reply.run).await } else { Ok(ExitCode::Passed) }
    }

    fn order(&self) -> Result<OrderJson, Failure> {
        let Control { scripts_fingerprint, profile, .. } = self.control;
        Ok(OrderJson { scripts_fingerprint: scripts_fingerprint.clone(), profile: profile.clone(), ..order(&self.start.settings)? })
    }

    async fn snapshot(&self) -> Result<(SnapshotJson, String), Failure> {
        self.master.get("snapshot").await.map_err(failed)
    }

    fn show(&self, snapshot: &SnapshotJson, text: &str) {
        let screen = &self.start.screen;
        screen.print(&if self.is_json { format!("{text}\n") } else { client::status(snapshot, screen.table_width(), ALL_ROWS) });
    }

    /// Until the run is over; its numbers give the verdict.
    async fn wait(&self, run: &str) -> Result<ExitCode, Failure> {
        let (begin, mut patience, mut is_seen) = (Instant::now(), Patience::new(), false);
        loop {
            sleep(INTERVAL).await;
            let Some((shown, _)) = patience.bear(self.master.get::<RunJson>("run").await)? else { continue };
            is_seen |= shown.run == run;
            // A master shows a new run with its next snapshot.
            if client::is_over(run, &shown) && (is_seen || begin.elapsed() > APPEARANCE) {
                break;
            }
            if let Some((snapshot, _)) = patience.bear(self.master.get::<SnapshotJson>("snapshot").await)? {
                self.start.screen.progress(client::line(&snapshot));
            }
        }
        self.start.screen.progress(String::new());
        let (snapshot, text) = self.snapshot().await?;
        if snapshot.run != run {
            let reason = anyhow::anyhow!("run {run} is over, and another one is in its place: its verdict cannot be told");
            return Err(Failure { code: ExitCode::ClusterLost, reason });
        }
        self.show(&snapshot, &text);
        if let Some(why) = &snapshot.misuse {
            return Err(Failure::bad_use(anyhow::anyhow!("the run came to nothing: {}", escape(why))));
        }
        Ok(verdict(&snapshot, rules(&self.start.settings)))
    }

    /// Until somebody ends it, or the master is gone for good.
    async fn watch(&self) -> Result<ExitCode, Failure> {
        let screen = &self.start.screen;
        let redraws = screen.redraws() && !self.is_json;
        let mut patience = Patience::new();
        let mut heard = Instant::now();
        loop {
            let answer = self.told_of_silence(self.master.get::<SnapshotJson>("snapshot"), heard).await;
            if let Some((snapshot, text)) = patience.bear(answer)? {
                heard = Instant::now();
                screen.print(&if redraws {
                    let rows = client::rows().unwrap_or(ALL_ROWS).saturating_sub(1);
                    format!("\x1b[H\x1b[J{}", client::status(&snapshot, screen.table_width(), rows))
                } else if self.is_json {
                    format!("{text}\n")
                } else {
                    format!("{}\n", client::line(&snapshot))
                });
            }
            sleep(INTERVAL).await;
        }
    }

    /// Waits for an answer, and says each few seconds how old what stands on the screen has become.
    async fn told_of_silence<T>(&self, answer: impl Future<Output = T>, heard: Instant) -> T {
        tokio::pin!(answer);
        loop {
            let next = heard + next_word(heard.elapsed());
            tokio::select! {
                answer = &mut answer => return answer,
                () = sleep_until(next) => {
                    let age = heard.elapsed().as_secs();
                    let said = if age < SILENT_S { format!("these numbers are {age} s old") } else { format!("nobody has answered for {age} s") };
                    log::warn!("{said}");
                }
            }
        }
    }

    /// Whoever has seen enough of a run has not failed.
    fn interrupted(&self, action: ControlAction) -> u8 {
        self.start.screen.progress(String::new());
        if matches!(action, ControlAction::Status { .. } | ControlAction::Report { .. }) {
            return ExitCode::Passed.code();
        }
        log::info!("no longer waiting; the run goes on as it was asked to");
        ExitCode::Interrupted.code()
    }
}

/// The age at which numbers are called old, or the silence is told of again.
fn next_word(age: Duration) -> Duration {
    let told = [OLD_S, SILENT_S].map(Duration::from_secs).into_iter().find(|told| age < *told);
    told.unwrap_or_else(|| Duration::from_secs((age.as_secs() / SILENT_S + 1) * SILENT_S))
}

/// How long a master may be away while it is watched: it may be restarted, and its workers go on.
pub(super) struct Patience {
    last: Instant,
    is_told: bool,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { last: Instant::now(), is_told: false }
    }

    /// `None` where there was no answer this time.
    pub(super) fn bear<T>(&mut self, answer: Result<T, ClientError>) -> Result<Option<T>, Failure> {
        match answer {
            Ok(answer) => {
                *self = Self::new();
                Ok(Some(answer))
            }
            Err(why) if why.may_pass() && self.last.elapsed() < ABSENCE => {
                if !std::mem::replace(&mut self.is_told, true) {
                    log::warn!("{why}; asking again for {} s", ABSENCE.as_secs());
                }
                Ok(None)
            }
            Err(why) => Err(failed(why)),
        }
    }
}

pub(super) fn order(settings: &Settings) -> Result<OrderJson, Failure> {
    let script = settings.script.as_ref().map(|script| {
        let name = script.to_str().map(str::to_owned);
        name.ok_or_else(|| Failure::bad_use(anyhow::anyhow!("the script's name is not UTF-8 text")))
    });
    Ok(OrderJson {
        users: settings.users,
        rate: settings.rate.map(|rate| rate.to_string()),
        spawn_rate: settings.spawn_rate,
        run_time: settings.run_time.map(|time| format!("{}ms", time.as_millis())),
        host: settings.host.clone(),
        script: script.transpose()?,
        ..OrderJson::default()
    })
}

/// As a run on this machine is judged, as far as a snapshot tells.
fn verdict(snapshot: &SnapshotJson, rules: Rules) -> ExitCode {
    console::verdict(&Evidence::of_json(snapshot), Ending::default(), rules)
}

pub(super) fn failed(error: ClientError) -> Failure {
    Failure { code: error.exit_code(), reason: error.into() }
}

const OLD_S: u64 = 3;
const SILENT_S: u64 = 10;
const INTERVAL: Duration = Duration::from_secs(1);
const APPEARANCE: Duration = Duration::from_secs(10);
const ABSENCE: Duration = Duration::from_secs(60);

/// More than anybody's terminal has: nothing is left out.
const ALL_ROWS: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::snapshot_json::{EntryJson, HoleJson, ThresholdJson};

    #[test]
    fn a_silence_is_told_of_after_three_seconds_and_after_each_ten() {
        let told = [0, 2_999, 3_000, 9_999, 10_000, 34_000].map(|millis| next_word(Duration::from_millis(millis)).as_secs());
        assert_eq!(told, [3, 3, 10, 10, 20, 40]);
    }

    #[test]
    fn a_run_from_afar_is_judged_as_one_on_this_machine() {
        let failing = SnapshotJson { total: EntryJson { requests: 2, failures: 1, ..EntryJson::default() }, ..SnapshotJson::default() };
        let stated = |passed| SnapshotJson { thresholds: vec![ThresholdJson { passed, ..ThresholdJson::default() }], ..failing.clone() };
        let with = |exit_code_on_error| Rules { exit_code_on_error, is_strict: false };
        assert_eq!(verdict(&SnapshotJson::default(), with(1)), ExitCode::RequestsFailed(1));
        assert_eq!(verdict(&failing, with(7)), ExitCode::RequestsFailed(7));
        assert_eq!(verdict(&stated(true), with(1)), ExitCode::Passed);
        assert_eq!(verdict(&stated(false), with(1)), ExitCode::ThresholdsFailed);
        assert_eq!(verdict(&SnapshotJson { holes: vec![HoleJson::default()], ..stated(false) }, with(1)), ExitCode::ClusterLost);
        let given_up = SnapshotJson { unfinished: Some("its workers ended their users".to_owned()), ..stated(true) };
        assert_eq!(verdict(&given_up, with(1)), ExitCode::ClusterLost);
    }
}
