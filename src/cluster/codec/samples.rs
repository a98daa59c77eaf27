//! Messages for tests: one of each kind. Any of them is `any`'s.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::errands::samples as errands;
use super::leases::samples::{self as leases, worker};
use super::records::samples as records;
use crate::cluster::message::{
    Answer, Delta, Followed, Hello, LogLine, OrphanRules, Phase, Refusal, RunOrders, RunStanding, Scripts, ToMaster, ToWorker, Welcome,
    WindowParts, WorkerId,
};
use crate::cluster::record::{KeptWorker, Record};
use crate::load::Halt;
use crate::load::act::Acted;
use crate::load::slots::{Handover, Orders, SlotSet};
use crate::load::stock::IterationsBegun;
use crate::load::vitals::Vitals;
use crate::plan::{
    Act, ClassPlan, ClientIdentity, ConnectionPlan, DnsMode, HttpPlan, HttpVersion, IterationsProfile, LifePlan, LoadProfile, MetricKind,
    NamedProfile, Plan, ProfileEnd, Quota, Rate, RunId, RunSettings, TagFilter, TaskPlan, ThresholdPlan,
};
use crate::stats::floor::Floor;
use crate::stats::holds::{HoldCounts, Holder};
use crate::stats::metric::{Gauge, Metric};
use crate::stats::names::{EntryName, ErrorName};
use crate::stats::profiles::{ProfileCounts, ProfileEvents};
use crate::stats::recorder::{Limits, Recorder};
use crate::stats::sample::{Answer as Answered, FailureKind, Phases, Sample};
use crate::stats::tally::{CheckCounts, ClassCounts, ErrorCounts, EventCounts, ExceptionCounts, Tally};
use crate::stats::trend::{NumberSpread, TrendCounts};

/// How the file of golden bytes begins.
pub const GOLDEN_HEAD: &str =
    "# One message of each kind: how it is decoded, its name, its bytes. The unit tests of the codec compare them.\n";

/// One message of each kind to a worker.
pub fn to_worker() -> Vec<(&'static str, ToWorker)> {
    let mut owned = SlotSet::none();
    [0, 1, 2, 70, 65_535].into_iter().for_each(|slot| owned.insert(slot));
    vec![
        (
            "welcome",
            ToWorker::Welcome(Welcome {
                clock: Duration::from_millis(1_500),
                held: Some(300),
                wants_windows: true,
                orphan: OrphanRules { timeout: Duration::from_secs(60), pauses: true },
            }),
        ),
        ("refuse", ToWorker::Refuse("no: another version".into())),
        ("prepare", ToWorker::Prepare(plan().into())),
        ("orders", ToWorker::Orders(orders(owned, SlotSet::all(), 9))),
        (
            "answer",
            ToWorker::Answer(Answer { echo: Duration::from_nanos(5), clock: Duration::from_secs(9), acknowledged: Some((RunId(7), 251)) }),
        ),
        ("abandon", ToWorker::Abandon(RunId(u64::MAX))),
        ("farewell", ToWorker::Farewell),
        ("grant", leases::grant()),
        ("reply", errands::reply()),
        ("landed", errands::landed()),
        ("opened", errands::opened()),
        ("act", ToWorker::Act { run: RunId(7), act: Act::Teardown }),
        ("data", ToWorker::Data { run: RunId(7), data: "[1]".into() }),
    ]
}

fn acted() -> Acted {
    Acted { result: Err("setup: a.lua:3: no".into()), took: Duration::from_millis(1_500), tally: busy(0, 1) }
}

/// One message of each kind to the master.
pub fn to_master() -> Vec<(&'static str, ToMaster)> {
    let followed = Followed {
        generation: 4,
        phase: Phase::Stop,
        has_stopped: false,
        profile: Arc::new(plan().profile),
        slots: Arc::new(SlotSet::all()),
        is_paused: true,
    };
    let standing = RunStanding {
        plan: plan().into(),
        epoch: 1,
        orders: Some(followed),
        elapsed: Duration::from_millis(41_250),
        wall: wall(),
        acknowledged: 40,
        is_finished: false,
    };
    let hello = Hello {
        floor: Some(Floor {
            requests: 1_000,
            cpu: Duration::from_micros(9),
            p50: Duration::from_micros(40),
            p99: Duration::from_micros(90),
        }),
        worker: worker(),
        version: "0.1.0".into(),
        lanes: 2,
        script: "main.lua".into(),
        fingerprint: "00ff".into(),
        script_error: Some("no".into()),
        is_leaving: false,
        formerly: Some(WorkerId { host: "here".into(), incarnation: 6 }),
        standing: Some(Box::new(standing)),
    };
    let line = LogLine { wall: wall(), level: log::Level::Warn, target: "lunamoth::load".into(), text: "slow".into() };
    vec![
        ("hello", ToMaster::Hello(Box::new(hello))),
        ("prepared", ToMaster::Prepared { run: RunId(7), revision: 2 }),
        ("refused", ToMaster::Refused(Refusal { run: RunId(7), text: "another script".into(), differs: Some("ab".into()) })),
        ("delta", ToMaster::Delta { sent: Duration::from_millis(2_001), delta: delta().into() }),
        ("beat", ToMaster::Beat { sent: Duration::from_millis(3_001) }),
        ("total_part", ToMaster::TotalPart { run: RunId(7), number: 1, tally: Box::new(busy(2, 3)) }),
        ("total_end", ToMaster::TotalEnd { run: RunId(7), epoch: 1, parts: 2, sequence: 41 }),
        ("leaving", ToMaster::Leaving),
        ("goodbye", ToMaster::Goodbye),
        ("log", ToMaster::Log(vec![line])),
        ("scripts", ToMaster::Scripts(Scripts { script: "main.lua".into(), fingerprint: "00ff".into(), error: Some("no".into()) })),
        ("ask", leases::ask()),
        ("leftover", leases::leftover()),
        ("errand", errands::errand()),
        (
            "window_parts",
            ToMaster::WindowParts(WindowParts {
                run: RunId(7),
                epoch: 1,
                sequence: 41,
                place: 2,
                tallies: vec![busy(2, 3), busy(3, 1)],
                is_last: true,
            }),
        ),
        ("acted", ToMaster::Acted { run: RunId(7), act: Act::Setup, acted: Arc::new(acted()) }),
    ]
}

/// One record of each kind.
pub fn records() -> Vec<(&'static str, Record)> {
    let kept = KeptWorker {
        worker: worker(),
        epoch: 1,
        sequence: std::num::NonZeroU64::new(41),
        has_left: true,
        begun: IterationsBegun(vec![900]),
        panics: 1,
        lanes_lost: 2,
        lost_since: Some(Duration::from_secs(17)),
        tallies: vec![busy(2, 3), full()],
    };
    let iterations = IterationsProfile {
        users: 10,
        quota: Quota::Total(5_000),
        start: Duration::ZERO,
        end: ProfileEnd::StopAt(Duration::from_secs(600)),
    };
    let named = |name: &str, profile| NamedProfile {
        name: name.into(),
        classes: vec!["Shopper".into()],
        tags: BTreeMap::from([("kind".into(), "read".into())]),
        profile,
    };
    let late = LoadProfile::Iterations(iterations).delayed(Duration::from_secs(3));
    let several = LoadProfile::Several(vec![named("browse", LoadProfile::plain(10, 2.0, None)), named("reports", late)]);
    vec![
        ("several", Record::Retargeted { profile: several.into(), generation: 6 }),
        ("run", Record::Run { plan: plan().into(), wall: wall() }),
        ("retargeted", Record::Retargeted { profile: LoadProfile::plain(10, 2.0, None).into(), generation: 7 }),
        (
            "arrivals",
            Record::Retargeted {
                profile: LoadProfile::plain_arrivals(Rate::per_second(500.0), Some(Duration::from_secs(9))).into(),
                generation: 8,
            },
        ),
        ("iterations", Record::Retargeted { profile: LoadProfile::Iterations(iterations).into(), generation: 9 }),
        ("reset", Record::Reset { epoch: 2, at: Some(Duration::from_millis(12_345)) }),
        ("worker", Record::Worker(Box::new(kept))),
        ("history", records::history()),
        ("end", Record::End),
        ("revised", Record::Revised { plan: plan().into() }),
        ("lease", leases::lease()),
        ("errand", errands::kept()),
        ("forgotten", Record::Forgotten),
        ("windows", records::windows()),
        ("began", records::began()),
    ]
}

/// A delta with something of everything.
pub fn delta() -> Delta {
    Delta {
        run: RunId(7),
        epoch: 1,
        sequence: 42,
        generation: 4,
        tallies: vec![full(), Tally { second: 18, ..Tally::default() }],
        users: 12,
        vitals: Vitals { cpu: Duration::from_millis(700), throttled: Duration::ZERO, memory_bytes: 70_000_000 },
        is_exhausted: false,
        is_last: true,
        panics: 1,
        lanes_lost: 2,
        lost_since: Some(Duration::from_secs(17)),
        begun: IterationsBegun(vec![0, 1_200]),
        halt: Some(Halt::Misuse("no host".into())),
    }
}

/// Orders that hand `moved` over.
pub fn orders(slots: SlotSet, moved: SlotSet, generation: u64) -> RunOrders {
    let void = moved.clone();
    let handover = Handover { at: Duration::from_secs(12), moved, interval: Duration::from_micros(500) };
    RunOrders {
        run: RunId(7),
        epoch: 1,
        generation,
        phase: Phase::Run,
        zero: Duration::from_millis(250),
        wall: wall(),
        orders: Orders {
            profile: plan().profile.into(),
            slots: slots.into(),
            handover: Some(handover.into()),
            void: Some(void.into()),
            is_paused: true,
        },
    }
}

/// What a worker counts in a second: `entries` of `requests` each, over kept-alive connections.
pub fn busy(entries: u64, requests: u64) -> Tally {
    let mut recorder = Recorder::new(Limits::default());
    let mut state = 1_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for number in 0..entries {
        let entry = recorder.entry("GET", &format!("/shop/products/{number}"));
        for _ in 0..requests {
            // The sum of four dice: most between 3 and 7 ms.
            let waiting = Duration::from_nanos(1_000_000 + (0..4).map(|_| random(2_000_000)).sum::<u64>());
            let [blocked, sending, receiving] = [1_000, 20_000, 90_000].map(|below| Duration::from_nanos(500 + random(below)));
            let phases = Phases {
                blocked: Some(blocked),
                sending: Some(sending),
                waiting: Some(waiting),
                receiving: Some(receiving),
                ..Phases::default()
            };
            let sample = Sample {
                duration: blocked + sending + waiting + receiving,
                phases,
                bytes_out: 140,
                bytes_in: 1_300,
                body_bytes: Some(1_100),
                status: 200,
                answer: Answered::Answered,
                ..Sample::default()
            };
            recorder.record(entry, &sample, None);
        }
    }
    recorder.take(17)
}

/// A tally with something of everything.
fn full() -> Tally {
    let mut tally = busy(2, 2);
    let entry = tally.entries.get_index(1).map_or(entry_name("GET", "/"), |(name, _)| name.clone());
    for (entry, kind) in [(entry, FailureKind::Timeout), (entry_name("POST", "/gone"), FailureKind::Local)] {
        let counts = ErrorCounts { occurrences: 2, first_second: 3, last_second: 17 };
        tally.errors.insert(ErrorName { entry, kind, message: "late".into() }, counts);
    }
    tally.exceptions.insert("main.lua:3: oh".into(), ExceptionCounts { traceback: "stack".into(), count: 3 });
    tally.checks.insert("is small".into(), CheckCounts { passes: 5, fails: 251 });
    tally.groups.insert("all".into(), tally.phases[0].clone());
    let numbers = TrendCounts { spread: NumberSpread { count: 1, sum: 0.5, min: 0.5, max: 0.5 }, ..TrendCounts::default() };
    tally.metrics.insert("cost".into(), Metric::Counter(1.25));
    tally.metrics.insert("depth".into(), Metric::Gauge(Gauge { count: 2, second: 17, last: 1.0, min: -1.0, max: 4.0 }));
    tally.metrics.insert("hit".into(), Metric::Rate { passes: 1, total: 2 });
    tally.metrics.insert("size".into(), Metric::Trend(numbers));
    tally.since_due = tally.phases[5].clone();
    tally.times.iterations = TrendCounts { clamped: 1, ..tally.phases[6].clone() };
    tally.times.lag = tally.phases[0].clone();
    tally.times.iterations_since_due = tally.phases[6].clone();
    tally.times.lateness = tally.phases[0].clone();
    tally.entries[0].since_due = tally.phases[5].clone();
    tally.users = 12;
    tally.events = EventCounts {
        iterations_raised: 1,
        iterations_interrupted: 6,
        iterations_due: 9,
        iterations_started: 8,
        iterations_dropped: [2, 0, 1, 0],
        backoffs: 3,
        hold_pauses: 11,
        start_failures: 4,
        stop_failures: 7,
        users_dropped: 5,
        unpacking: Duration::from_millis(6),
    };
    tally.classes = vec![ClassCounts { finished: 9, raised: 1, start_failures: 4 }, ClassCounts::default()];
    let [iterations, since_due, lateness] = [6, 5, 0].map(|phase: usize| tally.phases[phase].clone());
    let events = ProfileEvents { raised: 1, interrupted: 2, due: 9, started: 6, dropped: [2, 0, 1, 0] };
    tally.profiles = vec![ProfileCounts::default(), ProfileCounts { users: 7, iterations, since_due, lateness, events }];
    tally.holds.insert(Holder::new("Buyer:buy", "shop.lua:12"), HoldCounts { count: 3, longest: Duration::from_millis(340) });
    tally.warnings = vec!["take care".into()];
    tally
}

pub(super) fn plan() -> Plan {
    Plan {
        run: RunId(7),
        revision: 3,
        seed: u64::MAX,
        scenario: "shop".into(),
        script: "shop.lua".into(),
        fingerprint: "0123".into(),
        host: Some("http://127.0.0.1:8080".into()),
        other_host: Some("http://127.0.0.1:8081".into()),
        classes: vec![
            ClassPlan { name: "Buyer".into(), weight: 3, count: None, tasks: vec![TaskPlan { name: "buy".into(), weight: 2 }] },
            ClassPlan { name: "Admin".into(), weight: 1, count: Some(2), tasks: Vec::new() },
        ],
        profile: LoadProfile::plain(100, 10.0, Some(Duration::from_secs(60))),
        thresholds: vec![ThresholdPlan { metric: "http_req_duration".into(), condition: "p(95) < 200ms".into() }],
        metrics: vec![("cost".into(), MetricKind::Counter), ("size".into(), MetricKind::Trend)],
        tags: TagFilter { include: vec!["fast".into()], exclude: vec!["slow".into()] },
        env: BTreeMap::from([("A".into(), "1".into()), ("B".into(), String::new())]),
        settings: RunSettings { stop_timeout: Duration::from_secs(2), dns: DnsMode::Fresh, raw_names: true, ..RunSettings::default() },
        http: HttpPlan {
            extra_roots: Some("PEM".into()),
            hosts: BTreeMap::from([
                ("a.test".into(), "127.0.0.1".parse().expect("an address")),
                ("b.test".into(), "::1".parse().expect("an address")),
            ]),
            client_identity: Some(ClientIdentity { cert: "CERT".into(), key: "KEY".into() }),
            connections: ConnectionPlan {
                version: Some(HttpVersion::Http2),
                max_age: Some(Duration::from_secs(30)),
                max_requests: std::num::NonZeroU32::new(100),
                ..ConnectionPlan::default()
            },
        },
        life: LifePlan { setup: Some(Duration::from_secs(60)), teardown: None, data: Some("{}".into()) },
    }
}

fn wall() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789)
}

pub(super) fn entry_name(method: &str, name: &str) -> EntryName {
    EntryName { name: name.into(), method: method.into() }
}
