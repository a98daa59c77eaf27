//! Workers whose folder does not compile, and workers that came for one run alone.

use super::*;

fn scriptless(worker: u64) -> Hello {
    let error = Some("main.lua:1: no".to_owned());
    Hello { script: String::new(), fingerprint: String::new(), script_error: error, ..hello(worker, None) }
}

#[test]
fn a_worker_without_a_script_is_here_and_not_ready_until_its_folder_is_mended() {
    let mut stand = Stand::new();
    stand.message(1, ToMaster::Hello(Box::new(scriptless(1))));
    stand.hello(2, None);
    let counted = |worker, count| format!("Client '{}' reported as ready. Currently {count} clients ready to swarm.", id(worker));
    let not_ready = format!("Client '{}' is here and not ready, for it has no script that it could run: main.lua:1: no", id(1));
    assert_eq!(stand.logged(), [not_ready, counted(2, 1)]);
    let states = |stand: &Stand| stand.master.snapshot(stand.now).workers.iter().map(|worker| worker.state).collect::<Vec<_>>();
    assert_eq!(states(&stand), [WorkerState::Differs, WorkerState::Ready]);
    assert_eq!(stand.master.snapshot(stand.now).warnings, ["the scripts on w1 cannot be used, so that it makes no load: main.lua:1: no"]);
    stand.message(1, ToMaster::Scripts(scripts("abc", None)));
    assert_eq!(stand.logged(), [counted(1, 2)]);
    assert_eq!(states(&stand), [WorkerState::Ready, WorkerState::Ready]);
}

#[test]
fn a_worker_without_a_script_that_comes_in_mid_run_joins_when_it_has_one() {
    let mut stand = Stand::running(1, 4);
    stand.message(2, ToMaster::Hello(Box::new(scriptless(2))));
    let refusal = Refusal { run: RunId(7), text: "main.lua:1: no".into(), differs: Some(String::new()) };
    stand.message(2, ToMaster::Refused(refusal));
    stand.actions.clear();
    stand.live(Duration::from_secs(20), &[1, 2]);
    assert!(stand.sent().iter().any(|(worker, message)| *worker == 2 && matches!(message, ToWorker::Prepare(_))), "it is asked again");
    stand.message(2, ToMaster::Scripts(scripts("abc", None)));
    stand.message(2, ToMaster::Prepared { run: RunId(7), revision: 0 });
    assert_eq!(stand.orders().values().map(|orders| users(orders, 4)).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(stand.state(), RunState::Running);
}

#[test]
fn a_master_that_ends_without_a_run_tells_those_who_wait_for_one() {
    let mut stand = Stand::new();
    stand.hello(1, None);
    assert!(matches!(stand.master.on_close()[..], [Action::Send(LinkId(1), ToWorker::Farewell)]));
    let mut stand = Stand::running(1, 4);
    assert!(stand.master.on_close().is_empty(), "a run that is not over is nobody's to end");
}
