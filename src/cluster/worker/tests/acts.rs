//! Setup and teardown, as a worker is asked for them.

use super::*;
use crate::load::act::Acted;
use crate::plan::{Act, LifePlan};

fn living() -> Arc<Plan> {
    let life = LifePlan { setup: Some(Duration::from_secs(60)), teardown: Some(Duration::from_secs(60)), data: None };
    Arc::new(Plan { life, ..(*plan(7)).clone() })
}

fn prepared(config: WorkerConfig) -> Bench {
    let mut bench = Bench::linked(config);
    bench.message(1, ToWorker::Prepare(living()));
    let now = bench.now();
    bench.worker.on_opened(RUN, Ok(()), now);
    bench
}

fn act(bench: &mut Bench, link: u64, act: Act) -> Vec<String> {
    names(&bench.message(link, ToWorker::Act { run: RUN, act }))
}

fn done(bench: &mut Bench, act: Act, result: Result<&str, &str>) -> Vec<String> {
    let acted = Acted { result: result.map(str::to_owned).map_err(str::to_owned), ..Acted::failed("") };
    let now = bench.now();
    names(&bench.worker.on_acted(RUN, act, acted, now))
}

#[test]
fn an_act_is_done_once_however_often_it_is_asked_for_and_told_on_each_link() {
    let mut bench = prepared(config(1));
    assert_eq!(act(&mut bench, 1, Act::Setup), ["setup of 7"]);
    assert!(act(&mut bench, 1, Act::Setup).is_empty(), "it is under way");
    bench.gone(1);
    assert!(done(&mut bench, Act::Setup, Ok("[1]")).is_empty(), "there is nobody to tell");
    bench.link(2, None);
    assert_eq!(act(&mut bench, 2, Act::Setup), ["2:setup Ok(\"[1]\")"]);
}

#[test]
fn data_goes_to_the_lanes_once_and_is_in_what_the_worker_tells_a_new_master() {
    let mut bench = prepared(config(1));
    let data = |bench: &mut Bench| names(&bench.message(1, ToWorker::Data { run: RUN, data: "[1]".into() }));
    assert_eq!(data(&mut bench), ["data [1]"]);
    assert!(data(&mut bench).is_empty());
    bench.orders(1, orders(1, Phase::Run));
    bench.gone(1);
    let standing = bench.hello(2).standing.unwrap();
    assert_eq!(standing.plan.life.data.as_deref(), Some("[1]"));
}

#[test]
fn a_plan_that_is_asked_for_again_with_data_gives_it_to_lanes_that_are_open_or_about_to_be() {
    let with_data = || {
        let plan = living();
        ToWorker::Prepare(Arc::new(Plan { life: LifePlan { data: Some("[1]".into()), ..plan.life.clone() }, ..(*plan).clone() }))
    };
    let mut bench = prepared(config(1));
    assert_eq!(names(&bench.message(1, with_data())), ["data [1]", "1:prepared 7"]);
    let mut bench = Bench::linked(config(1));
    bench.message(1, ToWorker::Prepare(living()));
    assert!(names(&bench.message(1, with_data())).is_empty());
    let now = bench.now();
    assert_eq!(names(&bench.worker.on_opened(RUN, Ok(()), now)), ["1:prepared 7", "data [1]"]);
}

#[test]
fn a_prepared_worker_that_is_asked_for_a_higher_revision_gives_its_lanes_what_the_setup_returned() {
    // Seed 41002726: it was in the plan of the revision, the lanes never got it, and users began without.
    let life = LifePlan { data: Some("[1]".into()), ..living().life.clone() };
    let revised = Arc::new(Plan { life, revision: 1, ..(*living()).clone() });
    let mut bench = prepared(config(1));
    assert_eq!(names(&bench.message(1, ToWorker::Prepare(revised.clone()))), ["data [1]", "renew 7 as 1"]);
    assert_eq!(names(&bench.worker.on_renewed(&revised, Ok(()))), ["1:prepared 7 as 1"]);
}

#[test]
fn a_run_that_is_let_go_of_cuts_its_act_short_and_what_that_has_counted_is_told() {
    let mut bench = prepared(config(1));
    act(&mut bench, 1, Act::Setup);
    let actions = bench.message(1, ToWorker::Abandon(RUN));
    assert_eq!(names(&actions), ["drop act", "close lanes"]);
    assert!(logged(&actions).contains("run 0000000000000007 has ended before it began"), "{}", logged(&actions));
    assert_eq!(done(&mut bench, Act::Setup, Err("setup: it was cut short")), ["1:setup Err(\"setup: it was cut short\")"]);
    assert!(names(&bench.message(1, ToWorker::Abandon(RUN))).is_empty(), "there is nothing to cut any more");
}

#[test]
fn a_worker_of_one_run_waits_for_the_teardown_and_leaves_when_the_run_is_let_go_of() {
    let mut bench = prepared(WorkerConfig { is_once: true, ..config(1) });
    bench.orders(1, orders(1, Phase::Run));
    bench.report(LaneReport { is_finished: true, ..report(0, 0, 5) });
    assert!(names(&bench.acknowledge(1, 1)).is_empty(), "it may still be asked for the teardown");
    assert_eq!(act(&mut bench, 1, Act::Teardown), ["teardown of 7"]);
    assert_eq!(done(&mut bench, Act::Teardown, Ok("null")), ["1:teardown Ok(\"null\")"]);
    assert_eq!(names(&bench.message(1, ToWorker::Abandon(RUN))), ["1:goodbye"]);
}

#[test]
fn a_worker_that_is_drained_drops_what_it_does_for_the_whole_run_since_another_one_is_asked_for_it() {
    let mut bench = prepared(config(1));
    act(&mut bench, 1, Act::Setup);
    let now = bench.now();
    assert!(names(&bench.worker.on_leave(now)).contains(&"drop act".to_owned()));
    assert!(done(&mut bench, Act::Setup, Ok("[1]")).is_empty(), "nobody is told of it");
}

#[test]
fn a_worker_that_is_about_to_end_begins_no_act_though_the_question_crosses_its_word() {
    // Seeds 42001149 and 42001578: it did the setup, and elsewhere the teardown, beside the one that was asked instead.
    for which in [Act::Setup, Act::Teardown] {
        let mut bench = prepared(config(1));
        let now = bench.now();
        bench.worker.on_leave(now);
        assert!(act(&mut bench, 1, which).is_empty(), "{which}");
    }
}
