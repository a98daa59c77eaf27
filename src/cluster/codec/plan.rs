//! The layouts of the plan and its parts.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::MESSAGE_BYTES;
use super::error::CodecError;
use super::primitives::{Input, Output, Wire};
use crate::plan::{
    ArrivalsProfile, ClassPlan, ClientIdentity, ConnectionPlan, HostAddress, HttpPlan, HttpVersion, IterationsProfile, LifePlan,
    MetricKind, Plan, RampProfile, Rate, RateStage, RunId, RunSettings, Stage, TagFilter, TaskPlan, ThresholdPlan, Words, run_settings,
};

/// The fields of a struct in their order, each of which its type checks; then what is to hold of them beyond that.
macro_rules! layout {
    ($type:ident { $($field:ident),* } $(holds $what:literal if $check:expr)*) => {
        impl Wire for $type {
            fn put(&self, out: &mut Output) {
                $( self.$field.put(out); )*
            }

            fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
                let taken = Self { $( $field: Wire::take(input)?, )* };
                $(
                    let holds: fn(&Self) -> bool = $check;
                    if !holds(&taken) {
                        return Err(CodecError::Invalid { what: $what });
                    }
                )*
                Ok(taken)
            }
        }
    };
}

layout! {
    Plan {
        run, revision, seed, scenario, script, fingerprint, host, other_host, classes, profile, thresholds, metrics, tags, env, settings,
        http, life
    }
    holds "number of user classes" if |plan| !plan.classes.is_empty()
    holds "class of a profile" if |plan| {
        let is_known = |name: &String| plan.classes.iter().any(|class| class.name == *name);
        plan.profile.named().iter().all(|named| named.classes.iter().all(is_known))
    }
}

layout! { TagFilter { include, exclude } }

layout! { LifePlan { setup, teardown, data } }

layout! { ClassPlan { name, weight, count, tasks } holds "weight" if |class| class.weight > 0 }

layout! { TaskPlan { name, weight } }

layout! { ThresholdPlan { metric, condition } }

layout! { RampProfile { stages, end, spawn_interval } holds "number of stages" if |ramp| ramp.stages.len() <= STAGES }

layout! {
    ArrivalsProfile { stages, end, spacing, max_users, patience }
    holds "number of stages" if |arrivals| arrivals.stages.len() <= STAGES
    holds "number of users" if |arrivals| arrivals.max_users != Some(0)
}

layout! { IterationsProfile { users, quota, start, end } holds "number of users" if |iterations| iterations.users > 0 }

layout! { Stage { users, over } }

layout! { RateStage { rate, over } holds "rate" if |stage| stage.rate <= Rate::GREATEST }

layout! { HttpPlan { extra_roots, hosts, client_identity, connections } }

layout! { ClientIdentity { cert, key } }

impl Wire for Arc<Plan> {
    fn put(&self, out: &mut Output) {
        (**self).put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Plan::take(input).map(Self::new)
    }
}

impl Wire for RunId {
    fn put(&self, out: &mut Output) {
        out.number(self.0);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        input.number().map(Self)
    }
}

/// A text of any length, such as a certificate.
impl Wire for String {
    fn put(&self, out: &mut Output) {
        out.text(self, MESSAGE_BYTES);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        input.string(MESSAGE_BYTES, "text")
    }
}

impl Wire for (String, MetricKind) {
    fn put(&self, out: &mut Output) {
        self.0.put(out);
        out.byte(match self.1 {
            MetricKind::Counter => 0,
            MetricKind::Gauge => 1,
            MetricKind::Rate => 2,
            MetricKind::Trend => 3,
        });
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        let name = Wire::take(input)?;
        let kind = match input.byte()? {
            0 => MetricKind::Counter,
            1 => MetricKind::Gauge,
            2 => MetricKind::Rate,
            3 => MetricKind::Trend,
            _ => return Err(CodecError::Invalid { what: "kind of metric" }),
        };
        Ok((name, kind))
    }
}

/// How many are not at their default, then the key and the value of each. So a setting more changes no bytes of those that are there, and
/// a reader that does not know one that was given refuses it.
macro_rules! settings_by_key {
    ($( $(#[doc = $help:literal])+ $setting:ident($key:ident): $type:ty = $default:expr => $row:tt; )*) => {
        impl Wire for RunSettings {
            fn put(&self, out: &mut Output) {
                let plain = Self::default();
                out.length([$( self.$key != plain.$key ),*].into_iter().filter(|is_given| *is_given).count());
                $( if self.$key != plain.$key {
                    out.text(stringify!($key), KEY_BYTES);
                    self.$key.put(out);
                } )*
            }

            fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
                let (mut settings, plain) = (Self::default(), Self::default());
                for _ in 0..input.length(LIST, "number of settings")? {
                    match input.text(KEY_BYTES, "setting")? {
                        $( stringify!($key) if settings.$key == plain.$key => settings.$key = Wire::take(input)?, )*
                        _ => return Err(CodecError::Invalid { what: "setting: this version does not know it, or it comes twice" }),
                    }
                }
                Ok(settings)
            }
        }
    };
}

run_settings! { settings_by_key }

impl Wire for bool {
    fn put(&self, out: &mut Output) {
        out.flag(*self);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        input.flag()
    }
}

impl Wire for u32 {
    fn put(&self, out: &mut Output) {
        out.number(u64::from(*self));
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        input.number_32("number")
    }
}

impl Wire for u64 {
    fn put(&self, out: &mut Output) {
        out.number(*self);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        input.number()
    }
}

impl Wire for usize {
    fn put(&self, out: &mut Output) {
        out.count(*self as u64);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(input.count()? as Self)
    }
}

impl Wire for Duration {
    fn put(&self, out: &mut Output) {
        out.duration(*self);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        input.duration()
    }
}

impl<T: Words> Wire for T {
    fn put(&self, out: &mut Output) {
        let word = Self::WORDS.iter().find(|(_, value)| value == self).map_or("", |(word, _)| word);
        out.text(word, KEY_BYTES);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        let word = input.text(KEY_BYTES, "word")?;
        Self::WORDS.iter().find(|(other, _)| *other == word).map(|(_, value)| *value).ok_or(CodecError::Invalid { what: "word" })
    }
}

impl Wire for f64 {
    fn put(&self, out: &mut Output) {
        out.float(*self);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        input.float()
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Output) {
        out.option(self.as_ref(), |out, value| value.put(out));
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        input.option(Wire::take)
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut Output) {
        out.list(self, usize::MAX);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        input.list(LIST, "number of values")
    }
}

/// The version as 0 (any), 1 (HTTP/1.1) or 2 (HTTP/2).
impl Wire for ConnectionPlan {
    fn put(&self, out: &mut Output) {
        out.byte(match self.version {
            None => 0,
            Some(HttpVersion::Http11) => 1,
            Some(HttpVersion::Http2) => 2,
        });
        out.flag(self.keepalive);
        out.number(u64::from(self.max_connections));
        out.option(self.max_age, Output::duration);
        out.option(self.max_requests, |out, max| out.number(u64::from(max.get())));
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        let positive = |number| NonZeroU32::new(number).ok_or(CodecError::Invalid { what: "limit of connections" });
        Ok(Self {
            version: match input.byte()? {
                0 => None,
                1 => Some(HttpVersion::Http11),
                2 => Some(HttpVersion::Http2),
                _ => return Err(CodecError::Invalid { what: "version of HTTP" }),
            },
            keepalive: input.flag()?,
            max_connections: positive(input.number_32("number of connections")?)?.get(),
            max_age: input.option(Input::duration)?,
            max_requests: input.option(|input| positive(input.number_32("requests of a connection")?))?,
        })
    }
}

/// Its length, 4 or 16 and 2 more with a port, and its bytes. A reader that knows no ports refuses those that have one.
impl Wire for HostAddress {
    fn put(&self, out: &mut Output) {
        let with_port = if self.port.is_some() { 2 } else { 0 };
        match self.ip {
            IpAddr::V4(address) => {
                out.byte(4 + with_port);
                out.raw(&address.octets());
            }
            IpAddr::V6(address) => {
                out.byte(16 + with_port);
                out.raw(&address.octets());
            }
        }
        if let Some(port) = self.port {
            out.raw(&port.to_be_bytes());
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        let length = usize::from(input.byte()?);
        let octets = input.raw(length & !2)?;
        let address = <[u8; 4]>::try_from(octets).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
        let ip = address.map_err(|_| CodecError::Invalid { what: "address" })?;
        let port = if length & 2 == 0 { None } else { Some(u16::from_be_bytes([input.byte()?, input.byte()?])) };
        Ok(Self { ip, port })
    }
}

/// Ascending, so that no name comes twice.
impl<V: Wire> Wire for BTreeMap<String, V> {
    fn put(&self, out: &mut Output) {
        out.length(self.len());
        for (name, value) in self {
            name.put(out);
            value.put(out);
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        let length = input.length(LIST, "number of names")?;
        let mut map = Self::new();
        for _ in 0..length {
            // A node of the map has room for eleven and may be half empty.
            input.claim(2 * size_of::<(String, V)>() + NODE_BYTES)?;
            let name = String::take(input)?;
            if map.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return Err(CodecError::Invalid { what: "order of names" });
            }
            map.insert(name, V::take(input)?);
        }
        Ok(map)
    }
}

/// Stages of a profile at most.
const STAGES: usize = 10_000;

/// Elements of a list or a map at most.
const LIST: usize = 100_000;

/// The longest key of a setting, and the longest word that is one's value.
const KEY_BYTES: usize = 64;

const NODE_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::DnsMode;

    /// What is at its default does not travel, so a changed default is a changed layout: it raises the versions of preamble and journal, and
    /// its line here. A setting more needs no line until its default changes.
    #[test]
    fn a_default_that_travels_is_what_the_version_says() {
        let written = "timeout: 30s, connect_timeout: 10s, redirects: 10, body_limit: 67108864, insecure_tls: false, dns: Cached, proxy_from_env: \
                       false, stop_timeout: 10s, no_error_backoff: false, raw_names: false, names: 2000";
        let defaults = format!("{:?}", RunSettings::default());
        assert!(written.split(", ").all(|default| defaults.contains(default)), "{defaults}");
    }

    #[test]
    fn every_type_that_a_setting_may_have_comes_back_as_it_was() {
        fn back<T: Wire + PartialEq + std::fmt::Debug>(value: &T) {
            let mut out = Output::new();
            value.put(&mut out);
            assert_eq!(T::take(&mut Input::new(&out.into_bytes()).unwrap()).as_ref(), Ok(value));
        }
        back(&true);
        back(&u32::MAX);
        back(&u64::MAX);
        back(&(1_usize << 40));
        back(&-1.5);
        back(&Duration::from_nanos(u64::MAX));
        back(&String::from("\u{65e5}"));
        back(&vec![String::from("a"), String::new()]);
        back(&[None, Some(7_u32)].to_vec());
        DnsMode::WORDS.iter().for_each(|(_, mode)| back(mode));
    }

    #[test]
    fn a_setting_that_is_not_known_or_comes_twice_is_refused() {
        let bytes = |settings: &[(&str, bool)]| {
            let mut out = Output::new();
            out.length(settings.len());
            settings.iter().for_each(|(key, value)| {
                out.text(key, KEY_BYTES);
                out.flag(*value);
            });
            out.into_bytes()
        };
        let read = |settings: &[(&str, bool)]| RunSettings::take(&mut Input::new(&bytes(settings)).unwrap());
        assert_eq!(read(&[("raw_names", true)]), Ok(RunSettings { raw_names: true, ..RunSettings::default() }));
        for wrong in [&[("zebra", true)][..], &[("raw_names", true), ("raw_names", false)]] {
            assert!(read(wrong).unwrap_err().to_string().contains("does not know it"));
        }
    }
}
