//! The layouts of what a run's script brings about for all: setup and teardown, and its end.

use super::error::CodecError;
use super::primitives::{Input, Output, TEXT_BYTES, Wire};
use crate::load::Halt;
use crate::load::act::Acted;
use crate::plan::Act;

impl Wire for Act {
    fn put(&self, out: &mut Output) {
        out.flag(*self == Self::Teardown);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(if input.flag()? { Self::Teardown } else { Self::Setup })
    }
}

/// Whether it went well, then the data or why not.
impl Wire for Acted {
    fn put(&self, out: &mut Output) {
        out.flag(self.result.is_ok());
        match &self.result {
            Ok(text) | Err(text) => text.put(out),
        }
        out.duration(self.took);
        self.tally.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        let is_ok = input.flag()?;
        let text = Wire::take(input)?;
        Ok(Self { result: if is_ok { Ok(text) } else { Err(text) }, took: input.duration()?, tally: Wire::take(input)? })
    }
}

impl Wire for Halt {
    fn put(&self, out: &mut Output) {
        let (kind, text) = match self {
            Self::Misuse(text) => (0, text),
            Self::Abort(text) => (1, text),
        };
        out.byte(kind);
        out.text(text, TEXT_BYTES);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        let kind = input.byte()?;
        let text = input.string(TEXT_BYTES, "text")?;
        match kind {
            0 => Ok(Self::Misuse(text)),
            1 => Ok(Self::Abort(text)),
            _ => Err(CodecError::Invalid { what: "why the script ends the run" }),
        }
    }
}
