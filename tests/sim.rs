//! The cluster in simulated time: a master and workers as they are, everything around them simulated, from a seed.
//!
//! Each seed is one life of a cluster: links that stall, break and lose what is on its way, or are slower than reports come; workers that come, leave,
//! freeze, sleep and are killed, one or up to fifty, or are all replaced; a master that stands still, is killed and comes back with its journal, an older
//! part of it or none, or has another one beside it for a while; a person who starts, pauses, re-targets, resets, revises and stops runs, one after
//! the other, in the middle of all that. The books of what was truly counted are kept beside it.
//!
//! # What is promised, and looked at in every life
//!
//! | promise | the faults of `fault` that show that it is looked at |
//! |---|---|
//! | served = reported: each request counts once, whoever came, went or came back | `CountsTwice`, `ForgetsTooEarly`, `HidesStanding` |
//! | sums, histograms, the least and the greatest are exact; the total is its parts | `BlursTheLeast` |
//! | what comes late stands in the second in which it was counted | `DatesByArrival` |
//! | rates divide by the time that they cover | `RatesOfHalfTheTime` |
//! | a reset voids what was counted before, in every worker, and the holes and overlaps of before | `IgnoresReset`, `LeavesHoles` |
//! | users are as many as wanted, and level within one | `IgnoresHandedSlots`, `WantsFewer` |
//! | the classes have their shares | `WeighsWrongly` |
//! | the master knows how many users run | `MiscountsUsers` |
//! | nobody runs twice while both owners hear the master; out of reach, an overlap is shown | `TakesEverySlot`, `HidesOverlaps` |
//! | a churn moves the leaver's slots or the joiner's share, and at most one more of each worker | `Reshuffles` |
//! | users move no faster than the spawn rate | `MovesAtOnce` |
//! | an orphan goes on by its plan until its patience ends, and no longer; where orphans pause, it makes no load | `GivesUpEarly`, `NeverGivesUp`, `NeverPausesAlone` |
//! | in a paused run nobody makes load, and everybody goes on afterwards; the next master hears of it | `IgnoresPause`, `NeverResumes`, `ForgetsPause` |
//! | a run ends when somebody stops it, at its planned end, when no user is left, and for no other reason | `EndsTooEarly`, `NeverEndsByPlan`, `NeverExhausted` |
//! | after its end nobody makes load, everybody is ready, and another run can be started | `IgnoresStop` |
//! | a stop waits for those who are out of reach and may come back with numbers | `WaitsForNobody` |
//! | a run that is called complete is; what is missing of one that was killed is a hole, and nothing else is | `FinishesAtOnce`, `HidesHoles`, `InventsHole` |
//! | whoever is let go is in the journal, and so is whoever was found lost, and that somebody has begun | `FarewellUnkept`, `ForgetsTheLost`, `ForgetsTheBegun` |
//! | a worker that ends as whole has heard that all its numbers are kept | `LetsGoUnheard` |
//! | a new master has what its journal says; one that shall not adopt a run ends it | `IgnoresJournal`, `AdoptsAll` |
//! | changed scripts come to all | `IgnoresRevisions` |
//! | a number that users draw is handed out once, in the whole run; a value is fetched by one of them at a time | `HandsOutTwice`, `FetchesTwice` |
//! | of users that wait for each other none is let go before its number is there, and all are when it is | `OpensTooEarly`, `NeverOpens` |
//! | each row and each iteration is taken once, and none is forgotten; those shown are those that began, but for those shown as lost | `GivesTwice`, `LosesIterations`, `CountsLostAsBegun`, `HidesRowsOfLost` |
//! | where nobody knows which iterations were given out, people are told | `HidesUnknown` |
//! | nobody begins before the setup is over, all have what one setup returned, one worker at a time does it; the teardown follows the last user | `BeginsUnready`, `AsksTwice`, `ForgetsTeardown` |
//! | the worst window of a threshold is what was counted in it, and the next master knows it by the journal or by the workers | `HidesTheWorst`, `ForgetsTheWorst` |
//! | a run ends early where a threshold or a script says so, and people see why; one that is cut ends at once | `NeverEndsEarly`, `IgnoresScripts`, `HidesReason`, `StopsForCut` |
//! | a revision that the journal knows is taken over by the next master | `ForgetsRevisions` |
//! | nobody is given more than a sixty-fourth of a file at once | `GivesTooMany` |
//! | an overlap is shown of nobody who was in touch all the time, and of nobody as if it went on that has ended | `InventsOverlap`, `NeverEndsOverlaps` |
//! | history is in the journal when it is past, and the next master shows it | `ForgetsHistory`, `IgnoresHistory` |
//! | a run that is over and reported is brought to no other master | `ForgetsEnd`, `IgnoresLeave` |
//! | a journal that is written anew says the same | `LosesAnew` |
//! | nothing begins without somebody who gets ready | (`watch` and `acts` look at it) |
//! | what waits is bounded, orders are few, machines rest, one numbering bears one name | (`watch` and `machines` look at it) |
//! | no machine panics, whatever comes to it | `Panics` |
//!
//! # How it is played
//!
//! An ordinary test plays the first seeds and each seed that ever failed. `LUNAMOTH_SIM_SECONDS=120` plays fresh ones for so long, from a first
//! seed that is drawn from the date and printed, or from `LUNAMOTH_SIM_FROM`; with `LUNAMOTH_SIM_SEEDS=5000` just so many. `LUNAMOTH_SIM_SEED=123`
//! plays one, with `LUNAMOTH_SIM_DRAWING=1` to `5` as it was drawn before. Of failures the first is shrunk to the smallest course of faults that still
//! fails, or with `LUNAMOTH_SIM_WHOLE=1` left as it is, and told with all that happened.

#![expect(clippy::unwrap_used, clippy::vec_box, reason = "a test may stop at what cannot be")]

#[path = "sim/acts.rs"]
mod acts;
#[path = "sim/books.rs"]
mod books;
#[path = "sim/chance.rs"]
mod chance;
#[path = "sim/counting.rs"]
mod counting;
#[path = "sim/course.rs"]
mod course;
#[path = "sim/demands.rs"]
mod demands;
#[path = "sim/directed.rs"]
mod directed;
#[path = "sim/fate.rs"]
mod fate;
#[path = "sim/fault.rs"]
mod fault;
#[path = "sim/keeping.rs"]
mod keeping;
#[path = "sim/lanes.rs"]
mod lanes;
#[path = "sim/link.rs"]
mod link;
#[path = "sim/machines.rs"]
mod machines;
#[path = "sim/network.rs"]
mod network;
#[path = "sim/operator.rs"]
mod operator;
#[path = "sim/promises.rs"]
mod promises;
#[path = "sim/richer.rs"]
mod richer;
#[path = "sim/scenario.rs"]
mod scenario;
#[path = "sim/shrink.rs"]
mod shrink;
#[path = "sim/takings.rs"]
mod takings;
#[path = "sim/tamper.rs"]
mod tamper;
#[path = "sim/watch.rs"]
mod watch;
#[path = "sim/world.rs"]
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use course::{Failure, play};
use scenario::{Drawing, Habits, Scenario};

/// Seeds of an ordinary test, as they are drawn today and as they were drawn at first.
const SEEDS: u64 = 200;
/// Beyond those, seeds that failed as they were drawn at first. The drawing of a scenario must stay as it is, or they are not what they were.
const FAILED_AT_FIRST: &[u64] = &[
    1361,
    1428,
    1593,
    1669,
    1818,
    2036,
    2050,
    2074,
    2097,
    2213,
    2393,
    2772,
    2897,
    2931,
    3001,
    3321,
    3324,
    3334,
    3457,
    3480,
    3753,
    3758,
    3927,
    2026112800166,
    2026112800483,
];
/// The same, as they are drawn today.
const FAILED_TODAY: &[u64] = &[
    49000218,
    52000095,
    61000908,
    61002307,
    61003648,
    61003916,
    62000085,
    62000620,
    62001096,
    62005601,
    2026113000012,
    2026113000238,
    2026113001793,
    2026113003646,
    2026120101091,
    2026120104749,
    2026120107350,
    2026120107415,
    2026120504055,
    2026120512431,
];
/// The same, as they were drawn before anybody demanded anything of the numbers.
const FAILED_AT_FIFTH: &[u64] = &[
    49000218, 43000550, 43004205, 43005887, 43011730, 43013397, 43014085, 43015283, 43016422, 43017088, 43017936, 43020156, 43022085,
    43023195, 43035339, 43039356, 43043506, 43044750, 43046593, 43049851, 44006104, 44008918, 44013423, 44014804, 45004110, 46002611,
    50000770, 50002798, 50011285, 50011862,
];
/// The same, as they were drawn before users waited for each other.
const FAILED_AT_FOURTH: &[u64] = &[
    41000129,
    41000187,
    41000279,
    41000364,
    41000401,
    41000438,
    41000455,
    41000521,
    41000534,
    41000795,
    41001196,
    41001419,
    41001742,
    41001775,
    41001985,
    41002003,
    41002145,
    41002726,
    41002760,
    41002767,
    41003867,
    41004136,
    42001149,
    42001273,
    42001578,
    42002549,
    42002812,
    42002902,
    42015078,
    42017002,
    42019165,
    2026112901005,
    2026113000902,
];
/// The same, as they were drawn before that.
const FAILED_AT_THIRD: &[u64] = &[
    16000032, 16000039, 16000310, 16000316, 16000327, 16000450, 16000550, 16000873, 16000907, 16000938, 16000970, 16001043, 16001076,
    16001650, 16001714, 16002113, 16002161, 16002677, 16002789, 16003032, 16003227, 16003361, 16003545, 16003732, 17002839, 17003310,
    31000652, 31000739, 31001676, 31003069, 31003800, 31004219, 32000155, 32002297, 40000784, 40000897, 40002442, 40005520, 40005907,
    40009454, 40010692, 40012800, 40013190, 40014669, 40016425, 40018481, 40018763,
];
/// The same, as they were drawn still earlier.
const FAILED_AT_SECOND: &[u64] = &[
    75,
    358,
    20086,
    20139,
    100006,
    100041,
    200187,
    7000000323,
    7000000397,
    7000000534,
    7000000611,
    7000000637,
    7000001114,
    7000001248,
    7000001281,
    7000001339,
    2026112800792,
    2026112801088,
];

#[test]
fn whatever_happens_nothing_is_lost_nor_counted_twice_and_users_are_as_many_as_wanted() {
    if let Some(seed) = number_from("LUNAMOTH_SIM_SEED") {
        return report(play(&drawn_as_asked(seed), None).err().into_iter().collect());
    }
    let (from, seeds, seconds) = ["FROM", "SEEDS", "SECONDS"].map(|name| number_from(&format!("LUNAMOTH_SIM_{name}"))).into();
    if seconds.is_none() && seeds.is_none() {
        let lives: Vec<Scenario> = ordinary_lives().collect();
        return report(play_all(|turn| lives.get(usize::try_from(turn).unwrap()).cloned()).1);
    }
    let from = from.unwrap_or_else(|| if seconds.is_some() { seed_of_this_moment() } else { 0 });
    let begin = Instant::now();
    let is_on =
        |turn| seeds.is_none_or(|seeds| turn < seeds) && seconds.is_none_or(|seconds| begin.elapsed() < Duration::from_secs(seconds));
    println!("seeds from {from} on: LUNAMOTH_SIM_FROM={from} plays the same");
    let (played, failures) = play_all(|turn| is_on(turn).then(|| drawn_as_asked(from + turn)));
    println!("{played} lives in {:.0} s", begin.elapsed().as_secs_f64());
    assert!(played > 0, "no life was played");
    report(failures);
}

/// A life as LUNAMOTH_SIM_DRAWING says that it is drawn; without it, as they are today.
fn drawn_as_asked(seed: u64) -> Scenario {
    match number_from("LUNAMOTH_SIM_DRAWING") {
        None | Some(6) => Scenario::drawn(seed),
        Some(5) => Scenario::drawn_at_fifth(seed),
        Some(4) => Scenario::drawn_at_fourth(seed),
        Some(3) => Scenario::drawn_at_third(seed),
        Some(2) => Scenario::drawn_at_second(seed),
        Some(1) => Scenario::drawn_at_first(seed),
        Some(drawing) => panic!("LUNAMOTH_SIM_DRAWING is 1 to 6, not {drawing}"),
    }
}

/// What an ordinary test plays.
fn ordinary_lives() -> impl Iterator<Item = Scenario> {
    let at_first = (0..SEEDS).chain(FAILED_AT_FIRST.iter().copied()).map(Scenario::drawn_at_first);
    let at_second = (0..SEEDS).chain(FAILED_AT_SECOND.iter().copied()).map(Scenario::drawn_at_second);
    // Most lives are as they were; those that are not are new.
    let third = (0..SEEDS).map(Scenario::drawn_at_third).filter(|life| life.events != Scenario::drawn_at_second(life.seed).events);
    let at_third = third.chain(FAILED_AT_THIRD.iter().copied().map(Scenario::drawn_at_third));
    let is_new = |life: &Scenario| life.habits != Habits::default() || life.profile.quota().is_some();
    let fourth = (0..SEEDS).map(Scenario::drawn_at_fourth).filter(is_new);
    let at_fourth = fourth.chain(FAILED_AT_FOURTH.iter().copied().map(Scenario::drawn_at_fourth));
    let gathering = (0..SEEDS * 2).map(Scenario::drawn_at_fifth).filter(|life| life.habits.gathers.is_some());
    let at_fifth = gathering.chain(FAILED_AT_FIFTH.iter().copied().map(Scenario::drawn_at_fifth));
    let today = (0..SEEDS).map(Scenario::drawn).chain(FAILED_TODAY.iter().copied().map(Scenario::drawn));
    at_first.chain(at_second).chain(at_third).chain(at_fourth).chain(at_fifth).chain(today)
}

/// Plays the lives that `life_of` has for turns 0, 1, 2 and so on, on all cores, until it has none or enough have failed. How many were played,
/// and those that failed.
fn play_all(life_of: impl Fn(u64) -> Option<Scenario> + Sync) -> (u64, Vec<Box<Failure>>) {
    let (next, played) = (AtomicU64::new(0), AtomicU64::new(0));
    let play_some = || {
        let mut failures = Vec::new();
        while failures.len() < FAILURES_SHOWN
            && let Some(life) = life_of(next.fetch_add(1, Ordering::Relaxed))
        {
            failures.extend(play(&life, None).err());
            played.fetch_add(1, Ordering::Relaxed);
        }
        failures
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let failures = std::thread::scope(|scope| {
        let players: Vec<_> = (0..threads).map(|_| scope.spawn(play_some)).collect();
        players.into_iter().flat_map(|player| player.join().unwrap()).collect()
    });
    (played.into_inner(), failures)
}

/// Far from the seeds that other tests play, and another one each second.
fn seed_of_this_moment() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("this is after 1970");
    since.as_secs() * 1_000
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

/// Tells of the failures; of the first one, made as small as it can be, with all that happened.
fn report(mut failures: Vec<Box<Failure>>) {
    failures.sort_by_key(|failure| failure.scenario.seed);
    let list: Vec<String> = failures.iter().map(|failure| format!("seed {}: {}", failure.scenario.seed, failure.what)).collect();
    if failures.is_empty() {
        return;
    }
    let first = failures.swap_remove(0);
    let first = if std::env::var_os("LUNAMOTH_SIM_WHOLE").is_some() { first } else { shrink::shrunk(first, None) };
    panic!("{}\nall that failed:\n{}", verdict(vec![first]).unwrap_or_default(), list.join("\n"));
}

/// What is to be said of failures; nothing where there is none.
fn verdict(mut failures: Vec<Box<Failure>>) -> Option<String> {
    failures.sort_by_key(|failure| failure.scenario.seed);
    let first = failures.first()?;
    let list: Vec<String> = failures.iter().map(|failure| format!("seed {}: {}", failure.scenario.seed, failure.what)).collect();
    let (trace, list, seed) = (first.trace.join("\n"), list.join("\n"), first.scenario.seed);
    let drawing = match first.scenario.drawing {
        Drawing::Today => String::new(),
        drawing => format!("LUNAMOTH_SIM_DRAWING={} ", drawing as u8),
    };
    Some(format!("{trace}\n{:#?}\n{list}\n{drawing}LUNAMOTH_SIM_SEED={seed} plays the first of them again", first.scenario))
}

/// Of more than so many in a thread there is no need.
const FAILURES_SHOWN: usize = 20;
