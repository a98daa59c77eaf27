//! A run that is under way takes changed scripts over.

use super::*;

fn revised(revision: u32) -> Arc<Plan> {
    Arc::new(Plan { revision, ..(*plan(7)).clone() })
}

fn refusal(text: &str) -> Result<(), OpenRefusal> {
    Err(OpenRefusal { text: text.into(), differs: Some("f".into()) })
}

impl Bench {
    fn revise(&mut self, revision: u32) -> Vec<String> {
        names(&self.message(1, ToWorker::Prepare(revised(revision))))
    }
}

#[test]
fn a_higher_revision_is_compiled_once_and_answered_when_the_lanes_have_it() {
    let mut bench = Bench::running(1);
    assert_eq!(bench.revise(1), ["renew 7 as 1"]);
    assert_eq!(bench.revise(1), [] as [&str; 0], "it is being compiled");
    assert_eq!(names(&bench.worker.on_renewed(&revised(1), Ok(()))), ["1:prepared 7 as 1"]);
    assert_eq!(bench.revise(1), ["1:prepared 7 as 1"]);
    bench.gone(1);
    assert_eq!(bench.hello(2).standing.unwrap().plan.revision, 1, "a new master hears of it");
}

#[test]
fn one_that_cannot_be_compiled_is_refused_and_may_be_asked_for_again() {
    let mut bench = Bench::running(1);
    bench.revise(1);
    let first = bench.worker.on_renewed(&revised(1), refusal("main.lua:1: no"));
    assert_eq!((names(&first).as_slice(), logged(&first).contains("main.lua:1: no")), (["1:refused 7".to_owned()].as_slice(), true));
    assert_eq!(bench.revise(1), ["renew 7 as 1"]);
    let second = bench.worker.on_renewed(&revised(1), refusal("main.lua:1: no"));
    assert_eq!(logged(&second), "", "it is said once");
    bench.gone(1);
    assert_eq!(bench.hello(2).standing.unwrap().plan.revision, 0);
}

#[test]
fn of_two_in_a_row_the_newer_one_counts() {
    let mut bench = Bench::running(1);
    assert_eq!(bench.revise(1), ["renew 7 as 1"]);
    assert_eq!(bench.revise(2), ["renew 7 as 2"]);
    assert_eq!(names(&bench.worker.on_renewed(&revised(1), Ok(()))), [] as [&str; 0]);
    assert_eq!(names(&bench.worker.on_renewed(&revised(2), Ok(()))), ["1:prepared 7 as 2"]);
}

#[test]
fn a_run_that_is_over_takes_nothing_over() {
    let mut bench = Bench::running(1);
    bench.revise(1);
    bench.report(LaneReport { is_finished: true, ..report(0, 0, 5) });
    assert_eq!(names(&bench.worker.on_renewed(&revised(1), Ok(()))), [] as [&str; 0]);
    assert_eq!(bench.revise(1), ["1:refused 7"]);
}
