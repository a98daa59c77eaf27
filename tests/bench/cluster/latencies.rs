//! Numbers as a worker makes them: samples drawn from distributions that look like latencies, counted by the program's own recorder.

use std::time::Duration;

use lunamoth::stats::names::Limits;
use lunamoth::stats::recorder::Recorder;
use lunamoth::stats::sample::{Answer, FailureKind, Phases, Sample};
use lunamoth::stats::tally::Tally;

/// What one worker counts in one second, made beforehand; sent many times, by many workers.
pub struct Draw {
    /// As the recorder gave it.
    pub tally: Tally,
    /// What was put in: the entry's number, the duration, and whether the hop failed.
    pub hops: Vec<(usize, Duration, bool)>,
    /// How long [`Recorder::take`] took.
    pub taking: Duration,
}

/// Makes the draws of all workers.
pub struct Latencies {
    random: u64,
    recorder: Recorder,
    /// Logarithms of durations, relative to the median of an entry: log-normal, one of a hundred ten times as long.
    factors: Vec<f64>,
    names: Vec<(String, &'static str)>,
}

impl Latencies {
    pub fn new(entries: usize) -> Self {
        let mut latencies = Self {
            random: 0x9e37_79b9_7f4a_7c15,
            recorder: Recorder::new(Limits::default()),
            factors: Vec::new(),
            names: (0..entries).map(name).collect(),
        };
        latencies.factors = (0..FACTORS)
            .map(|_| {
                let (one, other) = (latencies.share(), latencies.share());
                let normal = (-2.0 * one.max(1e-12).ln()).sqrt() * (std::f64::consts::TAU * other).cos();
                let tail = if latencies.share() < 0.01 { 10.0 } else { 1.0 };
                (0.4 * normal).exp() * tail
            })
            .collect();
        latencies
    }

    /// The method and name of an entry.
    pub fn name(&self, entry: usize) -> (&str, &str) {
        let (name, method) = &self.names[entry];
        (method, name)
    }

    /// One second of one worker: `requests` hops of each entry whose number is `part` modulo `parts`.
    pub fn draw(&mut self, requests: usize, part: usize, parts: usize) -> Draw {
        let mut hops = Vec::new();
        for entry in (0..self.names.len()).filter(|entry| entry % parts == part % parts) {
            let (name, method) = self.names[entry].clone();
            let id = self.recorder.entry(method, &name);
            for _ in 0..requests {
                let median = 2e6 * (1.0 + entry as f64 % 40.0);
                let place = (self.next() >> 32) as usize % FACTORS;
                let factor = self.factors[place];
                let duration = Duration::from_nanos((median * factor) as u64 + self.next() % 1_000);
                let has_failed = self.next().is_multiple_of(200);
                self.recorder.record(id, &sample(duration, has_failed), None);
                self.recorder.check("status is 200", !has_failed);
                hops.push((entry, duration, has_failed));
            }
        }
        for (_, duration, has_failed) in hops.iter().step_by(5) {
            self.recorder.iteration(0, *duration * 5, *has_failed);
        }
        for _ in 0..100 {
            self.recorder.lag(Duration::from_nanos(self.random % 1_500_000));
            self.next();
        }
        let begin = std::time::Instant::now();
        let tally = self.recorder.take(0);
        Draw { tally, hops, taking: begin.elapsed() }
    }

    /// Uniform between 0 and 1, without 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The next 64 bits of Marsaglia's xorshift64*.
    fn next(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// A hop on a connection that was open.
fn sample(duration: Duration, has_failed: bool) -> Sample {
    let (blocked, sending, waiting) = (duration / 200, duration / 400, duration / 100 * 95);
    let receiving = duration - blocked - sending - waiting;
    Sample {
        duration,
        phases: Phases {
            blocked: Some(blocked),
            sending: Some(sending),
            waiting: Some(waiting),
            receiving: Some(receiving),
            ..Phases::default()
        },
        bytes_out: 163,
        bytes_in: 1_204,
        body_bytes: Some(1_024),
        status: if has_failed { 503 } else { 200 },
        answer: Answer::Answered,
        failure: has_failed.then_some(FailureKind::Status),
        ..Sample::default()
    }
}

fn name(entry: usize) -> (String, &'static str) {
    (format!("/api/v1/shops/:id/items-{entry:03}"), if entry.is_multiple_of(4) { "POST" } else { "GET" })
}

const FACTORS: usize = 1 << 16;
