//! A strand: one profile of a run as one lane lives it.
//!
//! Owns what is a profile's own: its shape, who has which class, which iterations are due, and who is free for them. Slots and users that live are the
//! lane's, for all strands together.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::load::allotment::Allotment;
use crate::load::dealer::Duty;
use crate::load::pool::Pool;
use crate::load::roster::Roster;
use crate::load::rota::Rota;
use crate::load::shape::Shape;
use crate::load::sides::{Side, SideOrder};
use crate::load::stock::Stock;
use crate::load::user::Place;
use crate::plan::{LoadProfile, Plan};

/// One profile in one lane.
pub(super) struct Strand {
    /// Which of the run's.
    pub number: usize,
    /// It has a name: what becomes of its iterations is counted for it, too.
    has_name: bool,
    pub shape: Shape,
    /// Users of held slots whose number in the profile is below this have been started. It is the shape's answer at the last turn, or less, where more
    /// were due than one turn may start.
    pub level: u32,
    pub roster: Roster,
    pub allotment: Rc<Allotment>,
    /// What is due here, where the profile is open, and who is free for it.
    pub rota: Option<Rota>,
    pub pool: Rc<Pool>,
    /// Of the pool: one for each class, or for each side of each class.
    rooms: usize,
    /// How long what is due waits for a user.
    pub patience: Duration,
    /// In a run of two sides, which iterations of an open one go where.
    sides: Option<SideOrder>,
    /// An open one has come to its end: its users have been told to finish.
    pub is_closed: bool,
    seed: u64,
    since: Duration,
}

impl Strand {
    /// Profile number `number` of this one, of which nobody has said anything yet, in a lane that takes part from `since` on.
    pub fn new(number: usize, profile: &LoadProfile, plan: &Plan, stock: &Arc<Stock>, since: Duration) -> Self {
        let rooms = plan.classes.len() * if plan.other_host.is_some() { Side::BOTH.len() } else { 1 };
        Self {
            number,
            has_name: profile.name_of(number).is_some(),
            shape: Shape::default(),
            level: 0,
            roster: Roster::of(profile, number, &plan.classes),
            allotment: Rc::new(Allotment::new(Arc::clone(stock), number)),
            rota: None,
            pool: Rc::new(Pool::new(rooms)),
            rooms,
            patience: Duration::ZERO,
            sides: plan.other_host.is_some().then(|| SideOrder::of_arrivals(plan.seed, number)),
            is_closed: false,
            seed: plan.seed,
            since,
        }
    }

    /// Takes a duty on when the run's clock stands at `elapsed`.
    pub fn follow(&mut self, duty: &Arc<Duty>, elapsed: Duration) {
        let Some(profile) = duty.profile.part(self.number) else { return };
        self.shape = Shape::new(profile);
        self.allotment.follow(profile);
        if let LoadProfile::Arrivals(arrivals) = profile {
            self.patience = arrivals.patience;
        }
        let follows = self.rota.as_mut().is_some_and(|rota| rota.follow(duty));
        if !follows {
            self.rota = Rota::new(duty, self.number, self.seed, self.since);
        }
        if self.is_closed && !self.shape.is_over_at(elapsed) {
            // It was given more time. Whoever left its pool has been told to finish.
            self.is_closed = false;
            self.pool = Rc::new(Pool::new(self.rooms));
        }
    }

    /// The room of the pool whose users begin iteration `number` of the profile, which is one of this class.
    pub fn room_of(&self, class: usize, number: u64) -> usize {
        match self.sides.map(|sides| sides.side(number)) {
            None => class,
            Some(Side::A) => class * 2,
            Some(Side::B) => class * 2 + 1,
        }
    }

    /// The class of a room's users and, in a run of two sides, their side.
    pub fn of_room(&self, room: usize) -> (usize, Option<Side>) {
        if self.sides.is_none() { (room, None) } else { (room / 2, Some(Side::BOTH[room % 2])) }
    }

    /// Where the iterations of its users of this class count.
    pub fn place(&self, class: usize) -> Place {
        Place { class, profile: self.counted_as() }
    }

    /// As which profile it is counted, where it has a name.
    pub fn counted_as(&self) -> Option<usize> {
        self.has_name.then_some(self.number)
    }

    /// Whether an open profile has come to its end that its users do not know of.
    pub fn is_to_close(&self, elapsed: Duration) -> bool {
        self.rota.is_some() && !self.is_closed && self.shape.is_over_at(elapsed)
    }
}
