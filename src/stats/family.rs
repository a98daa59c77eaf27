//! Which kinds of metrics there are: what may be asked of each, and in which unit it answers.

use super::metric::MetricKind;
use super::quantile::Quantile;
use super::tags;

/// What a metric consists of, and so which aggregates and units it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// `http_req_duration`: durations by entry.
    Duration,
    /// `http_req_duration_due`: durations by entry, from the due time on.
    DurationDue,
    /// One of [`PHASES`](super::phases::PHASES): sums by entry, a distribution for the whole run.
    Phase,
    /// A distribution of durations for the whole run, or one profile.
    Times,
    /// `generator_lag`: the same, and nothing of a profile's.
    Lag,
    /// `group_duration`.
    Groups,
    /// `http_reqs`: a count by entry.
    Requests,
    /// `http_req_failed`: a share by entry.
    Failed,
    /// A count for the whole run, or one profile.
    Count,
    /// `checks`: a share by check.
    Checks,
    /// `exceptions`: a count, and a share of the iterations; of one profile of the iterations that raised alone.
    Exceptions,
    /// `users`.
    Users,
    /// Bytes on the wire by entry.
    Bytes,
    /// One of the script's own.
    Own(MetricKind),
}

impl Family {
    pub(super) fn aggregates(self) -> &'static [&'static str] {
        match self {
            Self::Duration | Self::DurationDue | Self::Phase | Self::Times | Self::Lag | Self::Groups => {
                &["count", "min", "max", "avg", "med", "p(N)"]
            }
            Self::Own(MetricKind::Trend) => &["count", "min", "max", "avg", "med", "p(N)"],
            Self::Requests | Self::Count | Self::Bytes | Self::Failed | Self::Checks | Self::Exceptions | Self::Own(MetricKind::Rate) => {
                &["count", "rate"]
            }
            Self::Users | Self::Own(MetricKind::Gauge) => &["value", "min", "max"],
            Self::Own(MetricKind::Counter) => &["count", "rate", "value"],
        }
    }

    pub(super) fn selectors(self) -> &'static [&'static str] {
        match self {
            Self::Duration | Self::DurationDue | Self::Phase | Self::Requests | Self::Failed | Self::Bytes => {
                &["name", "method", tags::PROFILE]
            }
            Self::Checks => &["check"],
            Self::Groups => &["group"],
            Self::Times | Self::Count | Self::Exceptions => &[tags::PROFILE],
            Self::Lag | Self::Users | Self::Own(_) => &[],
        }
    }

    /// The unit of an aggregate.
    pub(super) fn unit(self, aggregate: Aggregate) -> Unit {
        match (self, aggregate) {
            (Self::Failed | Self::Checks | Self::Exceptions | Self::Own(MetricKind::Rate), Aggregate::Rate) => Unit::Share,
            (Self::Bytes, _) => Unit::Bytes,
            (_, Aggregate::Count | Aggregate::Rate) => Unit::Plain,
            (Self::Duration | Self::DurationDue | Self::Phase | Self::Times | Self::Lag | Self::Groups, _) => Unit::Time,
            (Self::Requests | Self::Failed | Self::Count | Self::Checks | Self::Exceptions | Self::Users | Self::Own(_), _) => Unit::Plain,
        }
    }
}

/// How the values of a metric become one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Aggregate {
    Count,
    Rate,
    Min,
    Max,
    Avg,
    /// The median is the 50th.
    Percentile(Quantile),
    Value,
}

/// What a number is a number of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// A time in seconds.
    Time,
    /// A share, from 0 to 1.
    Share,
    /// A number of bytes.
    Bytes,
    /// A plain number of anything.
    Plain,
}
