//! Lives that were thought out: each is about one thing, and says what must be seen of it at the end. That nothing was lost and nothing
//! counted twice is held in each of them as in the drawn ones.

use std::time::Duration;

use lunamoth::stats::snapshot::Snapshot;

use super::books::host_name;
use super::course::play;
use super::scenario::{Event, Scenario, Weather};
use super::world::World;

/// The first run as it was shown at its end.
fn lived(scenario: &Scenario) -> (World, Snapshot) {
    match play(scenario, None) {
        Ok(world) => {
            let shown = world.operator.shown.first().expect("a life that went well has shown its first run").clone();
            (world, shown)
        }
        Err(failure) => panic!("{}\n{}", failure.trace.join("\n"), failure.what),
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn three(until: u64) -> Scenario {
    Scenario::plain(3, 30, seconds(until))
}

fn away(worker: usize, lasts: u64) -> Event {
    Event::Partition { worker, up: true, down: true, lasts: seconds(lasts) }
}

fn hosts<'a>(ids: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    ids.into_iter().map(|id| id.split('_').next().unwrap().to_owned()).collect()
}

fn overlapping(shown: &Snapshot) -> Vec<String> {
    hosts(shown.overlaps.iter().map(|overlap| &overlap.worker))
}

fn holed(shown: &Snapshot) -> Vec<String> {
    hosts(shown.holes.iter().map(|hole| &hole.worker))
}

#[test]
fn a_minute_of_everything_loses_nothing() {
    let scenario = three(45)
        .with(seconds(7), away(2, 15))
        .with(seconds(28), Event::Leave { worker: 0 })
        .with(seconds(38), Event::KillMaster { back_after: seconds(3), loses_journal: false });
    let (_, shown) = lived(&Scenario { weather: Weather { delay: (80, 120), stalls: 20 }, ..scenario });
    assert_eq!(holed(&shown), [""; 0]);
    // The second master hears of the overlap from nobody: it was the first one's, and is of the run's past.
    assert!(shown.overlaps.iter().all(|overlap| overlap.worker.starts_with(&host_name(2))));
}

#[test]
fn a_worker_out_of_reach_is_a_hole_until_it_is_back_and_an_overlap_from_then_on() {
    let (_, shown) = lived(&three(40).with(seconds(10), away(1, 15)));
    assert_eq!((overlapping(&shown), holed(&shown)), (vec![host_name(1)], vec![]));
    let overlap = &shown.overlaps[0];
    let lasted = overlap.to.unwrap() - overlap.from;
    assert!(lasted > seconds(10) && lasted < seconds(20), "{overlap:?}");
    assert_eq!(overlap.users, 10);
}

#[test]
fn a_short_silence_is_no_overlap() {
    let (_, shown) = lived(&three(30).with(seconds(10), away(1, 2)));
    assert_eq!((overlapping(&shown), holed(&shown)), (vec![], vec![]));
}

#[test]
fn a_partition_longer_than_the_patience_of_orphans_loses_nothing() {
    let scenario = Scenario { orphan_timeout: seconds(10), ..three(45) };
    let (_, shown) = lived(&scenario.with(seconds(8), away(0, 14)));
    assert_eq!((overlapping(&shown), holed(&shown)), (vec![host_name(0)], vec![]));
}

#[test]
fn a_worker_that_is_killed_leaves_a_hole_and_its_next_process_gets_slots() {
    let (world, shown) = lived(&three(40).with(seconds(10), Event::Kill { worker: 1, comes_back_after: Some(seconds(3)) }));
    assert_eq!((overlapping(&shown), holed(&shown)), (vec![], vec![host_name(1)]));
    assert!(world.watch.quiet_looks > 0, "users were level with the next process among the workers");
    let hole = &shown.holes[0];
    assert!(hole.to - hole.from < seconds(7), "{hole:?}");
}

#[test]
fn a_master_without_its_journal_learns_everything_from_its_workers() {
    let (_, shown) = lived(&three(40).with(seconds(12), Event::KillMaster { back_after: seconds(4), loses_journal: true }));
    assert_eq!((overlapping(&shown), holed(&shown)), (vec![], vec![]));
    assert_eq!(shown.entries.len(), 3, "one of each worker");
}

#[test]
fn what_a_drained_worker_handed_in_outlives_the_master() {
    let scenario = three(45)
        .with(seconds(10), Event::Leave { worker: 1 })
        .with(seconds(18), Event::KillMaster { back_after: seconds(3), loses_journal: false });
    let (_, shown) = lived(&scenario);
    assert_eq!((overlapping(&shown), holed(&shown)), (vec![], vec![]));
    assert_eq!(shown.entries.len(), 3, "one of each worker, of the drained one from the journal");
}

#[test]
fn links_that_break_with_numbers_on_their_way_lose_none() {
    let scenario = (0..12).fold(three(40), |life, number| {
        life.with(seconds(6) + Duration::from_millis(1_130 * number), Event::Cut { worker: usize::try_from(number % 3).unwrap() })
    });
    let (_, shown) = lived(&Scenario { weather: Weather { delay: (50, 200), stalls: 5 }, ..scenario });
    assert_eq!(holed(&shown), [""; 0]);
}

#[test]
fn a_whole_total_that_is_left_half_done_is_sent_again() {
    // The master that comes back holds nothing, so that totals travel, and then their links break.
    let scenario = three(50)
        .with(seconds(12), Event::KillMaster { back_after: seconds(2), loses_journal: true })
        .with(Duration::from_millis(14_300), Event::Cut { worker: 0 })
        .with(Duration::from_millis(14_600), Event::Cut { worker: 1 })
        .with(Duration::from_millis(15_100), Event::Cut { worker: 2 })
        .with(Duration::from_millis(15_600), Event::Cut { worker: 0 });
    let (_, shown) = lived(&Scenario { weather: Weather { delay: (150, 400), stalls: 10 }, ..scenario });
    assert_eq!(holed(&shown), [""; 0]);
    assert_eq!(shown.entries.len(), 3);
}

#[test]
fn a_new_target_reaches_those_who_were_away_when_it_was_set() {
    for users in [4, 61] {
        let scenario = three(45).with(seconds(8), away(2, 12)).with(seconds(12), Event::Retarget { users, spawn_rate: 30 });
        let (world, shown) = lived(&scenario);
        assert_eq!((overlapping(&shown), holed(&shown)), (vec![host_name(2)], vec![]));
        assert!(world.watch.quiet_looks > 0, "{users} users ran in quiet");
    }
}

#[test]
fn a_reset_reaches_those_who_were_away_when_it_was_asked_for() {
    let (_, shown) = lived(&three(45).with(seconds(8), away(2, 12)).with(seconds(12), Event::Reset));
    assert_eq!(holed(&shown), [""; 0]);
    assert_eq!(shown.entries.len(), 3, "what the one who was away counted since belongs to the time after the reset");
}

#[test]
fn a_stop_reaches_those_who_were_away_when_it_was_asked_for() {
    let scenario = Scenario { stops_in_quiet: false, ..three(26) };
    let (_, shown) = lived(&scenario.with(seconds(10), away(1, 9)).with(seconds(14), Event::Stop));
    assert_eq!(holed(&shown), [""; 0]);
}

#[test]
fn a_worker_that_leaves_while_the_run_stops_hands_everything_in() {
    let scenario = Scenario { stops_in_quiet: false, stop_timeout: seconds(3), ..three(20) };
    let (_, shown) = lived(&scenario.with(seconds(14), Event::Stop).with(Duration::from_millis(14_200), Event::Leave { worker: 1 }));
    assert_eq!((overlapping(&shown), holed(&shown)), (vec![], vec![]));
}

#[test]
fn a_worker_that_stands_still_is_no_death() {
    let (_, shown) = lived(&three(45).with(seconds(8), Event::Freeze { worker: 0, lasts: seconds(9) }));
    assert_eq!(holed(&shown), [""; 0]);
}
