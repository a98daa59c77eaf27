//! From a life that fails to the smallest course of faults that still does: what a person reads is that one.

use std::time::Duration;

use super::course::{Failure, play};
use super::scenario::{Habits, Scenario, Weather};
use super::tamper::Tamper;

/// The smallest failure that leaving out and calming down leads to from `failure`, within so many lives. It fails in its own way, which may
/// be another than the first one's: the kind of a fault is often told by several checks.
pub fn shrunk(failure: Box<Failure>, tamper: Option<&dyn Fn() -> Tamper>) -> Box<Failure> {
    let mut best = failure;
    let mut lives = LIVES;
    loop {
        let Some(smaller) = simpler(&best.scenario).take_while(|_| spend(&mut lives)).find_map(|scenario| play(&scenario, tamper).err())
        else {
            return best;
        };
        best = smaller;
    }
}

fn spend(lives: &mut u32) -> bool {
    *lives = lives.saturating_sub(1);
    *lives > 0
}

/// Scenarios that are a step simpler, those first that leave out the most.
fn simpler(scenario: &Scenario) -> impl Iterator<Item = Scenario> + use<> {
    let without = (0..scenario.events.len() - 1).rev().map({
        let scenario = scenario.clone();
        move |place| {
            let mut fewer = scenario.clone();
            fewer.events.remove(place);
            fewer
        }
    });
    let plainer = [
        Scenario { weather: Weather { delay: (1, 4), stalls: 0 }, ..scenario.clone() },
        Scenario { weather: Weather { stalls: 0, ..scenario.weather }, ..scenario.clone() },
        Scenario { lanes: 1, ..scenario.clone() },
        Scenario { pauses: false, ..scenario.clone() },
        Scenario { habits: Habits { acts: false, ..scenario.habits }, ..scenario.clone() },
        Scenario { habits: Habits { rows: None, ..scenario.habits }, ..scenario.clone() },
        Scenario { habits: Habits { shares: false, ..scenario.habits }, ..scenario.clone() },
        Scenario { habits: Habits { gathers: None, ..scenario.habits }, ..scenario.clone() },
        Scenario { habits: Habits { demands: None, ..scenario.habits }, ..scenario.clone() },
        Scenario { habits: Habits { halts: None, ..scenario.habits }, ..scenario.clone() },
        Scenario { habits: Habits { compacts: None, ..scenario.habits }, ..scenario.clone() },
        Scenario { habits: Habits { closes: false, ..scenario.habits }, ..scenario.clone() },
        Scenario { workers: scenario.workers.saturating_sub(1).max(1), ..scenario.clone() },
        Scenario { orphan_timeout: Duration::from_secs(60), ..scenario.clone() },
    ];
    let before = format!("{scenario:?}");
    without.chain(plainer).filter(move |simpler| format!("{simpler:?}") != before)
}

/// A life takes some 30 ms.
const LIVES: u32 = 300;

#[cfg(test)]
mod tests {
    use super::super::fault::Fault;
    use super::super::scenario::Event;
    use super::*;

    #[test]
    fn of_a_life_full_of_faults_the_one_that_matters_is_left() {
        let kill = Event::Kill { worker: 2, comes_back_after: None };
        let scenario =
            Scenario { lanes: 2, weather: Weather { delay: (10, 60), stalls: 1 }, ..Scenario::plain(3, 40, Duration::from_secs(30)) }
                .with(Duration::from_secs(5), Event::Cut { worker: 1 })
                .with(Duration::from_secs(12), kill.clone())
                .with(Duration::from_secs(14), Event::Revise)
                .with(Duration::from_secs(20), Event::Cut { worker: 0 });
        let tamper = || Tamper::new(Fault::IgnoresHandedSlots);
        let failure = play(&scenario, Some(&tamper)).err().expect("the fault is caught");
        let small = shrunk(failure, Some(&tamper));
        let left: Vec<&Event> = small.scenario.events.iter().map(|(_, event)| event).collect();
        assert!(matches!(left[..], [Event::Kill { .. } | Event::Cut { .. }, Event::Heal]), "{left:?}");
        assert_eq!((small.scenario.lanes, small.scenario.weather.stalls), (1, 0));
    }
}
