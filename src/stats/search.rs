//! The search for the highest rate that a target holds: which rate is tried next, by what the holds before it have shown. Pure; who makes the load
//! tells what came of it.
//!
//! Below the least of its bounds it tries nothing: a hold there could end before anything is due, and would break for want of that.
//!
//! | step | tries | a pass leads to | a break leads to |
//! |---|---|---|---|
//! | climb | the lowest rate, then each time twice as much | climb, or confirm at the greatest | bisect; at the lowest rate: descend |
//! | descend | half as much | bisect | descend, some times; nothing below the least rate |
//! | bisect | the middle between what holds and what breaks, until both are close | bisect, confirm | bisect, confirm |
//! | confirm | the highest that held, for longer | recheck; refine where a confirm broke | confirm a little lower; nothing below the least rate |
//! | refine | the middle, for longer, until both are close | refine, the answer | refine, the answer |
//! | recheck | the lowest that broke, for longer | climb, in small steps at first | the answer |
//!
//! Confirm and recheck are for targets whose trouble takes time to show, and for holds that something else has disturbed: what is told in the end
//! was seen twice on both sides. A break in a hold in which the generator itself was at fault is not believed before it has come again.

/// A search that is under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    bounds: Bounds,
    step: Step,
    /// The highest rate that held, of those below `breaks`.
    holds: Option<f64>,
    /// The lowest rate that did not.
    breaks: Option<Break>,
    /// How often the rate that is tried broke while the generator was at fault.
    doubts: u32,
    done: u32,
}

/// Between which rates, per second, and how exactly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Where it begins; above zero.
    pub from: f64,
    /// No higher rate is tried; not below `from`.
    pub to: f64,
    /// No lower rate is tried; not above `from`.
    pub least: f64,
    /// What holds and what breaks are at most this share apart in the end; above zero.
    pub close: f64,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Next {
    /// Hold this rate, per second; then [`Search::tell`].
    Hold {
        /// In iterations per second.
        rate: f64,
        /// For longer than the others.
        is_long: bool,
    },
    /// Nothing: the answer is [`Search::finding`].
    Done,
}

/// What came of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// All that is to be kept was kept.
    pub is_kept: bool,
    /// The generator was not at fault.
    pub is_sound: bool,
}

/// What is known of the highest rate so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// The highest rate that held; `None` where none did.
    pub holds: Option<f64>,
    /// The lowest rate that did not; `None` where none was tried that did not.
    pub breaks: Option<f64>,
    /// The generator was at fault when it broke: the target may hold more.
    pub is_generators: bool,
    /// Both were seen in long holds, and are close.
    pub is_certain: bool,
    /// None holds, and any lower rate is below the least.
    pub is_lowest: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Break {
    rate: f64,
    is_sound: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Climb { rate: f64, factor: f64 },
    Descend { rate: f64, left: u32 },
    Bisect,
    Confirm { rate: f64, lowered: u32 },
    Refine,
    Recheck,
    Done { is_certain: bool },
    Lowest,
}

impl Search {
    /// A search between these bounds.
    #[must_use]
    pub const fn new(bounds: Bounds) -> Self {
        Self { bounds, step: Step::Climb { rate: bounds.from, factor: 2.0 }, holds: None, breaks: None, doubts: 0, done: 0 }
    }

    /// What to do next.
    #[must_use]
    pub fn next(&self) -> Next {
        let short = |rate| Next::Hold { rate, is_long: false };
        let long = |rate| Next::Hold { rate, is_long: true };
        match (self.step, self.holds, self.breaks) {
            (Step::Climb { rate, .. } | Step::Descend { rate, .. }, ..) => short(rate),
            (Step::Bisect, Some(holds), Some(breaks)) => short(holds.midpoint(breaks.rate)),
            (Step::Refine, Some(holds), Some(breaks)) => long(holds.midpoint(breaks.rate)),
            (Step::Confirm { rate, .. }, ..) => long(rate),
            (Step::Recheck, _, Some(breaks)) => long(breaks.rate),
            (Step::Bisect | Step::Refine | Step::Recheck | Step::Done { .. } | Step::Lowest, ..) => Next::Done,
        }
    }

    /// What came of the hold that [`Search::next`] asked for.
    pub fn tell(&mut self, outcome: Outcome) {
        let Next::Hold { rate, .. } = self.next() else { return };
        self.done += 1;
        if !outcome.is_kept && !outcome.is_sound && self.doubts < DOUBTS {
            self.doubts += 1;
            return self.bound();
        }
        self.doubts = 0;
        if outcome.is_kept {
            self.on_kept(rate);
        } else {
            self.on_broken(Break { rate, is_sound: outcome.is_sound });
        }
        self.bound();
    }

    /// What is known by now.
    #[must_use]
    pub fn finding(&self) -> Finding {
        Finding {
            holds: self.holds,
            breaks: self.breaks.map(|breaks| breaks.rate),
            is_generators: self.breaks.is_some_and(|breaks| !breaks.is_sound),
            is_certain: matches!(self.step, Step::Done { is_certain: true } | Step::Lowest),
            is_lowest: self.step == Step::Lowest,
        }
    }

    fn on_kept(&mut self, rate: f64) {
        self.holds = Some(rate);
        // What broke at a lower rate was something else's doing.
        self.breaks.take_if(|breaks| breaks.rate <= rate);
        self.step = match self.step {
            Step::Climb { .. } if rate >= self.bounds.to => Step::Confirm { rate, lowered: 0 },
            Step::Climb { factor, .. } => {
                let factor = (factor * factor).min(2.0);
                Step::Climb { rate: (rate * factor).min(self.bounds.to), factor }
            }
            Step::Descend { .. } | Step::Bisect => self.bisect(rate),
            Step::Confirm { lowered: 0, .. } if self.breaks.is_some() => Step::Recheck,
            Step::Confirm { .. } | Step::Refine => self.refine(rate),
            Step::Recheck if rate >= self.bounds.to => Step::Done { is_certain: true },
            Step::Recheck => Step::Climb { rate: (rate * SMALL).min(self.bounds.to), factor: SMALL },
            done @ (Step::Done { .. } | Step::Lowest) => done,
        };
    }

    fn on_broken(&mut self, breaks: Break) {
        self.breaks = Some(breaks);
        // What held at a higher rate held by luck.
        self.holds.take_if(|holds| *holds >= breaks.rate);
        self.step = match (self.step, self.holds) {
            (Step::Climb { .. } | Step::Bisect, Some(holds)) => self.bisect(holds),
            (Step::Climb { .. } | Step::Bisect, None) => self.lower(breaks.rate / 2.0, |rate| Step::Descend { rate, left: DESCENTS }),
            (Step::Descend { left: 0, .. }, _) => Step::Done { is_certain: true },
            (Step::Descend { rate, left }, _) => self.lower(rate / 2.0, |rate| Step::Descend { rate, left: left - 1 }),
            // In ever longer steps: how far below it lies nobody knows.
            (Step::Confirm { rate, lowered }, _) => {
                let lower = rate * (1.0 - self.bounds.close * f64::from(lowered + 1));
                self.lower(lower, |rate| Step::Confirm { rate, lowered: lowered + 1 })
            }
            (Step::Refine, Some(holds)) => self.refine(holds),
            (Step::Recheck, Some(_)) => Step::Done { is_certain: true },
            (Step::Refine | Step::Recheck, None) => Step::Done { is_certain: false },
            (done @ (Step::Done { .. } | Step::Lowest), _) => done,
        };
    }

    /// The step that tries this rate; where it is below the least, the search is done for want of a lower one.
    fn lower(&self, rate: f64, step: impl FnOnce(f64) -> Step) -> Step {
        if rate < self.bounds.least { Step::Lowest } else { step(rate) }
    }

    fn bisect(&self, holds: f64) -> Step {
        if self.is_close(holds) { Step::Confirm { rate: holds, lowered: 0 } } else { Step::Bisect }
    }

    /// As a bisection of what long holds have shown.
    fn refine(&self, holds: f64) -> Step {
        if self.is_close(holds) { Step::Done { is_certain: true } } else { Step::Refine }
    }

    fn is_close(&self, holds: f64) -> bool {
        self.breaks.is_none_or(|breaks| breaks.rate - holds <= self.bounds.close * breaks.rate)
    }

    fn bound(&mut self) {
        if self.done >= HOLDS && !matches!(self.step, Step::Done { .. } | Step::Lowest) {
            self.step = Step::Done { is_certain: false };
        }
    }
}

/// Holds of a search at most.
pub const HOLDS: u32 = 60;
/// How often a break is doubted in which the generator was at fault.
const DOUBTS: u32 = 2;
/// How often a rate is halved below the lowest that was asked for.
const DESCENTS: u32 = 6;
/// A climb after what seemed to break has held.
const SMALL: f64 = 1.15;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kept(is_kept: bool) -> Outcome {
        Outcome { is_kept, is_sound: true }
    }

    /// Searches with a target of which `holds` says whether it holds a rate, in a long hold or a short one. The rates that were tried, and the finding.
    fn search(from: f64, to: f64, mut holds: impl FnMut(f64, bool) -> Outcome) -> (Vec<f64>, Finding) {
        let mut search = Search::new(Bounds { from, to, least: 0.1, close: 0.02 });
        let mut tried = Vec::new();
        while let Next::Hold { rate, is_long } = search.next() {
            tried.push(rate);
            search.tell(holds(rate, is_long));
        }
        (tried, search.finding())
    }

    #[test]
    fn it_climbs_bisects_and_confirms() {
        let (tried, finding) = search(50.0, 10_000.0, |rate, _| kept(rate <= 230.0));
        assert_eq!(tried[..6], [50.0, 100.0, 200.0, 400.0, 300.0, 250.0]);
        let (holds, breaks) = (finding.holds.unwrap(), finding.breaks.unwrap());
        assert!(finding.is_certain && holds <= 230.0 && breaks > 230.0 && breaks - holds <= 0.02 * breaks, "{finding:?}");
        assert_eq!(tried[tried.len() - 2..], [holds, breaks]);
    }

    #[test]
    fn a_target_that_holds_everything_is_held_at_the_greatest_rate_and_one_that_holds_nothing_says_so() {
        let (tried, finding) = search(50.0, 150.0, |_, _| kept(true));
        assert_eq!((tried, finding.holds, finding.breaks, finding.is_certain), (vec![50.0, 100.0, 150.0, 150.0], Some(150.0), None, true));
        let (tried, finding) = search(64.0, 150.0, |_, _| kept(false));
        assert_eq!((finding.holds, finding.breaks, tried.len(), finding.is_lowest), (None, Some(0.5), 8, false));
    }

    #[test]
    fn no_rate_is_tried_below_the_least_and_where_none_holds_that_is_the_finding() {
        let (tried, finding) = search(10.0, 100.0, |_, _| kept(false));
        assert_eq!(tried, [10.0, 5.0, 2.5, 1.25, 0.625, 0.3125, 0.15625]);
        assert_eq!((finding.holds, finding.breaks, finding.is_certain, finding.is_lowest), (None, Some(0.15625), true, true));
        // One that holds for a short time alone, whatever the rate.
        let (tried, finding) = search(1.0, 1.0, |_, is_long| kept(!is_long));
        assert!(tried.iter().all(|rate| *rate >= 0.1) && tried.len() < HOLDS as usize, "{tried:?}");
        assert_eq!((finding.holds, finding.is_lowest), (None, true));
    }

    #[test]
    fn a_target_that_holds_less_than_the_lowest_rate_is_found_below_it() {
        let (_, finding) = search(100.0, 1_000.0, |rate, _| kept(rate <= 30.0));
        assert!(finding.holds.is_some_and(|holds| (29.0..=30.0).contains(&holds)), "{finding:?}");
    }

    #[test]
    fn what_holds_for_a_short_time_alone_is_lowered_until_it_holds_for_long() {
        let (_, finding) = search(50.0, 1_000.0, |rate, is_long| kept(rate <= if is_long { 200.0 } else { 230.0 }));
        assert!(finding.is_certain && finding.holds.is_some_and(|holds| (188.0..=200.0).contains(&holds)), "{finding:?}");
    }

    #[test]
    fn a_disturbed_hold_does_not_hide_what_lies_above() {
        let mut seen = 0;
        let (_, finding) = search(50.0, 10_000.0, |rate, _| {
            seen += 1;
            kept(rate <= 800.0 && seen != 2)
        });
        assert!(finding.is_certain && finding.holds.is_some_and(|holds| (770.0..=800.0).contains(&holds)), "{finding:?}");
    }

    #[test]
    fn a_generator_at_fault_is_doubted_and_then_named() {
        let (tried, finding) = search(50.0, 10_000.0, |rate, _| Outcome { is_kept: rate <= 100.0, is_sound: rate <= 100.0 });
        assert_eq!(tried[..6], [50.0, 100.0, 200.0, 200.0, 200.0, 150.0]);
        assert!(finding.is_generators);
    }

    proptest! {
        /// Each hold sees the capacity a little off, as noise has it, and some are disturbed by something else: what is found is within 5 % all the same.
        #[test]
        fn what_is_found_is_near_the_capacity(
            capacity in 20.0_f64..5_000.0,
            from in 5.0_f64..200.0,
            noise in prop::collection::vec(-0.012_f64..0.012, 60),
            unsound in prop::collection::vec(prop::bool::weighted(0.1), 60),
        ) {
            let mut place = 0;
            let (tried, finding) = search(from, 20_000.0, |rate, is_long| {
                let seen = capacity * (1.0 + if is_long { noise[place] / 2.0 } else { noise[place] });
                // What disturbs the generator goes by.
                let is_sound = !unsound[place] || (place > 0 && unsound[place - 1]);
                place += 1;
                // Who is at fault itself may see what is not there, and misses nothing.
                Outcome { is_kept: rate <= seen && is_sound, is_sound }
            });
            prop_assert!(tried.len() <= HOLDS as usize);
            let holds = finding.holds.unwrap();
            prop_assert!((holds / capacity - 1.0).abs() < 0.05, "{} of {}: {:?} {:?}", holds, capacity, finding, tried);
        }
    }
}
