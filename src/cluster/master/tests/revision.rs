//! A running test takes changed scripts over: who is asked, who is asked again, what people see.

use std::time::SystemTime;

use super::*;
use crate::plan::ClassPlan;

fn changed(fingerprint: &str) -> Plan {
    Plan { run: RunId(99), fingerprint: fingerprint.into(), ..Plan::for_tests(LoadProfile::plain(1, 1.0, None)) }
}

impl Stand {
    fn revise(&mut self, newer: Result<Plan, String>) {
        let actions = self.master.on_revise(newer, self.now);
        self.actions.extend(actions);
    }

    /// Which workers were asked to prepare since the last look, and for which revision.
    fn asked(&mut self) -> Vec<(u64, u32)> {
        let asked = |(worker, message)| if let ToWorker::Prepare(plan) = message { Some((worker, plan.revision)) } else { None };
        self.sent().into_iter().filter_map(asked).collect()
    }

    fn has(&mut self, worker: u64, revision: u32) {
        self.message(worker, ToMaster::Prepared { run: RunId(7), revision });
    }

    fn warnings(&self) -> String {
        self.master.snapshot(self.now).warnings.join("\n")
    }
}

#[test]
fn all_workers_are_asked_and_those_who_are_behind_again() {
    let mut stand = Stand::running(2, 10);
    stand.sent();
    stand.revise(Ok(changed("def")));
    assert_eq!(stand.asked(), [(1, 1), (2, 1)]);
    assert_eq!(stand.master.snapshot(stand.now).fingerprint, "def");
    stand.has(1, 1);
    let refusal = Refusal { run: RunId(7), text: "its `test.lua` is not the master's".into(), differs: Some("abc".into()) };
    stand.message(2, ToMaster::Refused(refusal));
    assert!(
        stand.warnings().contains("1 of 2 workers run an older revision of the script: w2: its `test.lua` is not"),
        "{}",
        stand.warnings()
    );
    stand.sent();
    stand.live(Duration::from_secs(6), &[1, 2]);
    assert_eq!(stand.asked(), [(2, 1)]);
    stand.has(2, 1);
    stand.live(Duration::from_secs(6), &[1, 2]);
    assert_eq!(stand.asked(), []);
    assert_eq!(
        stand.warnings(),
        "the running test has taken a changed script over once, the last time at 00:00: its numbers are of all versions together"
    );
    assert_eq!(stand.state(), RunState::Running);
}

#[test]
fn a_change_that_would_make_another_run_of_it_is_told_and_leaves_the_run_as_it_is() {
    let mut stand = Stand::running(1, 10);
    stand.sent();
    let class = ClassPlan { name: "Other".into(), weight: 1, count: None, tasks: Vec::new() };
    stand.revise(Ok(Plan { classes: vec![class], ..changed("def") }));
    assert!(stand.warnings().contains("its user classes"), "{}", stand.warnings());
    assert_eq!(stand.logged().len(), 1);
    stand.revise(Err("main.lua:3: '=' expected".into()));
    assert!(stand.warnings().contains("main.lua:3"), "{}", stand.warnings());
    assert_eq!(stand.asked(), []);
    stand.revise(Ok(changed("abc")));
    assert_eq!((stand.warnings().as_str(), stand.asked()), ("", vec![]), "it was changed back");
}

#[test]
fn a_worker_that_joins_prepares_the_newest_revision_at_once() {
    let mut stand = Stand::running(1, 10);
    stand.revise(Ok(changed("def")));
    stand.has(1, 1);
    stand.sent();
    stand.hello(2, None);
    assert_eq!(stand.asked(), [(2, 1)]);
    stand.has(2, 1);
    assert_eq!(stand.orders().len(), 2);
    stand.revise(Ok(changed("0123")));
    assert_eq!(stand.asked(), [(1, 2), (2, 2)]);
}

#[test]
fn without_a_live_run_nothing_is_taken_over() {
    let mut stand = Stand::new();
    stand.hello(1, None);
    stand.sent();
    stand.revise(Ok(changed("def")));
    assert!(stand.actions.is_empty());
    let mut stand = Stand::running(1, 10);
    let actions = stand.master.on_stop(stand.now);
    stand.actions.extend(actions);
    stand.sent();
    stand.revise(Ok(changed("def")));
    assert!(stand.actions.is_empty());
}

#[test]
fn a_new_master_goes_on_with_the_newest_revision_that_any_worker_has() {
    let mut stand = Stand::new();
    let brings = |revision: u32, fingerprint: &str| {
        let standing = standing(&SlotSet::none(), Duration::from_secs(30), 0);
        RunStanding { plan: Arc::new(Plan { revision, fingerprint: fingerprint.into(), ..(*standing.plan).clone() }), ..standing }
    };
    stand.hello(1, Some(brings(0, "abc")));
    stand.hello(2, Some(brings(1, "def")));
    stand.live(Duration::from_secs(5), &[1, 2]);
    assert_eq!(stand.master.snapshot(stand.now).fingerprint, "def");
    assert_eq!(stand.asked(), [(1, 1)]);
}

#[test]
fn the_journal_keeps_each_revision() {
    let mut stand = Stand::running_with(MasterConfig { has_journal: true, ..config() }, 1, 10);
    stand.actions.clear();
    stand.revise(Ok(changed("def")));
    let kept = stand
        .actions
        .iter()
        .find_map(|action| if let Action::Keep(_, Record::Revised { plan }) = action { Some(plan.clone()) } else { None });
    let plan = kept.expect("a record of it");
    assert_eq!((plan.revision, plan.fingerprint.as_str(), plan.run), (1, "def", RunId(7)));
    let run = Record::Run { plan: Arc::new(Plan::for_tests(LoadProfile::plain(1, 1.0, None))), wall: SystemTime::UNIX_EPOCH };
    let read = KeptRun::from_records([run, Record::Revised { plan: plan.clone() }]).unwrap();
    assert_eq!(read.plan, plan);
}
