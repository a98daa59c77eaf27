//! The witness: what one user did, in full, for `lunamoth check`. A run has none, and pays one look at an empty place for it.
//!
//! Owns the list of what was seen; the walk through all tasks is `walk`'s, and how it is shown is a front end's.

use std::cell::RefCell;

use crate::stats::sample::Sample;

/// One task, or `on_start`, or `on_stop`, as it was seen.
#[derive(Debug, Default)]
pub struct WitnessedStep {
    /// Such as `Shopper: browse`.
    pub name: String,
    /// What it did, in the order in which it was done.
    pub events: Vec<Witnessed>,
}

/// One thing that a user did.
#[derive(Debug)]
pub enum Witnessed {
    /// A hop has ended.
    Hop(Box<WitnessedHop>),
    /// A check was made.
    Check {
        /// As the script names it.
        name: String,
        /// Whether the check held.
        passed: bool,
    },
    /// The script raised this, with the traceback.
    Raised(String),
}

/// One hop as it was seen.
#[derive(Debug)]
pub struct WitnessedHop {
    /// The number by which a later judgement finds it; 0 for a hop that was final at once.
    pub id: u64,
    /// Such as `GET`.
    pub method: String,
    /// The whole URL, with its query.
    pub url: String,
    /// The name under which it is counted.
    pub name: String,
    /// Such as `HTTP/1.1`; empty without an answer.
    pub version: &'static str,
    /// What is counted of it.
    pub sample: Sample,
    /// Why it failed, in words for people.
    pub message: Option<String>,
    /// What the script had sent: the lines of its headers, those that the client adds by itself excluded.
    pub request_headers: Vec<u8>,
    /// The beginning of what was sent.
    pub request_body: Vec<u8>,
    /// The answer's headers, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The beginning of the answer's body, unpacked.
    pub body: Vec<u8>,
}

/// The beginning of a body, as much as people read.
pub fn beginning(body: &[u8]) -> Vec<u8> {
    body.get(..SHOWN_BYTES).unwrap_or(body).to_vec()
}

/// Sees what the users of a lane do.
#[derive(Debug, Default)]
pub struct Witness {
    seen: RefCell<WitnessedStep>,
}

impl Witness {
    /// A hop has ended.
    pub fn hop(&self, hop: WitnessedHop) {
        self.seen.borrow_mut().events.push(Witnessed::Hop(Box::new(hop)));
    }

    /// The script has judged hop `id` anew.
    pub fn judgement(&self, id: u64, sample: &Sample, message: Option<&str>) {
        for event in &mut self.seen.borrow_mut().events {
            if let Witnessed::Hop(hop) = event
                && hop.id == id
            {
                hop.sample.clone_from(sample);
                hop.message = message.map(str::to_owned);
            }
        }
    }

    /// A check was made.
    pub fn check(&self, name: &str, passed: bool) {
        self.seen.borrow_mut().events.push(Witnessed::Check { name: name.to_owned(), passed });
    }

    /// An error that the script raised, in a step of the user.
    pub fn exception(&self, message: &str, traceback: &str) {
        let text = if traceback.is_empty() { message.to_owned() } else { format!("{message}\n{traceback}") };
        self.seen.borrow_mut().events.push(Witnessed::Raised(text));
    }

    /// What was seen since the last call, as a step of this name.
    pub(super) fn take(&self, name: String) -> WitnessedStep {
        WitnessedStep { name, ..self.seen.take() }
    }
}

/// Bytes of a body that are shown.
const SHOWN_BYTES: usize = 4 << 10;
