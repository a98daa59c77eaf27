//! How a master takes a run over of which several workers tell, each what it knows.

use super::*;

/// What a worker brings that was prepared when its master died.
fn unbegun() -> RunStanding {
    RunStanding { orders: None, elapsed: Duration::ZERO, ..standing(&SlotSet::none(), Duration::ZERO, 0) }
}

fn is_leaving(worker: u64, standing: RunStanding) -> ToMaster {
    ToMaster::Hello(Box::new(Hello { is_leaving: true, ..hello(worker, Some(standing)) }))
}

#[test]
fn a_worker_that_was_prepared_when_its_master_died_has_its_share_after_the_takeover_and_is_not_sent_away() {
    // Seed 16000970: it was told to drop the run, and what it had said before made the next master count on it for good.
    for says_so_late in [false, true] {
        let mut stand = Stand::new();
        stand.hello(1, Some(standing(&SlotSet::all(), Duration::from_secs(41), 0)));
        stand.hello(2, Some(unbegun()));
        let prepared = ToMaster::Prepared { run: RunId(7), revision: 0 };
        if !says_so_late {
            stand.message(2, prepared.clone());
        }
        assert!(!stand.sent().iter().any(|(_, message)| matches!(message, ToWorker::Abandon(_))), "it is of use");
        stand.live(Duration::from_secs(5), &[1, 2]);
        if says_so_late {
            stand.message(2, prepared);
        }
        let orders = stand.orders();
        assert_eq!((users(&orders[&1], 10), users(&orders[&2], 10)), (5, 5), "{says_so_late}");
    }
}

#[test]
fn a_run_that_was_stopped_does_not_begin_again_because_the_worker_that_tells_of_it_is_about_to_end() {
    // Seed 16001076.
    let mut stand = Stand::new();
    stand.hello(2, None);
    let mut stopped = standing(&SlotSet::all(), Duration::from_secs(41), 0);
    stopped.orders.as_mut().unwrap().phase = Phase::Stop;
    stopped.is_finished = true;
    stand.message(1, is_leaving(1, stopped));
    stand.live(Duration::from_secs(5), &[1, 2]);
    assert!(!stand.sent().iter().any(|(_, message)| matches!(message, ToWorker::Prepare(_))), "nobody is asked to run it");
    assert_ne!(stand.state(), RunState::Running);
}

#[test]
fn a_run_whose_workers_have_all_given_up_is_at_its_end_and_one_that_is_about_to_end_says_nothing_of_the_others() {
    // The last is seed 46002611: it is out of reach when the run is taken over.
    let stopping: &[(bool, &[u64], RunState)] = &[
        (false, &[1], RunState::Stopping),
        (true, &[1], RunState::Running),
        (false, &[], RunState::Stopping),
        (true, &[], RunState::Running),
    ];
    for &(leaves, heard, state) in stopping {
        let mut stand = Stand::new();
        let mut brought = standing(&SlotSet::all(), Duration::from_secs(41), 0);
        brought.orders.as_mut().unwrap().has_stopped = true;
        if leaves {
            stand.message(1, is_leaving(1, brought));
        } else {
            stand.hello(1, Some(brought));
        }
        stand.live(Duration::from_secs(5), heard);
        assert_eq!(stand.state(), state, "leaves: {leaves}, heard: {heard:?}");
    }
}

#[test]
fn a_run_that_all_its_workers_gave_up_before_its_end_is_not_whole_and_says_who_ended_its_users_and_when() {
    let seconds = Duration::from_secs;
    // Users that were finishing at the planned end when the patience of their worker ended are no reason.
    for (run_time, is_given_up) in [(None, true), (Some(seconds(60)), true), (Some(seconds(41)), false)] {
        let mut stand = Stand::new();
        let profile = LoadProfile::plain(10, 10.0, run_time);
        let mut brought = RunStanding { is_finished: true, ..standing(&SlotSet::all(), seconds(50), 3) };
        brought.plan = Arc::new(Plan::for_tests(profile.clone()));
        let followed = brought.orders.as_mut().unwrap();
        (followed.has_stopped, followed.profile) = (true, Arc::new(profile));
        stand.hello(1, Some(brought));
        stand.message(1, ToMaster::TotalPart { run: RunId(7), number: 0, tally: Box::new(tally(40, 5)) });
        stand.message(1, ToMaster::TotalEnd { run: RunId(7), epoch: 0, parts: 1, sequence: 3 });
        stand.live(seconds(5), &[1]);
        let end = stand.end().expect("nobody is left to go on with it");
        let snapshot = stand.master.snapshot(stand.now);
        assert_eq!((end.is_complete, snapshot.total.requests), (!is_given_up, 5), "{run_time:?}");
        let failure = end.failure.map(|failure| {
            assert_eq!(failure.cause, FailureCause::Lost);
            failure.text
        });
        assert_eq!(snapshot.unfinished, failure, "who looks hears the same");
        let words = format!("for 60 s (--orphan-timeout) and ended their users: {} by 0:41", id(1));
        assert_eq!(failure.map(|text| text.ends_with(&words)), is_given_up.then_some(true), "{run_time:?}");
    }
}

#[test]
fn a_worker_whose_whole_total_is_there_and_that_has_finished_runs_no_user() {
    // Seed 16001043: it was gone before it could say that this was its last word.
    let mut stand = Stand::new();
    stand.hello(1, Some(standing(&SlotSet::none(), Duration::from_secs(41), 0)));
    let finished = RunStanding { is_finished: true, ..standing(&SlotSet::all(), Duration::from_secs(41), 3) };
    stand.message(2, is_leaving(2, finished));
    stand.message(2, ToMaster::TotalPart { run: RunId(7), number: 0, tally: Box::new(tally(40, 5)) });
    stand.message(2, ToMaster::TotalEnd { run: RunId(7), epoch: 0, parts: 1, sequence: 3 });
    assert_eq!(stand.master.snapshot(stand.now).users, 0);
}

#[test]
fn a_reset_of_a_run_that_nobody_has_brought_yet_does_not_say_since_when_it_counts() {
    // Seed 16000032: the time of the journal's run is not known before its first worker comes.
    let mut stand = endings::restored(Vec::new());
    let actions = stand.master.on_reset(stand.now);
    stand.actions.extend(actions);
    assert_eq!(stand.master.snapshot(stand.now).counted_since, None);
    assert_eq!(stand.master.epoch(), Some(1));
}

#[test]
fn a_worker_that_waits_for_the_answer_to_its_last_word_is_free_for_the_next_run() {
    // Seed 16000450: its last word came when the next run was there, was answered with nothing, and it refused that run for ever.
    let mut stand = Stand::running(1, 1);
    let actions = stand.master.on_stop(stand.now);
    stand.actions.extend(actions);
    stand.last_delta(1, 1);
    assert!(stand.end().is_some());
    stand.start(1);
    let sent: Vec<ToWorker> = stand.sent().into_iter().map(|(_, message)| message).collect();
    let done = sent.iter().position(|message| matches!(message, ToWorker::Abandon(RunId(7))));
    let asked = sent.iter().position(|message| matches!(message, ToWorker::Prepare(_)));
    assert!(done.is_some() && done < asked, "{sent:?}");
}

#[test]
fn a_total_whose_end_comes_after_a_silence_on_the_same_link_is_whole() {
    // Seed 16002161: a worker that was silent for long between the pieces and their end had to send all of it again.
    let mut stand = Stand::new();
    stand.hello(1, Some(standing(&SlotSet::all(), Duration::from_secs(41), 3)));
    stand.hello(2, Some(standing(&SlotSet::none(), Duration::from_secs(41), 0)));
    stand.message(1, ToMaster::TotalPart { run: RunId(7), number: 0, tally: Box::new(tally(40, 5)) });
    stand.live(Duration::from_secs(4), &[2]);
    stand.message(1, ToMaster::TotalEnd { run: RunId(7), epoch: 0, parts: 1, sequence: 3 });
    assert_eq!(stand.requests(), 5);
}

#[test]
fn a_refused_re_target_that_brings_to_light_that_the_run_is_over_tells_of_its_end_before_the_next_run_can_be_asked_for() {
    // Seed 40000897: a run that was asked for at once was taken for over with the one before, in the journal as well.
    let finished = || {
        let mut finished = standing(&SlotSet::none(), Duration::from_secs(41), 3);
        finished.orders.as_mut().unwrap().phase = Phase::Stop;
        RunStanding { is_finished: true, ..finished }
    };
    let is_end = |actions: &[Action]| actions.iter().any(|action| matches!(action, Action::Finish(_)));
    type Ask = fn(&mut Stand) -> Result<Vec<Action>, Refused>;
    let asks: [Ask; 3] = [
        |stand| stand.master.on_retarget(Retarget { users: 5, spawn_rate: 1.0, run_time: None }, stand.now),
        |stand| stand.master.on_pause(stand.now),
        |stand| stand.master.on_rerate_of(0, Rerate { rate: Rate::per_second(5.0), at: None, run_time: None }, stand.now),
    ];
    for ask in asks {
        let mut stand = Stand::with(MasterConfig { has_journal: true, ..config() });
        stand.hello(1, Some(finished()));
        stand.message(1, ToMaster::TotalPart { run: RunId(7), number: 0, tally: Box::new(tally(40, 5)) });
        stand.message(1, ToMaster::TotalEnd { run: RunId(7), epoch: 0, parts: 1, sequence: 3 });
        let refused = ask(&mut stand).unwrap_err();
        assert_eq!(refused.why, "no run is under way");
        assert!(is_end(&refused.actions), "the end of the run that was taken over");
        stand.start(1);
        stand.pass(Duration::from_millis(100));
        assert!(!is_end(&stand.actions), "the next one goes on");
    }
}

#[test]
fn a_prepared_worker_that_has_not_begun_does_not_end_the_wait_for_those_that_have() {
    // Seed 40018763: the workers that had begun were a second behind it, and the run was taken for lost.
    let mut stand = endings::restored(Vec::new());
    stand.hello(3, Some(unbegun()));
    stand.live(Duration::from_secs(9), &[3]);
    assert!(stand.end().is_none(), "they may still come");
    stand.hello(1, Some(standing(&SlotSet::all(), Duration::from_secs(50), 0)));
    stand.live(Duration::from_secs(5), &[1, 3]);
    assert_eq!(stand.state(), RunState::Running);
}

#[test]
fn a_target_that_no_worker_had_heard_of_when_its_master_died_is_in_the_journal_and_stays() {
    // Seed 40010692: the orders of before it, which the workers brought, counted more than the journal.
    let wanted = Arc::new(LoadProfile::plain(67, 67.0, None));
    for (generation, users) in [(6, 67_u32), (5, 10)] {
        let mut kept = endings::kept(Vec::new());
        (kept.profile, kept.generation) = (wanted.clone(), generation);
        let now = Instant::now();
        let mut stand =
            Stand { master: Master::restored(MasterConfig { has_journal: true, ..config() }, kept, now), now, actions: Vec::new() };
        stand.hello(1, Some(standing(&SlotSet::all(), Duration::from_secs(41), 0)));
        stand.live(Duration::from_secs(6), &[1]);
        assert_eq!(
            stand.master.target_users(stand.now),
            u64::from(users),
            "orders 5 are {} it",
            if generation > 5 { "from before" } else { "of" }
        );
        // Seed 43044750: users that were on their way at the pace of a user in seven seconds went on at that.
        let orders = stand.orders();
        let handover = orders[&1].orders.handover.as_ref().unwrap();
        let of_all = Duration::from_secs(1) / users;
        assert_eq!((!handover.moved.is_empty(), handover.interval), (generation > 5, of_all));
    }
}

#[test]
fn newer_orders_that_come_when_the_run_has_been_taken_over_still_tell_what_it_was_doing() {
    // Seed 40005907: it was taken over from a worker that had been out of reach, since somebody was in a hurry.
    for is_steered in [false, true] {
        let mut stand = Stand::new();
        stand.hello(1, Some(standing(&SlotSet::all(), Duration::from_secs(41), 0)));
        let actions = stand.master.on_reset(stand.now);
        stand.actions.extend(actions);
        if is_steered {
            let retarget = Retarget { users: 20, spawn_rate: 20.0, run_time: None };
            let actions = stand.master.on_retarget(retarget, stand.now).unwrap();
            stand.actions.extend(actions);
        }
        let mut newer = standing(&SlotSet::all(), Duration::from_secs(41), 0);
        let followed = newer.orders.as_mut().unwrap();
        (followed.generation, followed.profile) = (9, Arc::new(LoadProfile::plain(77, 77.0, None)));
        stand.hello(2, Some(newer));
        stand.live(Duration::from_secs(5), &[1, 2]);
        assert_eq!(stand.master.target_users(stand.now), if is_steered { 20 } else { 77 });
        let orders = stand.orders();
        let wanted = stand.master.target_users(stand.now);
        assert_eq!(users(&orders[&1], wanted) + users(&orders[&2], wanted), wanted, "each user has one owner");
    }
}

#[test]
fn of_two_runs_that_could_be_taken_over_the_one_that_began_later_is() {
    // Seed 42002812: the journal was an older one, its run was waited for, and the workers dropped the one that was under way.
    let later = || {
        let mut later = standing(&SlotSet::all(), Duration::from_secs(41), 0);
        later.plan = Arc::new(Plan { run: RunId(8), ..(*later.plan).clone() });
        later.wall = SystemTime::UNIX_EPOCH + Duration::from_secs(3_600);
        later
    };
    let run = |stand: &Stand| stand.master.run().unwrap().0;
    // The journal's, of which nobody has come; and one that a worker brings which was out of reach when it ended.
    for comes_first in [false, true] {
        let mut stand = endings::restored(Vec::new());
        if comes_first {
            stand.hello(1, Some(standing(&SlotSet::all(), Duration::from_secs(90), 0)));
        }
        let actions = stand.master.on_reset(stand.now);
        stand.actions.extend(actions);
        stand.hello(2, Some(later()));
        if comes_first {
            // Somebody has steered it: it is this master's own.
            assert_eq!(run(&stand), RunId(7));
            continue;
        }
        stand.hello(1, Some(standing(&SlotSet::all(), Duration::from_secs(90), 0)));
        let told: Vec<_> = stand.sent().into_iter().filter(|(_, message)| matches!(message, ToWorker::Abandon(RunId(7)))).collect();
        assert_eq!((run(&stand), told.len()), (RunId(8), 1));
        stand.live(Duration::from_secs(6), &[1, 2]);
        assert_eq!((stand.state(), stand.master.epoch()), (RunState::Running, Some(1)), "the statistics were cleared");
    }
    let mut stand = Stand::new();
    stand.hello(1, Some(standing(&SlotSet::all(), Duration::from_secs(90), 0)));
    stand.hello(2, Some(later()));
    assert!(stand.sent().iter().any(|(worker, message)| *worker == 1 && matches!(message, ToWorker::Abandon(RunId(7)))));
    stand.live(Duration::from_secs(6), &[1, 2]);
    assert_eq!((run(&stand), stand.state()), (RunId(8), RunState::Running));
}

fn half() -> SlotSet {
    let mut half = SlotSet::none();
    SlotSet::all().iter().filter(|slot| slot % 2 == 0).for_each(|slot| half.insert(slot));
    half
}

#[test]
fn who_comes_when_those_are_gone_that_got_its_users_at_the_takeover_is_shown_to_have_run_them_beside_others() {
    // Seed 42019165: of those who had got them nobody was there any more, and no overlap was shown.
    for nobody_got_any in [false, true] {
        let mut stand = Stand::new();
        let first = standing(&half(), Duration::from_secs(41), 0);
        if nobody_got_any {
            stand.message(1, is_leaving(1, first));
        } else {
            stand.hello(1, Some(first));
        }
        stand.live(Duration::from_secs(5), &[1]);
        stand.delta(1, 1, 0);
        stand.live(Duration::from_secs(5), &[]);
        stand.hello(2, Some(standing(&half(), Duration::from_secs(52), 0)));
        let overlaps = stand.master.snapshot(stand.now).overlaps;
        let shown: Vec<_> = overlaps.iter().map(|overlap| (overlap.worker.clone(), overlap.from.as_secs(), overlap.users)).collect();
        assert_eq!(shown, if nobody_got_any { vec![] } else { vec![(id(2).to_string(), 45, 5)] });
    }
}

#[test]
fn who_has_dropped_a_run_in_which_only_the_journal_knew_of_it_is_shown_to_have_run_its_users_beside_others() {
    // Seed 43004205: it was out of reach when its master died, went on until its patience ended, and came back under another name.
    let mut before = Stand::running_with(MasterConfig { has_journal: true, ..config() }, 2, 10);
    before.live(Duration::from_secs(2), &[1, 2]);
    let mut stand = endings::next_of(&mut before);
    stand.hello(1, Some(standing(&half(), Duration::from_secs(30), 0)));
    stand.live(Duration::from_secs(20), &[1]);
    let renamed = Hello { formerly: Some(id(2)), ..hello(3, None) };
    // Its first welcome does not come through.
    for _ in 0..2 {
        stand.message(3, ToMaster::Hello(Box::new(renamed.clone())));
    }
    let snapshot = stand.master.snapshot(stand.now);
    let shown: Vec<_> = snapshot.overlaps.iter().map(|overlap| (overlap.worker.clone(), overlap.from.as_secs(), overlap.users)).collect();
    assert_eq!(shown, [(id(2).to_string(), 34, 5)]);
    assert_eq!(snapshot.holes.len(), 1, "and its numbers are missing");
}

#[test]
fn a_run_whose_workers_are_all_back_and_no_more_in_it_is_not_waited_for() {
    // Seed 43022085: its end was not in the journal, its worker had been told of it, and no other run could be started for a minute.
    let mut before = Stand::running_with(MasterConfig { has_journal: true, ..config() }, 2, 10);
    before.live(Duration::from_secs(2), &[1, 2]);
    let mut stand = endings::next_of(&mut before);
    stand.hello(1, None);
    stand.live(Duration::from_secs(3), &[1]);
    assert!(stand.end().is_none(), "the other one may bring it");
    stand.hello(2, None);
    stand.live(Duration::from_millis(500), &[1, 2]);
    let failure = stand.end().and_then(|end| end.failure).expect("nobody can bring it");
    assert!(failure.text.contains("none of them is in it any more"), "{}", failure.text);
    stand.start(10);
    assert_eq!(stand.state(), RunState::Waiting);
}

#[test]
fn a_worker_that_is_back_and_only_prepared_does_not_say_that_the_others_have_nothing_to_bring() {
    // Seed 45004110: the journal ended behind the first worker that had begun, and the run was called lost while the others were on their way.
    let mut before = Stand::running_with(MasterConfig { has_journal: true, ..config() }, 2, 10);
    before.live(Duration::from_secs(2), &[1, 2]);
    let first = before.actions.iter().position(|action| matches!(action, Action::Keep(_, Record::Began(_)))).expect("one has begun");
    before.actions.truncate(first + 1);
    let mut stand = endings::next_of(&mut before);
    stand.hello(1, Some(unbegun()));
    stand.live(Duration::from_secs(3), &[1]);
    assert!(stand.end().is_none(), "the other one may bring it");
    stand.hello(2, Some(standing(&SlotSet::all(), Duration::from_secs(41), 0)));
    stand.live(Duration::from_secs(5), &[1, 2]);
    assert_eq!(stand.state(), RunState::Running);
}

#[test]
fn a_worker_that_has_handed_numbers_in_to_another_master_meanwhile_brings_a_total_that_replaces_what_is_held() {
    // Seed 43043506: of two masters without a journal the one that stayed could not place it, and closed each link on which it came.
    let mut stand = Stand::new();
    let total = |stand: &mut Stand, acknowledged, sequence, requests| {
        stand.hello(1, Some(standing(&SlotSet::all(), Duration::from_secs(41), acknowledged)));
        stand.message(1, ToMaster::TotalPart { run: RunId(7), number: 0, tally: Box::new(tally(40, requests)) });
        stand.message(1, ToMaster::TotalEnd { run: RunId(7), epoch: 0, parts: 1, sequence });
    };
    total(&mut stand, 4, 4, 5);
    stand.delta(1, 5, 2);
    assert_eq!(stand.requests(), 7);
    total(&mut stand, 8, 9, 30);
    stand.delta(1, 10, 1);
    assert_eq!(stand.requests(), 31);
    assert!(!stand.actions.iter().any(|action| matches!(action, Action::CloseLink(_))));
}

#[test]
fn a_run_that_nobody_has_brought_and_that_is_stopped_is_waited_for_no_longer_than_any_that_is_stopped() {
    // Seed 43049851: a journal of which a part was gone told of nobody, and no other run could be started for a minute.
    let mut stand = endings::restored(Vec::new());
    stand.hello(1, None);
    stand.live(Duration::from_secs(5), &[1]);
    let actions = stand.master.on_stop(stand.now);
    stand.actions.extend(actions);
    stand.live(Duration::from_secs(14), &[1]);
    assert!(stand.end().is_none(), "whoever is in it may come and hand its numbers in");
    stand.live(Duration::from_secs(2), &[1]);
    assert!(stand.end().is_some_and(|end| end.failure.is_some()));
    stand.start(10);
    assert_eq!(stand.state(), RunState::Waiting);
}

#[test]
fn users_that_two_workers_ran_by_an_older_target_are_shown_as_doubled_though_fewer_are_wanted_now() {
    // Seed 44008918: they were counted by the target in force, which the journal alone knew of.
    let mut kept = endings::kept(Vec::new());
    (kept.profile, kept.generation) = (Arc::new(LoadProfile::plain(1, 1.0, None)), 9);
    let now = Instant::now();
    let mut stand = Stand { master: Master::restored(MasterConfig { has_journal: true, ..config() }, kept, now), now, actions: Vec::new() };
    let mut older = standing(&SlotSet::all(), Duration::from_secs(41), 0);
    older.orders.as_mut().unwrap().generation = 4;
    let mut without_the_first = SlotSet::all();
    (0..5).for_each(|slot| without_the_first.remove(slot));
    stand.hello(1, Some(older));
    stand.hello(2, Some(standing(&without_the_first, Duration::from_secs(41), 0)));
    stand.live(Duration::from_secs(6), &[1, 2]);
    let snapshot = stand.master.snapshot(stand.now);
    let shown: Vec<_> = snapshot.overlaps.iter().map(|overlap| (overlap.worker.clone(), overlap.users)).collect();
    assert_eq!((snapshot.goal_users, shown), (1, vec![(id(1).to_string(), 5)]));
}

#[test]
fn users_that_two_workers_ran_are_dropped_by_one_of_them_at_once_whatever_the_pace_of_the_target_in_force() {
    // Seed 44014804: they were to be handed over one after the other, eight in a second.
    let mut stand = Stand::new();
    let mut older = standing(&SlotSet::all(), Duration::from_secs(41), 0);
    let followed = older.orders.as_mut().unwrap();
    (followed.generation, followed.profile) = (4, Arc::new(LoadProfile::plain(3, 1.0, None)));
    stand.hello(1, Some(older));
    stand.hello(2, Some(standing(&half(), Duration::from_secs(41), 0)));
    stand.live(Duration::from_secs(6), &[1, 2]);
    let orders = stand.orders();
    let handover = orders[&1].orders.handover.as_ref().unwrap();
    assert_eq!((users(&orders[&1], 10), users(&orders[&2], 10)), (5, 5));
    assert!((0..10).all(|slot| handover.moved.contains(slot) != half().contains(slot)), "the others are on their way");
}
