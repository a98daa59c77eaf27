//! What a worker remembers beside its links and its run: an act, its way out, its questions to the master.
//!
//! Holds them alone; what is done with them is `acts`'s, `leaving`'s and `rows`'s.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::cluster::link::LinkId;
use crate::load::act::Acted;
use crate::load::errand::Errand;
use crate::load::stock::{Ask, Leftover};
use crate::plan::{Act, RunId};

/// An act that was asked for.
#[derive(Debug)]
pub(super) struct Acting {
    pub(super) run: RunId,
    pub(super) act: Act,
    /// How it went; kept, since the link may be gone on which it was told.
    pub(super) acted: Option<Arc<Acted>>,
}

/// A worker on its way out.
#[derive(Debug)]
pub(super) struct Leaving {
    /// Numbers that are not handed in by then are lost.
    pub(super) deadline: Instant,
    /// On the master's present link.
    pub(super) has_said_goodbye: bool,
}

/// What there is to say of rows and of the board.
#[derive(Debug, Default)]
pub(super) struct Asks {
    /// Questions without an answer, by source: one each.
    pub(super) open: BTreeMap<String, (Ask, Said)>,
    /// What users ask of the board: one at a time.
    pub(super) errand: Option<(Arc<Errand>, Said)>,
    /// What went back last, by source. Nobody answers it: it is said on each link, before any question that comes after it.
    pub(super) returned: BTreeMap<String, Leftover>,
}

/// When a question was said last, and on which link.
pub(super) type Said = Option<(Instant, LinkId)>;
