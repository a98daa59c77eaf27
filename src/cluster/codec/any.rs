//! Any message, for tests: strategies for what a recorder, a plan and a hand-over may hold, and for some that they could not.

use std::time::Duration;

use proptest::prelude::*;

use super::samples::{entry_name, plan};
use crate::load::slots::{SLOTS, SlotSet};
use crate::plan::{
    ArrivalsProfile, ClassPlan, DnsMode, HostAddress, HttpPlan, IterationsProfile, LoadProfile, NamedProfile, Plan, ProfileEnd, Quota,
    RampProfile, Rate, RateStage, RunId, RunSettings, Spacing, Stage, TaskPlan,
};
use crate::stats::histogram::Histogram;
use crate::stats::holds::{HoldCounts, Holder};
use crate::stats::hop_counts::HopCounts;
use crate::stats::metric::{Gauge, Metric, MetricCounts};
use crate::stats::names::ErrorName;
use crate::stats::profiles::{ProfileCounts, ProfileEvents};
use crate::stats::sample::FailureKind;
use crate::stats::snapshot::{HistoryPoint, Seen};
use crate::stats::soundness::Reasons;
use crate::stats::tally::{CheckCounts, ClassCounts, EntryCounts, ErrorCounts, EventCounts, ExceptionCounts, Tally};
use crate::stats::times::{TIMES, Times};
use crate::stats::trend::{NumberSpread, Spread, TrendCounts};

/// Any tally that a recorder could have made, and some that it could not.
pub fn tally() -> impl Strategy<Value = Tally> {
    let classes = prop::collection::vec((0..MOST, 0..MOST, 0..MOST), 0..4);
    (tally_of_no_class(), classes, prop::collection::vec(profile(), 0..3)).prop_map(|(mut tally, classes, profiles)| {
        tally.profiles = profiles;
        let counts = |(finished, raised, start_failures)| ClassCounts { finished, raised, start_failures };
        tally.classes = classes.into_iter().map(counts).collect();
        tally
    })
}

fn tally_of_no_class() -> impl Strategy<Value = Tally> {
    let errors = prop::collection::vec(((text(), text()), 0..FailureKind::ALL.len(), text(), 1..MOST, 0..1_000_u64), 0..4);
    let names = (
        prop::collection::vec(((text(), text()), entry()), 0..6),
        errors,
        prop::collection::vec((text(), text(), 0..MOST), 0..3),
        prop::collection::vec((text(), 0..MOST, 0..MOST), 0..3),
        prop::collection::vec((text(), trend()), 0..3),
        prop::collection::vec((text(), metric()), 0..5),
        // No tally bears a warning twice.
        prop::collection::btree_set(text(), 0..3),
    );
    let trends = (prop::array::uniform(sparse_trend()), (sparse_trend(), prop::collection::vec(sparse_trend(), TIMES.len())));
    (names, trends, prop::array::uniform14(prop_oneof![Just(0), 0..MOST]), 0..1_000_000_u64, 0..MOST).prop_map(
        |((entries, errors, exceptions, checks, groups, metrics, warnings), (phases, lone), events, second, users)| {
            let (since_due, times) = lone;
            let mut times = times.into_iter();
            let times = Times::from_fn(|| times.next().expect("one for each"));
            let [
                iterations_raised,
                iterations_interrupted,
                iterations_due,
                iterations_started,
                backoffs,
                hold_pauses,
                start_failures,
                stop_failures,
                users_dropped,
                unpacking,
                dropped @ ..,
            ] = events;
            let iterations_dropped: [u64; 4] = dropped;
            let unpacking = Duration::from_nanos(unpacking);
            let mut tally = Tally { second, users, phases, since_due, times, ..Tally::default() };
            tally.events = EventCounts {
                iterations_raised,
                iterations_interrupted,
                iterations_due,
                iterations_started,
                iterations_dropped,
                backoffs,
                hold_pauses,
                start_failures,
                stop_failures,
                users_dropped,
                unpacking,
            };
            tally.entries = entries.into_iter().map(|((method, name), counts)| (entry_name(&method, &name), counts)).collect();
            for ((method, name), kind, message, occurrences, first_second) in errors {
                // Every other one belongs to an entry of the tally.
                let place = tally.entries.get_index(first_second as usize % 8).map(|(name, _)| name.clone());
                let entry = place.unwrap_or_else(|| entry_name(&method, &name));
                let counts = ErrorCounts { occurrences, first_second, last_second: first_second + 3 };
                tally.errors.insert(ErrorName { entry, kind: FailureKind::ALL[kind], message: message.into() }, counts);
            }
            for (by, place, count) in &exceptions {
                tally.holds.insert(Holder::new(by, place), HoldCounts { count: *count, longest: Duration::from_nanos(*count) });
            }
            tally.exceptions = exceptions
                .into_iter()
                .map(|(message, traceback, count)| (message.into(), ExceptionCounts { traceback: traceback.into(), count }))
                .collect();
            tally.checks = checks.into_iter().map(|(name, passes, fails)| (name.into(), CheckCounts { passes, fails })).collect();
            tally.groups = groups.into_iter().map(|(name, trend)| (name.into(), trend)).collect();
            tally.metrics = metrics.into_iter().map(|(name, metric)| (name.into(), metric)).collect();
            tally.warnings = warnings.into_iter().map(Into::into).collect();
            tally
        },
    )
}

fn profile() -> BoxedStrategy<ProfileCounts> {
    let counts = prop::array::uniform9(prop_oneof![Just(0), 0..MOST]);
    let trends = (sparse_trend(), sparse_trend(), sparse_trend());
    let counts =
        (counts, trends).prop_map(|([users, raised, interrupted, due, started, dropped @ ..], (iterations, since_due, lateness))| {
            ProfileCounts { users, iterations, since_due, lateness, events: ProfileEvents { raised, interrupted, due, started, dropped } }
        });
    counts.boxed()
}

/// Any set of slots: whole, scattered, in runs.
pub fn slots() -> impl Strategy<Value = SlotSet> {
    let runs = prop::collection::vec((0..SLOTS, prop_oneof![Just(1_u32), 1..3_000_u32]), 0..20).prop_map(|runs| {
        let mut set = SlotSet::none();
        for (first, length) in runs {
            (first..SLOTS.min(first + length)).for_each(|slot| set.insert(slot));
        }
        set
    });
    let dealt = (1_usize..700, any::<prop::sample::Index>()).prop_map(|(hands, hand)| {
        let mut set = SlotSet::none();
        (0..SLOTS).filter(|slot| *slot as usize % hands == hand.index(hands)).for_each(|slot| set.insert(slot));
        set
    });
    prop_oneof![Just(SlotSet::all()), Just(SlotSet::none()), runs, dealt]
}

fn any_address() -> impl Strategy<Value = HostAddress> {
    (any::<std::net::IpAddr>(), any::<Option<u16>>()).prop_map(|(ip, port)| HostAddress { ip, port })
}

pub fn any_plan() -> impl Strategy<Value = Plan> {
    let stages = prop::collection::vec((any::<u32>(), any::<u64>()), 0..9);
    let lists = (
        prop::collection::btree_map(text(), text(), 0..4),
        prop::collection::btree_map(text(), any_address(), 0..4),
        prop::collection::vec((text(), 1..u32::MAX, any::<Option<u32>>(), prop::collection::vec((text(), any::<u32>()), 0..3)), 1..4),
    );
    (stages, any::<Option<u64>>(), any::<[u64; 4]>(), any::<Option<String>>(), lists, any::<[bool; 4]>()).prop_map(
        |(
            stages,
            end,
            [run, seed, body_limit, nanos],
            host,
            (env, hosts, classes),
            [raw_names, no_error_backoff, insecure_tls, dns_fresh],
        )| {
            let end = end.map_or(ProfileEnd::Hold, |end| ProfileEnd::StopAt(Duration::from_nanos(end)));
            let over = |(_, over): &(u32, u64)| Duration::from_nanos(*over);
            let profile = if raw_names && !stages.is_empty() {
                let users = u32::try_from(stages.len()).unwrap();
                let quota = if insecure_tls { Quota::Each(stages[0].0.max(1)) } else { Quota::Total(nanos.max(1)) };
                LoadProfile::Iterations(IterationsProfile { users, quota, start: Duration::ZERO, end })
            } else if dns_fresh {
                LoadProfile::Arrivals(ArrivalsProfile {
                    stages: stages.iter().map(|stage| RateStage { rate: Rate(u64::from(stage.0) << 20), over: over(stage) }).collect(),
                    end,
                    spacing: if insecure_tls { Spacing::Poisson } else { Spacing::Even },
                    max_users: stages.first().map(|stage| stage.0.max(1)),
                    patience: Duration::from_nanos(nanos),
                })
            } else {
                LoadProfile::Ramp(RampProfile {
                    stages: stages.iter().map(|stage| Stage { users: stage.0, over: over(stage) }).collect(),
                    end,
                    spawn_interval: Duration::from_nanos(nanos),
                })
            };
            let profile = if no_error_backoff {
                let class = classes.first().map(|(name, ..)| name.clone());
                let named = |name: &str, profile| NamedProfile {
                    name: name.into(),
                    classes: class.iter().cloned().collect(),
                    tags: env.clone(),
                    profile,
                };
                LoadProfile::Several(vec![
                    named("a", LoadProfile::plain(3, 1.0, None).delayed(Duration::from_nanos(nanos))),
                    named("b", profile),
                ])
            } else {
                profile
            };
            Plan {
                run: RunId(run),
                seed,
                other_host: host.clone().filter(|_| insecure_tls),
                host,
                classes: classes
                    .into_iter()
                    .map(|(name, weight, count, tasks)| {
                        let tasks = tasks.into_iter().map(|(name, weight)| TaskPlan { name, weight }).collect();
                        ClassPlan { name, weight, count, tasks }
                    })
                    .collect(),
                profile,
                env,
                settings: RunSettings {
                    body_limit,
                    insecure_tls,
                    dns: if dns_fresh { DnsMode::Fresh } else { DnsMode::Cached },
                    raw_names,
                    no_error_backoff,
                    stop_timeout: Duration::from_nanos(nanos),
                    redirects: run as u32,
                    names: (seed % MOST) as usize,
                    ..RunSettings::default()
                },
                http: HttpPlan { hosts, ..HttpPlan::default() },
                ..plan()
            }
        },
    )
}

/// Any point of a history.
pub fn point() -> impl Strategy<Value = HistoryPoint> {
    let seen = (1..100_u64, prop::array::uniform3(0..MOST), prop::option::of(any::<[u64; 3]>())).prop_map(
        |(known, [users, requests, failures], percentiles)| Seen {
            known: Duration::from_secs(known),
            users,
            requests,
            failures,
            percentiles: percentiles.map(|nanos| nanos.map(Duration::from_nanos)),
        },
    );
    (0..31_000_000_u64, 1..100_u64, prop::option::of(seen), 0..16_u8).prop_map(|(at, length, seen, unsound)| HistoryPoint {
        at: Duration::from_secs(at),
        length: Duration::from_secs(length),
        seen,
        unsound: Reasons::of_bits(unsound).unwrap(),
    })
}

fn entry() -> BoxedStrategy<EntryCounts> {
    let few = || prop_oneof![3 => Just(0), 1 => 1..MOST];
    let statuses = prop_oneof![
        Just(vec![(200, 7)]),
        prop::collection::btree_map(any::<u16>(), 0..MOST, 0..5).prop_map(|statuses| statuses.into_iter().collect())
    ];
    let spreads = prop::array::uniform(prop_oneof![Just(Spread::default()), spread()]);
    let requests = prop_oneof![Just(7), 0..MOST];
    let rare = [few(), few(), few(), few(), few(), few(), few()];
    (requests, prop::array::uniform16(few()), statuses, rare, spreads, (trend(), sparse_trend()))
        .prop_map(
            |(
                requests,
                by_kind,
                statuses,
                [not_sent, unanswered, stale_retries, bytes_out, bytes_in, body_bytes, bodies_unknown],
                phases,
                (durations, since_due),
            )| {
                let hops = HopCounts {
                    requests,
                    by_kind,
                    statuses,
                    not_sent,
                    unanswered,
                    stale_retries,
                    bytes_out,
                    bytes_in,
                    body_bytes,
                    bodies_unknown,
                    phases,
                };
                EntryCounts { hops, durations, since_due }
            },
        )
        .boxed()
}

fn metric() -> BoxedStrategy<MetricCounts> {
    let number = || -1e300..1e300;
    let spread = (1..MOST, number(), number(), number()).prop_map(|(count, sum, min, max)| NumberSpread { count, sum, min, max });
    prop_oneof![
        number().prop_map(Metric::Counter),
        (0..MOST, 0..1_000_u64, number(), number(), number()).prop_map(|(count, second, last, min, max)| Metric::Gauge(Gauge {
            count,
            second,
            last,
            min,
            max
        })),
        (0..MOST, 0..MOST).prop_map(|(passes, total)| Metric::Rate { passes, total }),
        (spread, trend()).prop_map(|(spread, trend)| Metric::Trend(TrendCounts { spread, counts: trend.counts, clamped: trend.clamped })),
    ]
    .boxed()
}

fn sparse_trend() -> BoxedStrategy<TrendCounts<Spread>> {
    prop_oneof![Just(TrendCounts::default()), trend()].boxed()
}

fn trend() -> BoxedStrategy<TrendCounts<Spread>> {
    let values = prop::collection::vec((0..Histogram::HIGHEST_US, 1..1_u64 << 40), 0..30);
    (prop_oneof![Just(Spread::default()), spread()], values, 0..3_u64)
        .prop_map(|(spread, values, clamped)| {
            let mut histogram = Histogram::default();
            for (value, count) in values {
                histogram.record_n(value >> (count % 30), count >> (value % 40));
            }
            TrendCounts { spread, counts: histogram.to_sparse(), clamped }
        })
        .boxed()
}

// Parts are boxed: as one type, the tree of a tally does not fit a test's stack in a debug build.
fn spread() -> BoxedStrategy<Spread> {
    let lone = any::<u64>().prop_map(Duration::from_nanos).prop_map(|value| Spread::new(1, value, value, value));
    let many = (1..MOST, any::<[u32; 2]>(), any::<(u64, u32)>()).prop_map(|(count, [min, width], (seconds, nanos))| {
        let (sum, max) = (Duration::new(seconds, nanos % 1_000_000_000), u64::from(min) + u64::from(width));
        Spread::new(count, sum, Duration::from_nanos(u64::from(min)), Duration::from_nanos(max))
    });
    prop_oneof![lone, many].boxed()
}

fn text() -> BoxedStrategy<String> {
    prop_oneof!["[a-z/]{0,12}", any::<String>()].prop_filter("names are short", |text| text.len() <= 1_024).boxed()
}

const MOST: u64 = 1 << 53;
