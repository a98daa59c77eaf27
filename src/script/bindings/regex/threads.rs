//! A search by the pattern's own states, which can be broken off: for texts that the faster engines give up on.
//!
//! All that may still match is followed at once, byte for byte, in the order of preference, as Pike did it. Owns no limit of its own: whoever searches is
//! asked now and then whether it is enough.

use regex_automata::Input;
use regex_automata::nfa::thompson::{NFA, State};
use regex_automata::util::prefilter::Prefilter;
use regex_automata::util::primitives::{NonMaxUsize, StateID};


/// What a search by states has in hand.
pub(super) struct Threads<'p> {
    nfa: &'p NFA,
    prefilter: Option<&'p Prefilter>,
    here: Places,
    next: Places,
    stack: Vec<Follow>,
    /// The slots of the thread that is followed.
    path: Vec<Option<NonMaxUsize>>,
}

impl<'p> Threads<'p> {
    /// For searches that fill `width` slots, two for each group.
    pub(super) fn new(nfa: &'p NFA, prefilter: Option<&'p Prefilter>, width: usize) -> Self {
        let places = || Places::new(nfa.states().len(), width);
        Self { nfa, prefilter, here: places(), next: places(), stack: Vec::new(), path: vec![None; width] }
    }

    /// The leftmost match in the span of `input`, in `slots`; whether there is one.
    ///
    /// # Errors
    /// `is_over` said so.
    pub(super) fn search(
        &mut self,
        input: &Input<'_>,
        slots: &mut [Option<NonMaxUsize>],
        is_over: &dyn Fn() -> bool,
    ) -> Result<bool, TooLong> {
        let is_anchored = input.get_anchored().is_anchored() || self.nfa.is_always_start_anchored();
        let prefilter = self.prefilter.filter(|_| !is_anchored);
        let (mut at, mut found, mut work) = (input.start(), false, 0);
        self.here.clear();
        while at <= input.end() {
            if self.here.dense.is_empty() {
                if found || (is_anchored && at > input.start()) {
                    break;
                }
                if let Some(prefilter) = prefilter {
                    match prefilter.find(input.haystack(), (at..input.end()).into()) {
                        Some(candidate) => at = candidate.start,
                        None => break,
                    }
                }
            }
            if !found && (!is_anchored || at == input.start()) {
                self.path.fill(None);
                Self::follow(self.nfa, &mut self.stack, &mut self.path, &mut self.here, input, at, self.nfa.start_anchored());
            }
            work += 1 + self.here.dense.len();
            found |= self.step(input, at, slots);
            std::mem::swap(&mut self.here, &mut self.next);
            self.next.clear();
            at += 1;
            if work >= ASK_EVERY {
                work = 0;
                if is_over() {
                    return Err(TooLong);
                }
            }
        }
        Ok(found)
    }

    /// Takes all threads over the byte at `at`, up to the first that has come to a match: whose slots are then given.
    fn step(&mut self, input: &Input<'_>, at: usize, slots: &mut [Option<NonMaxUsize>]) -> bool {
        let text = if at < input.end() { input.haystack() } else { &[] };
        for index in 0..self.here.dense.len() {
            let state = self.here.dense[index];
            let next = match self.nfa.state(state) {
                State::ByteRange { trans } => trans.matches(text, at).then_some(trans.next),
                State::Sparse(sparse) => sparse.matches(text, at),
                State::Dense(dense) => dense.matches(text, at),
                State::Match { .. } => {
                    slots.copy_from_slice(self.here.slots_of(state));
                    return true;
                }
                State::Fail | State::Look { .. } | State::Union { .. } | State::BinaryUnion { .. } | State::Capture { .. } => None,
            };
            if let Some(next) = next {
                self.path.copy_from_slice(self.here.slots_of(state));
                Self::follow(self.nfa, &mut self.stack, &mut self.path, &mut self.next, input, at + 1, next);
            }
        }
        false
    }

    /// Puts in `places` all that can be reached from `state` without a byte, the preferred first.
    fn follow(
        nfa: &NFA,
        stack: &mut Vec<Follow>,
        path: &mut [Option<NonMaxUsize>],
        places: &mut Places,
        input: &Input<'_>,
        at: usize,
        state: StateID,
    ) {
        stack.push(Follow::To(state));
        while let Some(follow) = stack.pop() {
            let mut state = match follow {
                Follow::Back { slot, was } => {
                    path[slot] = was;
                    continue;
                }
                Follow::To(state) => state,
            };
            while places.insert(state) {
                state = match nfa.state(state) {
                    State::Look { look, next } if nfa.look_matcher().matches(*look, input.haystack(), at) => *next,
                    State::Union { alternates } => {
                        let Some((first, rest)) = alternates.split_first() else { break };
                        stack.extend(rest.iter().rev().copied().map(Follow::To));
                        *first
                    }
                    State::BinaryUnion { alt1, alt2 } => {
                        stack.push(Follow::To(*alt2));
                        *alt1
                    }
                    State::Capture { next, slot, .. } => {
                        let slot = slot.as_usize();
                        if slot < path.len() {
                            stack.push(Follow::Back { slot, was: path[slot] });
                            path[slot] = NonMaxUsize::new(at);
                        }
                        *next
                    }
                    State::Look { .. } | State::Fail => break,
                    State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) | State::Match { .. } => {
                        places.slots_of_mut(state).copy_from_slice(path);
                        break;
                    }
                };
            }
        }
    }
}

enum Follow {
    To(StateID),
    /// The slot as it was before the way that has been followed.
    Back {
        slot: usize,
        was: Option<NonMaxUsize>,
    },
}

/// The states that threads are in, the preferred first, with the slots of each.
struct Places {
    dense: Vec<StateID>,
    /// Where in `dense` a state stands, if it does.
    sparse: Vec<u32>,
    slots: Vec<Option<NonMaxUsize>>,
    width: usize,
}

impl Places {
    fn new(states: usize, width: usize) -> Self {
        Self { dense: Vec::new(), sparse: vec![0; states], slots: vec![None; states * width], width }
    }

    fn clear(&mut self) {
        self.dense.clear();
    }

    /// False where it is there already.
    fn insert(&mut self, state: StateID) -> bool {
        let at = self.sparse[state.as_usize()] as usize;
        if self.dense.get(at) == Some(&state) {
            return false;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a pattern has far fewer states: its program is bounded")]
        let end = self.dense.len() as u32;
        self.sparse[state.as_usize()] = end;
        self.dense.push(state);
        true
    }

    fn slots_of(&self, state: StateID) -> &[Option<NonMaxUsize>] {
        &self.slots[state.as_usize() * self.width..][..self.width]
    }

    fn slots_of_mut(&mut self, state: StateID) -> &mut [Option<NonMaxUsize>] {
        &mut self.slots[state.as_usize() * self.width..][..self.width]
    }
}

/// Threads that are taken over a byte between two questions: some milliseconds.
const ASK_EVERY: usize = 1 << 18;

/// The search was broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;
