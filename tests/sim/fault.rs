//! The faults that show that the checks bite: what each of them is, what is said of it, and a life in which it has its occasion. What it does to
//! messages, records and what people see is `tamper`'s.

use std::time::Duration;

use lunamoth::plan::{IterationsProfile, LoadProfile, ProfileEnd, Quota, Stage};

use super::scenario::{Demands, Event, Habits, Halting, Scenario};

/// What a world does wrong, for a check to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The worker counts its fifth delta twice: it comes again under another number.
    CountsTwice,
    /// The worker forgets its fifth delta before anybody has it.
    ForgetsTooEarly,
    /// The worker panics over its fifth delta.
    Panics,
    /// The worker tells no master of the run that it stands in.
    HidesStanding,
    /// The worker takes every slot for its own.
    TakesEverySlot,
    /// The worker leaves out the slots that a hand-over brings.
    IgnoresHandedSlots,
    /// The worker has every second user for a buyer, where of four one is wanted.
    WeighsWrongly,
    /// The worker does not hear that the statistics were reset.
    IgnoresReset,
    /// The master gives a run up in half the time that orphans go on.
    EndsTooEarly,
    /// The master finishes without those who are out of reach.
    WaitsForNobody,
    /// The worker dates what it counted by when it sends it.
    DatesByArrival,
    /// The worker stops as an orphan before its time.
    GivesUpEarly,
    /// The worker goes on as an orphan for ever.
    NeverGivesUp,
    /// The worker goes on as an orphan that shall pause.
    NeverPausesAlone,
    /// A new master does not hear that the run is paused.
    ForgetsPause,
    /// The worker makes load in a paused run.
    IgnoresPause,
    /// The worker does not hear that a paused run goes on.
    NeverResumes,
    /// The worker says that it has finished when it is told to stop.
    FinishesAtOnce,
    /// The worker does not hear that the run is over.
    IgnoresStop,
    /// The master wants fewer users than it was asked for.
    WantsFewer,
    /// The worker says never that its users have all ended.
    NeverExhausted,
    /// The worker has the first revision of the script for ever.
    IgnoresRevisions,
    /// Each churn gives all workers other slots.
    Reshuffles,
    /// Users move at once, whatever the spawn rate.
    MovesAtOnce,
    /// The master lets workers go before their numbers are kept.
    FarewellUnkept,
    /// The master lets workers go that have not heard that it has their numbers.
    LetsGoUnheard,
    /// The board hands a number out to the worker that another one has.
    HandsOutTwice,
    /// The board lets the worker fetch a value that another one fetches.
    FetchesTwice,
    /// The board lets one user of the worker go too early.
    OpensTooEarly,
    /// The board lets nobody go.
    NeverOpens,
    /// The master gives the worker rows that it gave out before.
    GivesTwice,
    /// The worker says that half as many iterations began as did.
    LosesIterations,
    /// People see iterations that were lost as begun.
    CountsLostAsBegun,
    /// People do not see which rows were lost with a worker.
    HidesRowsOfLost,
    /// People do not see that nobody knows which iterations were given out.
    HidesUnknown,
    /// The master asks another worker for the setup that one does.
    AsksTwice,
    /// The worker begins without what the setup returned.
    BeginsUnready,
    /// The master does not know of the teardown.
    ForgetsTeardown,
    /// The master does not keep what a lost worker has handed in.
    ForgetsTheLost,
    /// The master does not keep who has begun.
    ForgetsTheBegun,
    /// A new master does not read what its journal says.
    IgnoresJournal,
    /// A new master adopts runs that it shall not.
    AdoptsAll,
    /// The master does not know of the planned end.
    NeverEndsByPlan,
    /// People see no holes.
    HidesHoles,
    /// People see a hole where nothing is missing.
    InventsHole,
    /// People see a hole after a reset that was there before.
    LeavesHoles,
    /// People see no overlaps.
    HidesOverlaps,
    /// Rates divide by half the time.
    RatesOfHalfTheTime,
    /// The least duration is not exact.
    BlursTheLeast,
    /// The master shows fewer users than run.
    MiscountsUsers,
    /// People see another window than the worst.
    HidesTheWorst,
    /// The next master hears of the worst window neither from its journal nor from the workers.
    ForgetsTheWorst,
    /// The master does not know that a threshold shall end the run.
    NeverEndsEarly,
    /// The worker does not say that a script has ended the run.
    IgnoresScripts,
    /// People do not see why a script has ended the run.
    HidesReason,
    /// The next master hears of no other revision of the script.
    ForgetsRevisions,
    /// The master gives more rows at once than it may.
    GivesTooMany,
    /// People see an overlap of a worker that was in touch all the time.
    InventsOverlap,
    /// People see overlaps as if they went on.
    NeverEndsOverlaps,
    /// The master does not keep what is long past.
    ForgetsHistory,
    /// A new master does not read of what is long past.
    IgnoresHistory,
    /// The master stops a run that somebody cuts.
    StopsForCut,
    /// The master does not keep that a run is over.
    ForgetsEnd,
    /// The workers do not hear that a run is done with.
    IgnoresLeave,
    /// A journal that is written anew is without those that have begun.
    LosesAnew,
}

impl Fault {
    /// All of them, each with a word of what the checks say of it.
    pub const ALL: &[(Self, &str)] = &[
        (Self::CountsTwice, "in the table"),
        (Self::ForgetsTooEarly, "in the table"),
        (Self::Panics, "a panic: the fifth delta"),
        (Self::HidesStanding, "the run does not end"),
        (Self::TakesEverySlot, "run the same user"),
        (Self::IgnoresHandedSlots, "are wanted"),
        (Self::WeighsWrongly, "buyers of"),
        (Self::IgnoresReset, "counts for epoch"),
        (Self::EndsTooEarly, "ended by itself"),
        (Self::WaitsForNobody, "which is away with numbers"),
        (Self::DatesByArrival, "the history tells of"),
        (Self::GivesUpEarly, "ends its users by itself"),
        (Self::NeverGivesUp, "for longer than orphans go on"),
        (Self::NeverPausesAlone, "that shall pause"),
        (Self::ForgetsPause, "that somebody has paused"),
        (Self::IgnoresPause, "makes load in a paused run"),
        (Self::NeverResumes, "is paused in a run that goes on"),
        (Self::FinishesAtOnce, "is called complete"),
        (Self::IgnoresStop, "makes load after the run's end"),
        (Self::WantsFewer, "where the operator asked for"),
        (Self::NeverExhausted, "no user is left"),
        (Self::IgnoresRevisions, "older revision"),
        (Self::Reshuffles, "slots and loses"),
        (Self::MovesAtOnce, "faster than the spawn rate"),
        (Self::FarewellUnkept, "may go, and delta"),
        (Self::LetsGoUnheard, "has left as whole"),
        (Self::HandsOutTwice, "was handed out twice"),
        (Self::FetchesTwice, "fetch one value"),
        (Self::OpensTooEarly, "were let go"),
        (Self::NeverOpens, "are kept waiting"),
        (Self::GivesTwice, "was taken by users"),
        (Self::LosesIterations, "iterations began"),
        (Self::CountsLostAsBegun, "iterations began"),
        (Self::HidesRowsOfLost, "are said to be all taken"),
        (Self::HidesUnknown, "and nobody is told"),
        (Self::AsksTwice, "at the same time"),
        (Self::BeginsUnready, "before its setup is over"),
        (Self::ForgetsTeardown, "without its teardown"),
        (Self::ForgetsTheLost, "is lost for long"),
        (Self::ForgetsTheBegun, "no hole is shown"),
        (Self::IgnoresJournal, "must be there"),
        (Self::AdoptsAll, "shall not be adopted"),
        (Self::NeverEndsByPlan, "past its planned end"),
        (Self::HidesHoles, "no hole is shown"),
        (Self::InventsHole, "where nothing is missing"),
        (Self::LeavesHoles, "a reset leaves"),
        (Self::HidesOverlaps, "no overlap is shown"),
        (Self::RatesOfHalfTheTime, "requests a second in"),
        (Self::BlursTheLeast, "in the table"),
        (Self::MiscountsUsers, "the master knows of"),
        (Self::HidesTheWorst, "were in the worst window"),
        (Self::ForgetsTheWorst, "of the worst window"),
        (Self::NeverEndsEarly, "where it shall end"),
        (Self::IgnoresScripts, "goes on that a user of worker"),
        (Self::HidesReason, "nobody sees why"),
        (Self::ForgetsRevisions, "is wanted, and 0 is taken over"),
        (Self::GivesTooMany, "are the most"),
        (Self::InventsOverlap, "in touch all the time"),
        (Self::NeverEndsOverlaps, "beside others still"),
        (Self::ForgetsHistory, "the journal tells of the run until"),
        (Self::IgnoresHistory, "the journal told of"),
        (Self::StopsForCut, "a run that was cut"),
        (Self::ForgetsEnd, "was over and reported"),
        (Self::IgnoresLeave, "stands in its run"),
        (Self::LosesAnew, "says something else"),
    ];

    /// A life in which the fault has its occasion, and nothing else goes wrong.
    pub fn occasion(self) -> Scenario {
        let at = Duration::from_secs(12);
        let alone = |workers| Scenario::plain(workers, 40, Duration::from_secs(40));
        let cut_off = |seconds| Event::Partition { worker: 0, up: true, down: true, lasts: Duration::from_secs(seconds) };
        match self {
            Self::IgnoresReset | Self::LeavesHoles => alone(3).with(at, Event::Reset),
            Self::EndsTooEarly => {
                let freeze = Event::Freeze { worker: 0, lasts: Duration::from_secs(14) };
                Scenario { orphan_timeout: Duration::from_secs(20), ..alone(1) }.with(at, freeze)
            }
            Self::WaitsForNobody => {
                Scenario { stops_in_quiet: false, ..alone(3) }.with(at, cut_off(9)).with(at + Duration::from_secs(5), Event::Stop)
            }
            Self::DatesByArrival | Self::HidesOverlaps => alone(3).with(at, cut_off(14)),
            Self::GivesUpEarly | Self::NeverGivesUp => {
                Scenario { orphan_timeout: Duration::from_secs(12), ..alone(1) }.with(at, cut_off(21))
            }
            Self::NeverPausesAlone => Scenario { pauses: true, ..alone(1) }.with(at, cut_off(12)),
            Self::ForgetsPause => {
                let kill = Event::KillMaster { back_after: Duration::from_secs(1), loses_journal: false, forgets: 0 };
                let life = Scenario::plain(2, 40, Duration::from_secs(60));
                life.with(at, Event::Pause).with(at + Duration::from_secs(8), kill).with(at * 4, Event::Resume)
            }
            Self::IgnoresPause | Self::NeverResumes => alone(2).with(at, Event::Pause).with(at * 2, Event::Resume),
            Self::FinishesAtOnce
            | Self::IgnoresStop
            | Self::MiscountsUsers
            | Self::RatesOfHalfTheTime
            | Self::BlursTheLeast
            | Self::InventsHole => alone(1),
            Self::HandsOutTwice | Self::FetchesTwice => with_habits(alone(2), Habits { shares: true, ..Habits::default() }),
            Self::OpensTooEarly | Self::NeverOpens => with_habits(alone(2), Habits { gathers: Some(5), ..Habits::default() }),
            Self::GivesTwice => with_habits(alone(2), Habits { rows: Some(None), ..Habits::default() }),
            Self::AsksTwice | Self::BeginsUnready | Self::ForgetsTeardown => {
                with_habits(alone(2), Habits { acts: true, ..Habits::default() })
            }
            Self::LosesIterations => Scenario { profile: iterations(200), ..alone(1) },
            Self::CountsLostAsBegun => {
                // Lost before a reset, of which the next master hears from the journal.
                let kill = Event::KillMaster { back_after: Duration::from_secs(1), loses_journal: false, forgets: 0 };
                let gone = Event::Kill { worker: 1, comes_back_after: None };
                let reset = at + Duration::from_secs(5);
                Scenario { profile: iterations(4_000), ..alone(3) }
                    .with(at, gone)
                    .with(reset, Event::Reset)
                    .with(reset + Duration::from_secs(2), kill)
            }
            Self::HidesRowsOfLost => {
                let gone = Event::Kill { worker: 1, comes_back_after: None };
                with_habits(alone(2), Habits { rows: Some(Some(1_500)), ..Habits::default() }).with(at, gone)
            }
            Self::HidesUnknown => {
                let kill = Event::KillMaster { back_after: Duration::from_secs(1), loses_journal: true, forgets: 0 };
                Scenario { profile: iterations(4_000), ..alone(2) }.with(at, kill).with(at * 2, Event::Reset)
            }
            Self::HidesStanding => {
                // Nothing but the worker knows of the run.
                let kill = Event::KillMaster { back_after: Duration::from_secs(1), loses_journal: true, forgets: 0 };
                Scenario { stops_in_quiet: false, ..alone(1) }.with(at, kill).with(at * 2, Event::Stop)
            }
            Self::WantsFewer => {
                let stages = [(9, 3), (20, 4)].map(|(users, over)| Stage { users, over: Duration::from_secs(over) });
                Scenario { profile: LoadProfile::staged(stages.to_vec(), ProfileEnd::Hold), ..alone(2) }
            }
            Self::NeverExhausted => Scenario { life: Some(9), ..alone(1) },
            Self::IgnoresRevisions => alone(2).with(at, Event::Revise),
            Self::FarewellUnkept | Self::LetsGoUnheard => alone(3).with(at, Event::Leave { worker: 0 }),
            Self::AdoptsAll | Self::IgnoresJournal => {
                let kill = Event::KillMaster { back_after: Duration::from_secs(1), loses_journal: false, forgets: 0 };
                let gone = Event::Kill { worker: 2, comes_back_after: None };
                Scenario { adopts: self != Self::AdoptsAll, ..alone(3) }.with(at, gone).with(at + Duration::from_secs(6), kill)
            }
            Self::ForgetsTheBegun => {
                let kill = Event::KillMaster { back_after: Duration::from_secs(1), loses_journal: false, forgets: 0 };
                alone(3).with(at, Event::Kill { worker: 2, comes_back_after: None }).with(at + Duration::from_secs(1), kill)
            }
            Self::NeverEndsByPlan => {
                let profile = LoadProfile::plain(40, 60.0, Some(Duration::from_secs(20)));
                Scenario { profile, ..alone(2) }
            }
            _ => self.later_occasion(),
        }
    }

    fn later_occasion(self) -> Scenario {
        let at = Duration::from_secs(12);
        let alone = |workers, seconds| Scenario::plain(workers, 40, Duration::from_secs(seconds));
        let kill = Event::KillMaster { back_after: Duration::from_secs(1), loses_journal: false, forgets: 0 };
        let demands = |ends_from| Habits { demands: Some(Demands { over: 3, below: 500, ends_from }), ..Habits::default() };
        let halts = Some(Halting { user: 3, request: 20, panics: false });
        match self {
            Self::HidesTheWorst => with_habits(alone(2, 30), demands(None)),
            Self::ForgetsTheWorst => {
                let fewer = Event::Retarget { users: 5, spawn_rate: 40 };
                with_habits(alone(2, 60), demands(None)).with(at, fewer).with(at + Duration::from_secs(8), kill)
            }
            Self::NeverEndsEarly => with_habits(alone(2, 40), demands(Some(40))),
            Self::IgnoresScripts | Self::HidesReason => with_habits(alone(2, 50), Habits { halts, ..Habits::default() }),
            Self::ForgetsRevisions => alone(2, 60).with(at, Event::Revise).with(at * 2, kill),
            Self::GivesTooMany => with_habits(alone(2, 30), Habits { rows: Some(Some(4_000)), ..Habits::default() }),
            Self::InventsOverlap => alone(2, 30),
            Self::NeverEndsOverlaps => {
                alone(3, 40).with(at, Event::Partition { worker: 0, up: true, down: true, lasts: Duration::from_secs(14) })
            }
            Self::ForgetsHistory => alone(2, 80),
            Self::IgnoresHistory => alone(2, 90).with(at * 5, kill),
            Self::StopsForCut => {
                let away = Event::Partition { worker: 0, up: true, down: true, lasts: Duration::from_secs(9) };
                alone(3, 40).with(at, away).with(at + Duration::from_secs(5), Event::CutShort)
            }
            Self::ForgetsEnd | Self::IgnoresLeave => with_habits(alone(2, 20), Habits { closes: true, ..Habits::default() }),
            Self::LosesAnew => with_habits(alone(2, 20), Habits { compacts: Some(3), ..Habits::default() }),
            _ => occasion(),
        }
    }
}

pub fn with_habits(mut scenario: Scenario, habits: Habits) -> Scenario {
    scenario.habits = habits;
    scenario
}

/// So many iterations in all, for ten users.
fn iterations(total: u64) -> LoadProfile {
    LoadProfile::Iterations(IterationsProfile { users: 10, quota: Quota::Total(total), start: Duration::ZERO, end: ProfileEnd::Hold })
}

/// A life in which each fault has its occasion.
pub fn occasion() -> Scenario {
    Scenario::plain(3, 40, Duration::from_secs(30)).with(Duration::from_secs(12), Event::Kill { worker: 2, comes_back_after: None })
}
