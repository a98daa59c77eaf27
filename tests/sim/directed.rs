//! Lives that were thought out: each is about one thing, and says what must be seen of it besides what holds in every life.

use std::time::Duration;

use lunamoth::cluster::message::ToMaster;
use lunamoth::cluster::worker::WorkerEnd;
use lunamoth::plan::{LoadProfile, ProfileEnd, RunId, Stage};
use lunamoth::stats::snapshot::{HoleView, OverlapView, RunState, Snapshot, WorkerView};

use super::books::host_name;
use super::course::play;
use super::fault::Fault;
use super::scenario::{Event, Scenario, Weather};
use super::tamper::Tamper;
use super::world::{World, wall};

/// A life that is looked at on its way.
struct Life(World);

impl Life {
    fn new(scenario: Scenario) -> Self {
        Self(World::new(scenario, None, true))
    }

    fn until(&mut self, seconds: f64) {
        self.0.live_until(Duration::from_secs_f64(seconds));
        self.is_sound();
    }

    /// To the end of the first run, and through a second one. What the master showed at the end of the first.
    fn end(mut self) -> Ended {
        self.0.live();
        self.is_sound();
        let snapshot = self.0.results.swap_remove(0);
        Ended { served: self.0.books.served(RunId(1)), snapshot }
    }

    fn is_sound(&self) {
        if let Some(violation) = &self.0.violation {
            let trace: Vec<&str> = self.0.trace.iter().flatten().map(String::as_str).collect();
            panic!("{}\n{violation}", trace[trace.len().saturating_sub(400)..].join("\n"));
        }
    }

    fn shown(&self) -> Snapshot {
        self.0.snapshot().expect("the master is there")
    }
}

/// The first run of a life.
struct Ended {
    served: u64,
    snapshot: Snapshot,
}

impl Ended {
    /// To the unit, and nothing is said to be missing.
    fn is_whole(&self) -> &Self {
        assert_eq!(self.snapshot.total.requests, self.served, "requests in the table, requests served");
        assert_eq!(self.snapshot.holes, []);
        self
    }

    fn has_no_overlap(&self) {
        assert_eq!(self.snapshot.overlaps, []);
    }

    /// One overlap, of this seat's worker, in these seconds of the life.
    fn has_overlap(&self, seat: usize, from: f64, to: f64) {
        is_overlap(&self.snapshot, seat, from, to);
    }
}

fn is_overlap(snapshot: &Snapshot, seat: usize, from: f64, to: f64) {
    let [OverlapView { worker, from: began, to: Some(ended), users }] = &snapshot.overlaps[..] else {
        panic!("one overlap that is over: {:?}", snapshot.overlaps)
    };
    assert!(worker.starts_with(&format!("{}_", host_name(seat))) && *users > 0, "{worker} with {users} users");
    is_near(snapshot, *began, from);
    is_near(snapshot, *ended, to);
}

/// One hole, of this seat's worker, from this second of the life on.
fn is_hole(snapshot: &Snapshot, seat: usize, from: f64) {
    let [HoleView { worker, from: began, .. }] = &snapshot.holes[..] else { panic!("one hole: {:?}", snapshot.holes) };
    assert!(worker.starts_with(&format!("{}_", host_name(seat))), "{worker}");
    is_near(snapshot, *began, from);
}

/// A moment of the run's clock is about this second of the life.
fn is_near(snapshot: &Snapshot, at: Duration, seconds: f64) {
    let began = snapshot.started_at.expect("it has begun").duration_since(wall(Duration::ZERO)).expect("in this life");
    let at = began + at;
    assert!((at.as_secs_f64() - seconds).abs() < 2.0, "{at:?} is not about {seconds} s");
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn partition(worker: usize, lasts: f64) -> Event {
    Event::Partition { worker, up: true, down: true, lasts: seconds(lasts) }
}

const fn kill_master(back_after_millis: u64, loses_journal: bool) -> Event {
    Event::KillMaster { back_after: Duration::from_millis(back_after_millis), loses_journal, forgets: 0 }
}

/// Thirty users on three workers.
fn three(end: f64) -> Scenario {
    Scenario::plain(3, 30, seconds(end))
}

#[test]
fn the_lossy_minute_with_a_partition_a_drain_and_a_killed_master_loses_nothing() {
    let mut life = Life::new(
        Scenario { weather: Weather { delay: (90, 110), stalls: 20 }, ..three(60.0) }
            .with(seconds(10.0), partition(0, 15.0))
            .with(seconds(32.0), Event::Leave { worker: 1 })
            .with(seconds(42.0), kill_master(2_000, false)),
    );
    life.until(24.0);
    is_hole(&life.shown(), 0, 9.5);
    life.until(41.0);
    is_overlap(&life.shown(), 0, 13.0, 25.5);
    assert_eq!(life.shown().holes, [], "its numbers have come");
    life.end().is_whole();
}

#[test]
fn a_worker_that_is_away_for_longer_than_orphans_go_on_stops_and_keeps_its_numbers() {
    let scenario = Scenario { orphan_timeout: seconds(9.0), ..three(40.0) }.with(seconds(10.0), partition(0, 16.0));
    let mut life = Life::new(scenario);
    life.until(25.0);
    assert!(life.0.seats[0].is_alive() && life.0.seats[0].lanes.is_none(), "its users have finished without a master's word");
    is_hole(&life.shown(), 0, 9.5);
    life.end().is_whole();
}

#[test]
fn a_worker_that_is_killed_and_started_again_takes_a_share_and_leaves_a_hole() {
    let kill = Event::Kill { worker: 0, comes_back_after: Some(seconds(2.0)) };
    let mut life = Life::new(three(30.0).with(seconds(10.0), kill));
    life.until(25.0);
    let users: Vec<u64> = life.shown().workers.iter().map(|worker| worker.users).filter(|users| *users > 0).collect();
    assert_eq!(users, [10, 10, 10]);
    let ended = life.end();
    ended.has_no_overlap();
    is_hole(&ended.snapshot, 0, 9.5);
    // Ten users make a request in 0.6 s at the fastest; a report and what was not yet reported are at most two seconds.
    let missing = ended.served - ended.snapshot.total.requests;
    assert!((1..=34).contains(&missing), "{missing} requests are lost");
}

#[test]
fn a_master_that_comes_back_without_its_journal_learns_all_from_the_workers() {
    let mut life = Life::new(three(30.0).with(seconds(12.0), kill_master(1_500, true)));
    life.until(11.9);
    let before = life.shown().total.requests;
    life.until(20.0);
    assert!(life.shown().total.requests > before);
    let ended = life.end();
    ended.is_whole().has_no_overlap();
}

#[test]
fn a_link_that_dies_with_unacknowledged_deltas_on_it_loses_none_and_repeats_none() {
    let slow = Weather { delay: (200, 400), stalls: 0 };
    let mut scenario = Scenario { weather: slow, ..three(40.0) };
    for cut in 0..12_u32 {
        scenario = scenario.with(seconds(6.0 + f64::from(cut) * 2.37), Event::Cut { worker: cut as usize });
    }
    Life::new(scenario).end().is_whole();
}

#[test]
fn a_total_that_was_sent_by_half_counts_once() {
    let slow = Weather { delay: (200, 600), stalls: 0 };
    let mut life = Life::new(Scenario { weather: slow, ..three(40.0) }.with(seconds(12.0), kill_master(1_500, true)));
    let is_end = |message: &ToMaster| matches!(message, ToMaster::TotalEnd { .. });
    life.until(13.0);
    life.0.go_on(seconds(10.0), |world| world.links.values().any(|link| link.up.carries(is_end)));
    let link = life.0.links.values_mut().find(|link| link.up.carries(is_end)).expect("a total is on its way");
    let seat = link.worker;
    link.up.lose_from(is_end);
    assert!(link.up.carries(|message| matches!(message, ToMaster::TotalPart { .. })));
    life.0.go_on(seconds(2.0), |world| world.links.values().filter(|link| link.worker == seat).all(|link| link.up.is_empty()));
    life.0.cut(seat);
    life.end().is_whole();
}

#[test]
fn of_masters_one_after_the_other_each_counts_everything_once() {
    let scenario = three(40.0)
        .with(seconds(8.0), kill_master(500, false))
        .with(seconds(9.3), kill_master(400, true))
        .with(seconds(14.0), Event::Cut { worker: 1 })
        .with(seconds(14.5), kill_master(200, false))
        .with(seconds(22.0), kill_master(3_500, false));
    Life::new(scenario).end().is_whole();
}

#[test]
fn users_are_as_many_as_wanted_after_re_targets_up_and_down_behind_a_workers_back() {
    let mut life = Life::new(
        three(50.0)
            .with(seconds(10.0), partition(0, 18.0))
            .with(seconds(16.0), Event::Retarget { users: 80, spawn_rate: 20 })
            .with(seconds(22.0), Event::Retarget { users: 9, spawn_rate: 20 }),
    );
    life.until(21.0);
    assert_eq!(life.shown().users, 80, "the others run them all");
    life.until(45.0);
    let users: Vec<u64> = life.shown().workers.iter().map(|worker| worker.users).collect();
    assert_eq!(users, [3, 3, 3]);
    let ended = life.end();
    ended.is_whole().has_overlap(0, 13.0, 28.0);
}

#[test]
fn a_run_that_is_stopped_behind_a_workers_back_has_its_numbers_in_the_end() {
    let mut life = Life::new(
        Scenario { stops_in_quiet: false, ..three(40.0) }.with(seconds(10.0), partition(0, 12.0)).with(seconds(16.0), Event::Stop),
    );
    life.until(21.0);
    assert_eq!(life.shown().holes.len(), 1);
    let ended = life.end();
    ended.is_whole().has_overlap(0, 13.0, 22.0);
}

#[test]
fn a_worker_that_is_back_when_the_run_is_at_its_planned_end_is_shown_to_have_run_its_users_beside_others() {
    let profile = LoadProfile::plain(30, 60.0, Some(seconds(20.0)));
    let life = Life::new(Scenario { profile, ..three(40.0) }.with(seconds(10.0), partition(0, 12.5)));
    life.end().is_whole().has_overlap(0, 13.0, 22.0);
}

#[test]
fn a_worker_that_ends_in_haste_after_a_reset_has_left_as_whole_since_what_it_had_not_handed_in_is_void() {
    let slow = Weather { delay: (300, 400), stalls: 0 };
    let mut life = Life::new(Scenario { weather: slow, stop_timeout: seconds(0.5), ..three(30.0) });
    life.until(12.0);
    life.0.suffer(&Event::Leave { worker: 1 });
    life.0.suffer(&Event::Reset);
    let epoch = |world: &World| world.books.get(RunId(1), 1).map(|account| account.epoch);
    life.0.go_on(seconds(3.0), |world| epoch(world) == Some(1));
    life.0.suffer(&Event::Leave { worker: 1 });
    life.0.go_on(seconds(3.0), |world| world.seats[1].end.is_some());
    assert_eq!(life.0.seats[1].end, Some(WorkerEnd::Whole));
    life.end().is_whole();
}

#[test]
fn what_was_counted_before_a_reset_behind_a_workers_back_does_not_come_back() {
    let mut life = Life::new(three(40.0).with(seconds(10.0), partition(0, 10.0)).with(seconds(15.0), Event::Reset));
    life.until(14.9);
    let before = life.shown().total.requests;
    life.until(17.0);
    let after = life.shown().total.requests;
    assert!(before > 300 && after < 150, "{before} requests, then {after}");
    let ended = life.end();
    ended.is_whole();
}

#[test]
fn a_worker_that_is_drained_as_the_run_ends_hands_everything_in() {
    let scenario = Scenario { stops_in_quiet: false, weather: Weather { delay: (50, 250), stalls: 10 }, ..three(30.0) }
        .with(seconds(20.0), Event::Leave { worker: 1 })
        .with(seconds(20.3), Event::Stop)
        .with(seconds(20.6), Event::Leave { worker: 0 });
    let ended = Life::new(scenario).end();
    ended.is_whole().has_no_overlap();
}

#[test]
fn a_new_master_gives_no_slots_to_a_worker_that_is_leaving() {
    // The leaver is told to go just before the run is adopted, so that its goodbye comes after the slots are shared out.
    let scenario = three(40.0).with(seconds(12.0), kill_master(1_000, true)).with(seconds(17.0), Event::Leave { worker: 2 });
    for early in 0..8 {
        let mut life = Life::new(Scenario { weather: Weather { delay: (60, 140), stalls: 0 }, ..scenario.clone() });
        life.until(16.5 + 0.2 * f64::from(early));
        if life.0.seats[2].machine.is_some() && !life.0.seats[2].is_leaving {
            life.0.suffer(&Event::Leave { worker: 2 });
        }
        life.until(36.0);
        assert_eq!(life.shown().users, 30);
        life.end().is_whole();
    }
}

#[test]
fn a_person_in_a_hurry_does_not_cost_a_new_master_the_run_that_its_workers_are_bringing() {
    for hasty in [Event::Retarget { users: 50, spawn_rate: 20 }, Event::Reset] {
        let mut life = Life::new(three(40.0).with(seconds(12.0), kill_master(1_000, false)).with(seconds(13.02), hasty.clone()));
        life.until(36.0);
        // Who asks before the first worker is back is refused, and asks again; a reset is remembered.
        assert_eq!(life.shown().users, 30, "{hasty:?}");
        let ended = life.end();
        ended.is_whole().has_no_overlap();
    }
}

#[test]
fn a_master_none_of_whose_workers_has_come_back_is_not_shown_as_running() {
    let scenario = Scenario::plain(1, 10, seconds(30.0))
        .with(seconds(10.0), Event::Kill { worker: 0, comes_back_after: Some(seconds(2.0)) })
        .with(seconds(10.5), kill_master(4_000, false));
    let mut life = Life::new(scenario);
    life.until(20.0);
    assert_eq!(life.shown().state, RunState::Waiting, "a new worker knows nothing of the run, and its clock is not known");
}

#[test]
fn a_worker_that_dropped_its_numbers_comes_back_under_another_name_and_what_it_ran_meanwhile_is_shown() {
    let scenario = Scenario { orphan_timeout: seconds(8.0), ..three(50.0) }.with(seconds(10.0), partition(0, 26.0));
    let mut life = Life::new(scenario);
    life.until(9.9);
    let is_it = |worker: &&WorkerView| worker.host == host_name(0) && worker.users > 0;
    let before = life.shown().workers.iter().find(is_it).expect("it takes part").id.clone();
    life.until(46.0);
    let after = life.shown().workers.iter().find(is_it).expect("it takes part again").id.clone();
    assert_ne!(before, after);
    assert_eq!(life.shown().users, 30);
    let ended = life.end();
    is_hole(&ended.snapshot, 0, 9.5);
    ended.has_overlap(0, 13.0, 21.0);
}

#[test]
fn a_worker_that_is_heard_and_does_not_hear_is_shown_to_run_what_was_given_to_another() {
    let deaf = Event::Partition { worker: 0, up: false, down: true, lasts: seconds(12.0) };
    // A worker joins behind its back: the master hears the deaf one all the time.
    let mut life = Life::new(three(40.0).with(seconds(10.0), deaf).with(seconds(11.0), Event::Join));
    life.until(17.5);
    let overlaps = life.shown().overlaps;
    assert!(matches!(&overlaps[..], [OverlapView { to: None, users, .. }] if *users > 0), "{overlaps:?}");
    let ended = life.end();
    ended.is_whole().has_overlap(0, 11.5, 22.5);
}

#[test]
fn an_orphan_that_pauses_while_the_master_still_hears_it_does_not_end_the_run() {
    let deaf = Event::Partition { worker: 0, up: false, down: true, lasts: seconds(12.0) };
    let mut life = Life::new(Scenario { pauses: true, ..Scenario::plain(1, 10, seconds(40.0)) }.with(seconds(10.0), deaf));
    life.until(21.0);
    let paused = life.shown();
    assert_eq!((paused.state, paused.users), (RunState::Running, 10), "its users wait, and will run again");
    life.until(23.0);
    assert_eq!(life.0.books.served(RunId(1)), paused.total.requests, "no request was made meanwhile");
    life.until(38.0);
    assert!(life.shown().total.requests > paused.total.requests);
    life.end().is_whole();
}

#[test]
fn a_reset_before_the_run_has_begun_voids_nothing_when_the_next_master_reads_the_journal() {
    let scenario = three(40.0).with(seconds(8.0), Event::Leave { worker: 1 }).with(seconds(12.0), kill_master(1_500, false));
    let mut life = Life::new(scenario);
    life.until(1.1);
    assert_eq!(life.shown().state, RunState::Waiting);
    life.0.suffer(&Event::Reset);
    life.end().is_whole().has_no_overlap();
}

#[test]
fn a_worker_that_comes_back_after_its_run_was_stopped_has_time_to_hand_its_numbers_in() {
    // It is away for longer than the last numbers are waited for, and back before it is given up.
    let scenario = Scenario { stop_timeout: seconds(0.5), ..Scenario::plain(1, 30, seconds(40.0)) }.with(seconds(10.0), partition(0, 13.0));
    let mut life = Life::new(scenario);
    life.until(12.0);
    life.0.stop();
    life.until(30.0);
    let (_, end) = life.0.operator.ended.clone().expect("it has ended");
    assert!(end.is_complete && end.failure.is_none(), "{end:?}");
    assert_eq!(life.shown().total.requests, life.0.books.served(RunId(1)));
}

#[test]
fn a_worker_that_heard_too_late_of_the_end_of_its_run_takes_part_in_the_next_one() {
    let scenario = Scenario { stop_timeout: seconds(3.0), ..Scenario::plain(2, 30, seconds(50.0)) }
        .with(seconds(10.0), partition(0, 19.0))
        .with(seconds(11.0), Event::Again { users: 20, spawn_rate: 50 });
    let mut life = Life::new(scenario);
    life.until(48.0);
    let shown = life.shown();
    let users: Vec<u64> = shown.workers.iter().map(|worker| worker.users).collect();
    assert_eq!((shown.run, users), (RunId(2), vec![10, 10]));
    life.0.live();
    life.is_sound();
}

#[test]
fn a_worker_that_its_first_orders_never_reached_leaves_no_hole() {
    let mut life = Life::new(Scenario { orphan_timeout: seconds(8.0), ..three(40.0) });
    let is_ready = |world: &World, seat: usize| world.seats[seat].lanes.is_some();
    life.0.go_on(seconds(5.0), |world| {
        world.has_started = world.has_started || world.start_run();
        (0..3).any(|seat| is_ready(world, seat))
    });
    let ready = (0..3).find(|&seat| is_ready(&life.0, seat)).expect("one is the first");
    assert_eq!(life.shown().state, RunState::Waiting);
    life.0.suffer(&partition(ready, 14.0));
    life.until(12.0);
    assert!(life.0.seats[ready].lanes.is_none(), "it has dropped the run that never began");
    life.until(25.0);
    assert_eq!(life.shown().users, 30);
    life.end().is_whole().has_no_overlap();
}

#[test]
fn the_first_delta_of_a_worker_whose_link_broke_under_it_stands_in_its_second() {
    let mut life = Life::new(three(30.0));
    let is_first =
        |message: &ToMaster| matches!(message, ToMaster::Delta { delta, .. } if delta.sequence == 1 && !delta.tallies.is_empty());
    life.0.go_on(seconds(8.0), |world| {
        world.has_started = world.has_started || world.start_run();
        world.links.values().any(|link| link.up.carries(is_first))
    });
    let link = life.0.links.values_mut().find(|link| link.up.carries(is_first)).expect("a first delta is on its way");
    let seat = link.worker;
    link.up.lose_from(is_first);
    life.0.cut(seat);
    let ended = life.end();
    ended.is_whole();
    let dated: u64 = ended.snapshot.history.iter().filter_map(|point| point.seen.as_ref()).map(|seen| seen.requests).sum();
    assert_eq!(dated, ended.served, "requests in the history");
}

#[test]
fn a_drained_worker_whose_word_of_it_was_lost_gives_its_users_away_all_the_same() {
    let mut life = Life::new(Scenario { weather: Weather { delay: (60, 100), stalls: 0 }, stop_timeout: seconds(3.0), ..three(40.0) });
    let is_word = |message: &ToMaster| matches!(message, ToMaster::Leaving);
    life.until(12.0);
    life.0.suffer(&Event::Leave { worker: 1 });
    let link = life.0.links.values_mut().find(|link| link.up.carries(is_word)).expect("it is on its way");
    let seat = link.worker;
    link.up.lose_from(is_word);
    life.0.lose_link_at_worker(life.0.links.iter().find(|(_, link)| link.worker == seat).map(|(&id, _)| id).expect("it has one"));
    life.until(36.0);
    assert_eq!(life.shown().users, 30);
    life.end().is_whole();
}

#[test]
fn an_orphan_whose_patience_ends_while_it_greets_a_master_runs_the_users_that_it_gets() {
    // From its hello to its welcome it takes two seconds; its patience ends in between, at one moment or another.
    for late in 0..6 {
        let lasts = 9.0 + 0.4 * f64::from(late);
        let scenario = Scenario { weather: Weather { delay: (900, 1_000), stalls: 0 }, orphan_timeout: seconds(12.0), ..three(60.0) };
        let mut life = Life::new(scenario.with(seconds(14.0), partition(0, lasts)));
        life.until(56.0);
        assert_eq!(life.shown().users, 30, "away for {lasts} s");
        life.end().is_whole();
    }
}

#[test]
fn two_orphans_that_ran_the_same_users_are_shown_though_one_has_given_up() {
    let scenario = Scenario { orphan_timeout: seconds(13.0), ..Scenario::plain(2, 20, seconds(55.0)) }
        .with(seconds(14.0), Event::Freeze { worker: 1, lasts: seconds(13.8) })
        .with(seconds(20.0), kill_master(22_000, false));
    let ended = Life::new(scenario).end();
    assert!(ended.is_whole().snapshot.overlaps.iter().any(|overlap| overlap.users > 0), "{:?}", ended.snapshot.overlaps);
}

#[test]
fn what_a_worker_served_when_the_run_had_long_been_over_stands_in_its_seconds() {
    let freeze = Event::Freeze { worker: 0, lasts: seconds(28.0) };
    let scenario = Scenario { stops_in_quiet: false, ..three(50.0) }.with(seconds(10.0), freeze).with(seconds(10.0), partition(0, 32.0));
    let mut life = Life::new(scenario.with(seconds(12.0), Event::Stop));
    life.until(37.0);
    assert_eq!(life.shown().state, RunState::Stopped);
    let ended = life.end();
    ended.is_whole();
    let (history, end) = (&ended.snapshot.history, ended.snapshot.elapsed);
    let late: Vec<u64> =
        history.iter().filter(|point| point.at > end).map(|point| point.seen.as_ref().map_or(0, |seen| seen.requests)).collect();
    assert!(late.first() == Some(&0) && late.last().is_some_and(|requests| *requests > 0), "after {end:?}: {late:?}");
}

#[test]
fn users_are_counted_where_the_stages_of_a_plan_end_long_after_everything_is_healed() {
    let stages = [(15, 9.0), (27, 9.0), (6, 9.0), (11, 9.0)].map(|(users, over)| Stage { users, over: seconds(over) });
    let scenario = Scenario { profile: LoadProfile::staged(stages.to_vec(), ProfileEnd::Hold), ..three(4.0) };
    let mut life = Life::new(scenario.clone());
    life.0.live();
    life.is_sound();
    let miscounted = || Tamper::new(Fault::MiscountsUsers);
    let failure = play(&scenario, Some(&miscounted)).err().expect("somebody looks");
    assert!(failure.what.contains("11 users run, the master knows of 10"), "{}", failure.what);
}
