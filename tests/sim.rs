//! The cluster in simulated time: a master and workers as they are, everything around them simulated, from a seed.
//!
//! Each seed is one life of a cluster: links that stall, break and lose what is on its way, workers that come, leave, freeze and are killed,
//! a master that is killed and comes back with or without its journal. The books of what was truly counted are kept beside it and the
//! master's table is held against them at the end; other invariants are looked at all the time.
//!
//! An ordinary test plays seeds 0 to 199 and each seed that ever failed. `LUNAMOTH_SIM_SECONDS=120` plays fresh ones for so long, from a first
//! seed that is drawn from the date and printed, or from `LUNAMOTH_SIM_FROM`; with `LUNAMOTH_SIM_SEEDS=5000` just so many. `LUNAMOTH_SIM_SEED=123`
//! plays one. Of failures the first is shrunk to the smallest course of faults that still fails, and told with all that happened.

#![expect(clippy::unwrap_used, clippy::vec_box, reason = "a test may stop at what cannot be")]

#[path = "sim/books.rs"]
mod books;
#[path = "sim/chance.rs"]
mod chance;
#[path = "sim/course.rs"]
mod course;
#[path = "sim/directed.rs"]
mod directed;
#[path = "sim/fate.rs"]
mod fate;
#[path = "sim/lanes.rs"]
mod lanes;
#[path = "sim/link.rs"]
mod link;
#[path = "sim/machines.rs"]
mod machines;
#[path = "sim/scenario.rs"]
mod scenario;
#[path = "sim/shrink.rs"]
mod shrink;
#[path = "sim/tamper.rs"]
mod tamper;
#[path = "sim/watch.rs"]
mod watch;
#[path = "sim/world.rs"]
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use course::{Failure, play};
use scenario::Scenario;

/// Seeds of an ordinary test: the first 200, and those beyond that have failed once. The drawing of a scenario must stay as it is, or they are not what they
/// were.
const SEEDS: u64 = 200;
const FAILED_ONCE: [u64; 25] = [
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

#[test]
fn whatever_happens_nothing_is_lost_nor_counted_twice_and_users_are_as_many_as_wanted() {
    if let Some(seed) = number_from("LUNAMOTH_SIM_SEED") {
        return report(play(&Scenario::drawn(seed), None).err().into_iter().collect());
    }
    let (from, seeds, seconds) = ["FROM", "SEEDS", "SECONDS"].map(|name| number_from(&format!("LUNAMOTH_SIM_{name}"))).into();
    if seconds.is_none() && seeds.is_none() {
        return report(play_all(|turn| (0..SEEDS).chain(FAILED_ONCE).nth(usize::try_from(turn).unwrap())).1);
    }
    let from = from.unwrap_or_else(|| if seconds.is_some() { seed_of_this_moment() } else { 0 });
    let begin = Instant::now();
    let is_on =
        |turn| seeds.is_none_or(|seeds| turn < seeds) && seconds.is_none_or(|seconds| begin.elapsed() < Duration::from_secs(seconds));
    println!("seeds from {from} on: LUNAMOTH_SIM_FROM={from} plays the same");
    let (played, failures) = play_all(|turn| is_on(turn).then_some(from + turn));
    println!("{played} lives in {:.0} s", begin.elapsed().as_secs_f64());
    assert!(played > 0, "no life was played");
    report(failures);
}

/// Plays the seeds that `seed_of` has for turns 0, 1, 2 and so on, on all cores, until it has none or enough have failed. How many were played,
/// and those that failed.
fn play_all(seed_of: impl Fn(u64) -> Option<u64> + Sync) -> (u64, Vec<Box<Failure>>) {
    let (next, played) = (AtomicU64::new(0), AtomicU64::new(0));
    let play_some = || {
        let mut failures = Vec::new();
        while failures.len() < FAILURES_SHOWN
            && let Some(seed) = seed_of(next.fetch_add(1, Ordering::Relaxed))
        {
            failures.extend(play(&Scenario::drawn(seed), None).err());
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
    let first = shrink::shrunk(failures.swap_remove(0), None);
    panic!("{}\nall that failed:\n{}", verdict(vec![first]).unwrap_or_default(), list.join("\n"));
}

/// What is to be said of failures; nothing where there is none.
fn verdict(mut failures: Vec<Box<Failure>>) -> Option<String> {
    failures.sort_by_key(|failure| failure.scenario.seed);
    let first = failures.first()?;
    let list: Vec<String> = failures.iter().map(|failure| format!("seed {}: {}", failure.scenario.seed, failure.what)).collect();
    let (trace, list, seed) = (first.trace.join("\n"), list.join("\n"), first.scenario.seed);
    Some(format!("{trace}\n{:#?}\n{list}\nLUNAMOTH_SIM_SEED={seed} plays the first of them again", first.scenario))
}

/// Of more than so many in a thread there is no need.
const FAILURES_SHOWN: usize = 20;
