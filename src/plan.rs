//! The run as data: who runs, how many, for how long, under which settings.
//!
//! A plan is made once on the master, from the scenario and the settings. During a run it changes only where a running test takes changed
//! scripts over, and then its revision rises. It is what a worker must know to act by itself. This file owns the data only: what follows from it (when a user starts, which class
//! it has) is computed in `load`, how a threshold is judged in `stats::threshold`.

mod duration;
mod order;
mod profile;
mod settings;
mod several;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{AddrParseError, IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

pub use duration::{duration_pattern, parse_duration, read_duration};
pub use order::{Purpose, StartOrder};
pub use profile::{
    ArrivalsProfile, IterationsProfile, LoadProfile, NamedProfile, ProfileEnd, Quota, RampProfile, Rate, RateStage, Spacing, Stage,
    USERS_OF_A_WORKER,
};
pub(crate) use settings::run_settings;
pub use settings::{DnsMode, RunSettings, Words};
pub use several::PROFILES_OF_A_RUN;

/// One run, as data.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Names this run in deltas and files.
    pub run: RunId,
    /// How often the running test has taken changed scripts over; 0 at its start.
    pub revision: u32,
    /// The seed of every random decision in the run.
    pub seed: u64,
    /// The scenario's name: the script's file name without its ending.
    pub scenario: String,
    /// The script's file name in the folder that the worker was given, such as `main.lua`.
    pub script: String,
    /// The fingerprint of the script's bundle on the master: 64 hexadecimal digits. Empty where none is compared.
    pub fingerprint: String,
    /// The base URL that relative URLs are joined to, such as `http://127.0.0.1:8080`; `None` where the scenario only uses absolute URLs.
    pub host: Option<String>,
    /// Where the run has two sides: the base URL of side B, while `host` is that of side A. Each iteration goes to one of them.
    pub other_host: Option<String>,
    /// The user classes, in the scenario's order. Never empty.
    pub classes: Vec<ClassPlan>,
    /// How users or iterations come and go over time.
    pub profile: LoadProfile,
    /// What the run must fulfil, in the scenario's order.
    pub thresholds: Vec<ThresholdPlan>,
    /// The script's own metrics and their kinds, by name.
    pub metrics: Vec<(String, MetricKind)>,
    /// Which tasks users may choose from.
    pub tags: TagFilter,
    /// The values that `env()` answered while the master evaluated the script; every VM answers the same.
    pub env: BTreeMap<String, String>,
    /// What the settings say.
    pub settings: RunSettings,
    /// What the scenario says of every HTTP request, and the certificates that settings name.
    pub http: HttpPlan,
    /// What is done once for the whole run.
    pub life: LifePlan,
}

impl Plan {
    /// How long the run warms up before its numbers count: whole seconds.
    #[must_use]
    pub fn warmup(&self) -> Duration {
        self.settings.warmup.unwrap_or(Duration::ZERO)
    }

    /// The same run by changed scripts, of which `newer` was planned: their code, tasks, `env` values, name look-ups and client certificate.
    /// Users keep their classes, and the run its profile, thresholds, host and seed.
    ///
    /// # Errors
    /// The changed scripts cannot take the place of the old ones in mid-run.
    pub fn revised(&self, newer: Self) -> Result<Self, ReviseError> {
        if newer.script != self.script {
            return Err(ReviseError::OtherScript { running: self.script.clone(), newer: newer.script });
        }
        let shares = |plan: &Self| -> Vec<_> { plan.classes.iter().map(|class| (class.name.clone(), class.weight, class.count)).collect() };
        if shares(self) != shares(&newer) {
            return Err(ReviseError::OtherClasses);
        }
        let mut metrics: BTreeMap<_, _> = self.metrics.iter().cloned().collect();
        for (name, kind) in newer.metrics {
            if let Some(before) = metrics.insert(name.clone(), kind).filter(|before| *before != kind) {
                return Err(ReviseError::OtherMetric { name, before, newer: kind });
            }
        }
        Ok(Self {
            revision: self.revision + 1,
            fingerprint: newer.fingerprint,
            classes: newer.classes,
            metrics: metrics.into_iter().collect(),
            env: newer.env,
            http: newer.http,
            ..self.clone()
        })
    }
}

/// Why a running test cannot take changed scripts over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text of an error says what its fields are")]
pub enum ReviseError {
    /// It runs another script.
    #[error("it runs `{running}`, and not `{newer}`")]
    OtherScript { running: String, newer: String },
    /// A user's class follows from its index, and would be another one in mid-run.
    #[error("its user classes, their weights or counts have changed: stop the run and start another one to use them")]
    OtherClasses,
    /// A metric has one kind in the whole run.
    #[error("its metric `{name}` was a {} and is a {}: give it another name, or start another run", before.name(), newer.name())]
    OtherMetric {
        name: String,
        /// As what it is counted.
        before: MetricKind,
        /// What it has become.
        newer: MetricKind,
    },
}

/// What is done once for the whole run, on one of its workers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LifePlan {
    /// The scenario has a setup, which may take so long.
    pub setup: Option<Duration>,
    /// The scenario has a teardown, which may take so long.
    pub teardown: Option<Duration>,
    /// What the setup returned, as JSON; `None` before it is over.
    pub data: Option<String>,
}

impl LifePlan {
    /// How long an act may take; `None` where the scenario does not have it.
    #[must_use]
    pub const fn limit_of(&self, act: Act) -> Option<Duration> {
        match act {
            Act::Setup => self.setup,
            Act::Teardown => self.teardown,
        }
    }
}

/// What is done once for the whole run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Once, before any user begins.
    Setup,
    /// After the last user.
    Teardown,
}

impl Act {
    /// Its key in the scenario.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Teardown => "teardown",
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A run's name: random, unique, printed as 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct RunId(pub u64);

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One user class and its share of the users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassPlan {
    /// Unique in the scenario.
    pub name: String,
    /// Its share among the classes without `count`. At least 1.
    pub weight: u32,
    /// A fixed number of users instead of a share. These users have the lowest indices.
    pub count: Option<u32>,
    /// What its users do, in the script's order; those tasks that the tags allow.
    pub tasks: Vec<TaskPlan>,
}

/// One task of a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskPlan {
    /// Unique in its class.
    pub name: String,
    /// Its share of the class's iterations.
    pub weight: u32,
}

/// The kinds of a script's own metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// A sum of what was added.
    Counter,
    /// The value that was set last.
    Gauge,
    /// A share of true values.
    Rate,
    /// A distribution, of which percentiles are known.
    Trend,
}

impl MetricKind {
    /// The kind's name in Lua.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Rate => "rate",
            Self::Trend => "trend",
        }
    }
}

/// A metric and what it must fulfil, as the script wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThresholdPlan {
    /// Metric with an optional selector: `http_req_duration`, `http_req_duration{name:/cart,method:POST}`.
    pub metric: String,
    /// Such as `p(95) < 200ms` or `rate < 1% or no data`.
    pub condition: String,
}

/// Which tasks run: those that bear one of `include` (or all, where it is empty) and none of `exclude`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagFilter {
    /// Of `-T`.
    pub include: Vec<String>,
    /// Of `-E`.
    pub exclude: Vec<String>,
}

/// What every HTTP request of a run obeys besides the settings, unless the script says otherwise for one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpPlan {
    /// PEM text of certificate authorities to trust besides the usual ones.
    pub extra_roots: Option<String>,
    /// Extra names and their addresses, as curl's `--resolve`; the scenario's `hosts`. A name may bear a port and begin with `*.`.
    pub hosts: BTreeMap<String, HostAddress>,
    /// PEM text of a client certificate chain and its key; the scenario's `tls`.
    pub client_identity: Option<ClientIdentity>,
    /// The scenario's `http`.
    pub connections: ConnectionPlan,
}

/// Which connections a request may have, unless the script says otherwise for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionPlan {
    /// What is spoken; `None` leaves it to the server.
    pub version: Option<HttpVersion>,
    /// A connection carries more than one request.
    pub keepalive: bool,
    /// HTTP/1.1 connections of one user to one origin at a time; further requests wait. At least 1.
    pub max_connections: u32,
    /// A connection that has been open for so long takes no further request.
    pub max_age: Option<Duration>,
    /// So many requests and a connection takes no further one.
    pub max_requests: Option<NonZeroU32>,
}

impl Default for ConnectionPlan {
    fn default() -> Self {
        Self { version: None, keepalive: true, max_connections: 6, max_age: None, max_requests: None }
    }
}

/// A version of HTTP that a script can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1, whatever the server can.
    Http11,
    /// HTTP/2; without TLS by prior knowledge.
    Http2,
}

/// A base URL as people may see it: a user and password in it are left out.
#[must_use]
pub fn shown_host(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    match url[start..end].rfind('@') {
        Some(at) => format!("{}{}", &url[..start], &url[start + at + 1..]),
        None => url.to_owned(),
    }
}

/// Where a name of `hosts` leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostAddress {
    /// Dialed in place of what a name server says.
    pub ip: IpAddr,
    /// Another port than the URL's.
    pub port: Option<u16>,
}

impl FromStr for HostAddress {
    type Err = AddrParseError;

    /// `127.0.0.1`, `::1`, `[::1]`, `127.0.0.1:9443` or `[::1]:9443`.
    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        match bare.parse() {
            Ok(ip) => Ok(Self { ip, port: None }),
            Err(error) => {
                text.parse::<SocketAddr>().map(|address| Self { ip: address.ip(), port: Some(address.port()) }).map_err(|_| error)
            }
        }
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => SocketAddr::new(self.ip, port).fmt(formatter),
            None => self.ip.fmt(formatter),
        }
    }
}

/// PEM text of a client certificate chain and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate chain, leaf first.
    pub cert: String,
    /// The private key of the chain's first certificate.
    pub key: String,
}

#[cfg(test)]
impl Plan {
    /// A plan for tests: one class, `profile`, a stop timeout of two seconds, nothing else.
    pub fn for_tests(profile: LoadProfile) -> Self {
        Self {
            run: RunId(7),
            revision: 0,
            seed: 1,
            scenario: "test".into(),
            script: "test.lua".into(),
            fingerprint: String::new(),
            host: None,
            other_host: None,
            classes: vec![ClassPlan { name: "User".into(), weight: 1, count: None, tasks: Vec::new() }],
            profile,
            thresholds: Vec::new(),
            metrics: Vec::new(),
            tags: TagFilter::default(),
            env: BTreeMap::new(),
            settings: RunSettings { stop_timeout: Duration::from_secs(2), names: 100, ..RunSettings::default() },
            http: HttpPlan::default(),
            life: LifePlan::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan { metrics: vec![("orders".into(), MetricKind::Counter)], ..Plan::for_tests(LoadProfile::plain(4, 1.0, None)) }
    }

    #[test]
    fn a_revision_takes_code_tasks_and_values_over_and_leaves_the_run_what_it_is() {
        let task = TaskPlan { name: "buy".into(), weight: 3 };
        let newer = Plan {
            run: RunId(8),
            seed: 2,
            fingerprint: "ab".into(),
            host: Some("http://other".into()),
            classes: vec![ClassPlan { tasks: vec![task], ..plan().classes[0].clone() }],
            profile: LoadProfile::plain(9, 9.0, None),
            metrics: vec![("price".into(), MetricKind::Trend)],
            env: [("KEY".to_owned(), "value".to_owned())].into(),
            ..plan()
        };
        let revised = plan().revised(newer.clone()).unwrap();
        let metrics = vec![("orders".to_owned(), MetricKind::Counter), ("price".to_owned(), MetricKind::Trend)];
        let wanted =
            Plan { revision: 1, fingerprint: newer.fingerprint.clone(), classes: newer.classes.clone(), metrics, env: newer.env, ..plan() };
        assert_eq!(revised, wanted);
        assert_eq!(revised.revised(plan()).unwrap().revision, 2);
    }

    #[test]
    fn scripts_that_would_make_another_run_of_it_are_refused_in_words() {
        let refused = |newer| plan().revised(newer).unwrap_err().to_string();
        assert!(refused(Plan { script: "other.lua".into(), ..plan() }).contains("`other.lua`"));
        let class = |class: ClassPlan| refused(Plan { classes: vec![class], ..plan() });
        let first = || plan().classes[0].clone();
        for other in
            [ClassPlan { weight: 2, ..first() }, ClassPlan { count: Some(1), ..first() }, ClassPlan { name: "Other".into(), ..first() }]
        {
            assert!(class(other).contains("user classes"));
        }
        let metric = refused(Plan { metrics: vec![("orders".into(), MetricKind::Rate)], ..plan() });
        assert!(metric.contains("`orders` was a counter and is a rate"), "{metric}");
    }
}
