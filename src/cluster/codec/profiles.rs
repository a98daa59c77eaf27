//! The layouts of load profiles: which kind, one or several, and how many iterations. The fields of each kind are `plan`'s.

use std::sync::Arc;

use super::error::CodecError;
use super::primitives::{Input, Output, Wire};
use crate::plan::{LoadProfile, NamedProfile, PROFILES_OF_A_RUN, ProfileEnd, Quota, Rate, Spacing};

/// The kind, then its own.
impl Wire for LoadProfile {
    fn put(&self, out: &mut Output) {
        match self {
            Self::Ramp(ramp) => {
                out.byte(RAMP);
                ramp.put(out);
            }
            Self::Arrivals(arrivals) => {
                out.byte(ARRIVALS);
                arrivals.put(out);
            }
            Self::Iterations(iterations) => {
                out.byte(ITERATIONS);
                iterations.put(out);
            }
            Self::Several(profiles) => {
                out.byte(SEVERAL);
                profiles.put(out);
            }
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        let kind = input.byte()?;
        if kind != SEVERAL {
            return single(kind, input);
        }
        let profiles: Vec<NamedProfile> = input.list(PROFILES_OF_A_RUN, "number of profiles")?;
        let mut names: Vec<&String> = profiles.iter().map(|named| &named.name).collect();
        names.sort_unstable();
        if profiles.is_empty() || names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(CodecError::Invalid { what: "names of profiles" });
        }
        Ok(Self::Several(profiles))
    }
}

/// One of them by itself.
impl Wire for NamedProfile {
    fn put(&self, out: &mut Output) {
        self.name.put(out);
        self.classes.put(out);
        self.tags.put(out);
        self.profile.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        let (name, classes, tags) = (Wire::take(input)?, Wire::take(input)?, Wire::take(input)?);
        let kind = input.byte()?;
        Ok(Self { name, classes, tags, profile: single(kind, input)? })
    }
}

/// Several are never in several.
fn single(kind: u8, input: &mut Input<'_>) -> Result<LoadProfile, CodecError> {
    match kind {
        RAMP => Wire::take(input).map(LoadProfile::Ramp),
        ARRIVALS => Wire::take(input).map(LoadProfile::Arrivals),
        ITERATIONS => Wire::take(input).map(LoadProfile::Iterations),
        _ => Err(CodecError::Invalid { what: "kind of profile" }),
    }
}

/// Whether they are each user's, then how many.
impl Wire for Quota {
    fn put(&self, out: &mut Output) {
        let (is_each, count) = match self {
            Self::Each(each) => (true, u64::from(*each)),
            Self::Total(total) => (false, *total),
        };
        out.flag(is_each);
        out.number(count);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        let quota = if input.flag()? { Self::Each(input.number_32(ITERATIONS_OF_A_RUN)?) } else { Self::Total(input.number()?) };
        let is_right = !matches!(quota, Self::Each(0) | Self::Total(0));
        if is_right { Ok(quota) } else { Err(CodecError::Invalid { what: ITERATIONS_OF_A_RUN }) }
    }
}

impl Wire for Spacing {
    fn put(&self, out: &mut Output) {
        out.flag(*self == Self::Poisson);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(if input.flag()? { Self::Poisson } else { Self::Even })
    }
}

impl Wire for Rate {
    fn put(&self, out: &mut Output) {
        out.number(self.0);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        input.number().map(Self)
    }
}

impl Wire for ProfileEnd {
    fn put(&self, out: &mut Output) {
        let end = match self {
            Self::StopAt(end) => Some(*end),
            Self::Hold => None,
        };
        out.option(end, Output::duration);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(input.option(Input::duration)?.map_or(Self::Hold, Self::StopAt))
    }
}

impl Wire for Arc<LoadProfile> {
    fn put(&self, out: &mut Output) {
        (**self).put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        LoadProfile::take(input).map(Self::new)
    }
}

const RAMP: u8 = 0;
const ARRIVALS: u8 = 1;
const ITERATIONS: u8 = 2;
const SEVERAL: u8 = 3;

const ITERATIONS_OF_A_RUN: &str = "number of iterations";
