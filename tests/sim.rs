//! The cluster in simulated time: a master and workers as they are, everything around them simulated, from a seed.
//!
//! Each seed is one life of a cluster: links that stall, break and lose what is on its way, workers that come, leave, freeze and are killed,
//! a master that is killed and comes back with or without its journal. The books of what was truly counted are kept beside it and the
//! master's table is held against them at the end; other invariants are looked at all the time.
//!
//! `LUNAMOTH_SIM_SEEDS=5000` plays more seeds, `LUNAMOTH_SIM_SEED=123` only that one, and prints what happened if it fails.

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
#[path = "sim/tamper.rs"]
mod tamper;
#[path = "sim/watch.rs"]
mod watch;
#[path = "sim/world.rs"]
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use course::{Failure, play};
use scenario::Scenario;

/// Seeds of an ordinary test.
const SEEDS: u64 = 200;

#[test]
fn whatever_happens_nothing_is_lost_nor_counted_twice_and_users_are_as_many_as_wanted() {
    if let Some(seed) = number_from("LUNAMOTH_SIM_SEED") {
        return report(play(&Scenario::drawn(seed), None).err().into_iter().collect());
    }
    let seeds = number_from("LUNAMOTH_SIM_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let play_some = || {
        let mut failures = Vec::new();
        while failures.len() < FAILURES_SHOWN {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                break;
            }
            failures.extend(play(&Scenario::drawn(seed), None).err());
        }
        failures
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let failures = std::thread::scope(|scope| {
        let players: Vec<_> = (0..threads).map(|_| scope.spawn(play_some)).collect();
        players.into_iter().flat_map(|player| player.join().unwrap()).collect()
    });
    report(failures);
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

/// Tells of the failures; of the first one with all that happened.
fn report(failures: Vec<Box<Failure>>) {
    if let Some(verdict) = verdict(failures) {
        panic!("{verdict}");
    }
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
