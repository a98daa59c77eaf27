//! The layouts of the plan and its parts.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::primitives::{Input, Output, Wire};
use super::{CodecError, MESSAGE_BYTES};
use crate::plan::{
    ArrivalsProfile, ClassPlan, ClientIdentity, ConnectionPlan, HostAddress, HttpPlan, HttpVersion, LoadProfile, MetricKind, Plan,
    ProfileEnd, RampProfile, Rate, RateStage, RunId, Spacing, Stage, TagFilter, TaskPlan, ThresholdPlan,
};

impl Wire for Plan {
    fn put(&self, out: &mut Output) {
        self.run.put(out);
        out.number(u64::from(self.revision));
        out.number(self.seed);
        for text in [&self.scenario, &self.script, &self.fingerprint] {
            text.put(out);
        }
        out.option(self.host.as_ref(), |out, host| host.put(out));
        out.list(&self.classes, usize::MAX);
        self.profile.put(out);
        out.list(&self.thresholds, usize::MAX);
        out.list(&self.metrics, usize::MAX);
        out.list(&self.tags.include, usize::MAX);
        out.list(&self.tags.exclude, usize::MAX);
        put_map(&self.env, out);
        out.duration(self.stop_timeout);
        out.count(self.names_limit as u64);
        out.flag(self.raw_names);
        out.flag(self.error_backoff);
        self.http.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        let plan = Self {
            run: Wire::take(input)?,
            revision: input.number_32("revision")?,
            seed: input.number()?,
            scenario: Wire::take(input)?,
            script: Wire::take(input)?,
            fingerprint: Wire::take(input)?,
            host: input.option(Wire::take)?,
            classes: input.list(LIST, "number of user classes")?,
            profile: Wire::take(input)?,
            thresholds: input.list(LIST, "number of thresholds")?,
            metrics: input.list(LIST, "number of metrics")?,
            tags: TagFilter { include: input.list(LIST, "number of tags")?, exclude: input.list(LIST, "number of tags")? },
            env: take_map(input)?,
            stop_timeout: input.duration()?,
            names_limit: input.count()? as usize,
            raw_names: input.flag()?,
            error_backoff: input.flag()?,
            http: Wire::take(input)?,
        };
        if plan.classes.is_empty() { Err(CodecError::Invalid { what: "number of user classes" }) } else { Ok(plan) }
    }
}

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

impl Wire for ClassPlan {
    fn put(&self, out: &mut Output) {
        self.name.put(out);
        out.number(u64::from(self.weight));
        out.option(self.count, |out, count| out.number(u64::from(count)));
        out.list(&self.tasks, usize::MAX);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        let class = Self {
            name: Wire::take(input)?,
            weight: input.number_32("weight")?,
            count: input.option(|input| input.number_32("number of users"))?,
            tasks: input.list(LIST, "number of tasks")?,
        };
        if class.weight == 0 { Err(CodecError::Invalid { what: "weight" }) } else { Ok(class) }
    }
}

impl Wire for TaskPlan {
    fn put(&self, out: &mut Output) {
        self.name.put(out);
        out.number(u64::from(self.weight));
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self { name: Wire::take(input)?, weight: input.number_32("weight")? })
    }
}

/// The kind, then its own.
impl Wire for LoadProfile {
    fn put(&self, out: &mut Output) {
        match self {
            Self::Ramp(ramp) => {
                out.byte(RAMP);
                out.list(&ramp.stages, usize::MAX);
                ramp.end.put(out);
                out.duration(ramp.spawn_interval);
            }
            Self::Arrivals(arrivals) => {
                out.byte(ARRIVALS);
                out.list(&arrivals.stages, usize::MAX);
                arrivals.end.put(out);
                out.flag(arrivals.spacing == Spacing::Poisson);
                out.option(arrivals.max_users, |out, users| out.number(u64::from(users)));
                out.duration(arrivals.patience);
            }
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(match input.byte()? {
            RAMP => Self::Ramp(RampProfile {
                stages: input.list(STAGES, "number of stages")?,
                end: Wire::take(input)?,
                spawn_interval: input.duration()?,
            }),
            ARRIVALS => Self::Arrivals(ArrivalsProfile {
                stages: input.list(STAGES, "number of stages")?,
                end: Wire::take(input)?,
                spacing: if input.flag()? { Spacing::Poisson } else { Spacing::Even },
                max_users: match input.option(|input| input.number_32("number of users"))? {
                    Some(0) => return Err(CodecError::Invalid { what: "number of users" }),
                    users => users,
                },
                patience: input.duration()?,
            }),
            _ => return Err(CodecError::Invalid { what: "kind of profile" }),
        })
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

impl Wire for RateStage {
    fn put(&self, out: &mut Output) {
        out.number(self.rate.0);
        out.duration(self.over);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        let rate = Rate(input.number()?);
        if rate > Rate::GREATEST { Err(CodecError::Invalid { what: "rate" }) } else { Ok(Self { rate, over: input.duration()? }) }
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

impl Wire for Stage {
    fn put(&self, out: &mut Output) {
        out.number(u64::from(self.users));
        out.duration(self.over);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self { users: input.number_32("number of users")?, over: input.duration()? })
    }
}

impl Wire for ThresholdPlan {
    fn put(&self, out: &mut Output) {
        self.metric.put(out);
        self.condition.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self { metric: Wire::take(input)?, condition: Wire::take(input)? })
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

impl Wire for HttpPlan {
    fn put(&self, out: &mut Output) {
        out.duration(self.request_timeout);
        out.duration(self.connect_timeout);
        out.number(u64::from(self.redirects));
        out.number(self.body_limit);
        out.flag(self.insecure_tls);
        out.option(self.extra_roots.as_ref(), |out, roots| roots.put(out));
        out.flag(self.dns_fresh);
        out.flag(self.proxy_from_env);
        put_map(&self.hosts, out);
        out.option(self.client_identity.as_ref(), |out, identity| {
            identity.cert.put(out);
            identity.key.put(out);
        });
        self.connections.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            request_timeout: input.duration()?,
            connect_timeout: input.duration()?,
            redirects: input.number_32("number of redirects")?,
            body_limit: input.number()?,
            insecure_tls: input.flag()?,
            extra_roots: input.option(Wire::take)?,
            dns_fresh: input.flag()?,
            proxy_from_env: input.flag()?,
            hosts: take_map(input)?,
            client_identity: input.option(|input| Ok(ClientIdentity { cert: Wire::take(input)?, key: Wire::take(input)? }))?,
            connections: Wire::take(input)?,
        })
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

fn put_map<V: Wire>(map: &BTreeMap<String, V>, out: &mut Output) {
    out.length(map.len());
    for (name, value) in map {
        name.put(out);
        value.put(out);
    }
}

/// Ascending, so that no name comes twice.
fn take_map<V: Wire>(input: &mut Input<'_>) -> Result<BTreeMap<String, V>, CodecError> {
    let length = input.length(LIST, "number of names")?;
    let mut map = BTreeMap::new();
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

/// Stages of a profile at most.
const STAGES: usize = 10_000;

/// Classes, thresholds, metrics, tags, variables and hosts at most, each.
const LIST: usize = 100_000;

const NODE_BYTES: usize = 64;

const RAMP: u8 = 0;
const ARRIVALS: u8 = 1;
