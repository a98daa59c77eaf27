//! The layouts of slots: a set as its runs where they are short, as a bitmap otherwise.

use super::error::CodecError;
use super::primitives::{Input, Output, Wire};
use crate::load::slots::{Handover, SLOTS, SlotSet};

/// The length in bytes of the runs plus 1 and the runs; 0 is followed by the bitmap. A run is the doubled gap before it, plus 1 if it
/// has more than one slot; then its length less 2 follows.
impl Wire for SlotSet {
    fn put(&self, out: &mut Output) {
        let mut runs = Output::new();
        let mut next = 0;
        let mut slots = self.iter().peekable();
        while let Some(first) = slots.next() {
            let mut end = first + 1;
            while slots.next_if_eq(&end).is_some() {
                end += 1;
            }
            runs.number(u64::from(first - next) << 1 | u64::from(end - first > 1));
            if end - first > 1 {
                runs.number(u64::from(end - first - 2));
            }
            next = end;
        }
        let runs = runs.into_bytes();
        if runs.len() < BITMAP_BYTES {
            out.length(runs.len() + 1);
            out.raw(&runs);
        } else {
            out.number(0);
            for word in self.words() {
                out.raw(&word.to_le_bytes());
            }
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        input.claim(BITMAP_BYTES)?;
        let Some(length) = input.length(BITMAP_BYTES, "set of slots")?.checked_sub(1) else {
            let (words, _) = input.raw(BITMAP_BYTES)?.as_chunks::<8>();
            return Self::from_words(words.iter().map(|word| u64::from_le_bytes(*word)).collect()).ok_or(INVALID);
        };
        let end = input.left().checked_sub(length).ok_or(CodecError::Cut)?;
        let mut words = vec![0; (SLOTS / 64) as usize];
        let mut next = 0;
        while input.left() > end {
            let head = input.number_within(u64::from(SLOTS) * 2, "set of slots")? as u32;
            let first = next + head / 2;
            let length = if head % 2 == 1 { input.number_within(u64::from(SLOTS), "set of slots")? as u32 + 2 } else { 1 };
            next = first + length;
            if next > SLOTS {
                return Err(INVALID);
            }
            set(&mut words, first, next);
        }
        if input.left() < end {
            return Err(INVALID);
        }
        Self::from_words(words).ok_or(INVALID)
    }
}

impl Wire for Handover {
    fn put(&self, out: &mut Output) {
        out.duration(self.at);
        self.moved.put(out);
        out.duration(self.interval);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self { at: input.duration()?, moved: SlotSet::take(input)?, interval: input.duration()? })
    }
}

/// Sets the bits from `first` to before `end`, word by word.
fn set(words: &mut [u64], mut first: u32, end: u32) {
    while first < end {
        let bit = first % 64;
        let length = (64 - bit).min(end - first);
        words[(first / 64) as usize] |= (u64::MAX >> (64 - length)) << bit;
        first += length;
    }
}

const BITMAP_BYTES: usize = (SLOTS / 8) as usize;

const INVALID: CodecError = CodecError::Invalid { what: "set of slots" };
