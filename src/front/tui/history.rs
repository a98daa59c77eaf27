//! The run over time, as a screen keeps it: what the master told at once, and what each snapshot adds. Bounded.

use crate::front::snapshot_json::PointJson;

/// The points of one run, oldest first.
#[derive(Debug, Clone, Default)]
pub struct History {
    run: String,
    /// When the numbers began to be counted; points from before a reset are none of them.
    since_s: Option<f64>,
    points: Vec<PointJson>,
}

/// A stretch of time of a chart.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bucket {
    /// Per second; means nothing where nothing is covered.
    pub requests: f64,
    /// Per second, as `requests`.
    pub failures: f64,
    /// The greatest of the points in it; `None` without a request.
    pub p50_ms: Option<f64>,
    /// See `p50_ms`.
    pub p95_ms: Option<f64>,
    /// See `p50_ms`.
    pub p99_ms: Option<f64>,
    /// At the end of the stretch.
    pub users: f64,
    /// Seconds of it of which there are numbers; none where nobody knows, which is not the same as no requests.
    pub covered_s: f64,
    /// Whether a second of it is unsound.
    pub unsound: bool,
}

impl History {
    /// Takes over a whole history.
    pub fn replace(&mut self, run: String, points: Vec<PointJson>) {
        (self.run, self.points) = (run, points);
        self.thin();
    }

    /// Adds the newest points of a run; the answer is whether points between them and the older ones are missing.
    pub fn add(&mut self, run: &str, since_s: Option<f64>, recent: &[PointJson]) -> bool {
        if self.run != run || self.since_s != since_s {
            self.points.clear();
            run.clone_into(&mut self.run);
            self.since_s = since_s;
        }
        let Some(first) = recent.first() else { return false };
        // The newest points may have been incomplete when they came.
        let kept = self.points.partition_point(|point| point.at_s < first.at_s);
        self.points.truncate(kept);
        let end_s = self.points.last().map_or(self.since_s.unwrap_or(0.0), |point| point.at_s + point.length_s);
        let has_gap = first.at_s > end_s + 0.5;
        self.points.extend_from_slice(recent);
        self.thin();
        has_gap
    }

    /// The newest `count` stretches of `bucket_s` seconds each, the first of which begins at a whole multiple, and where that is.
    #[must_use]
    pub fn buckets(&self, count: usize, bucket_s: f64) -> (f64, Vec<Bucket>) {
        let end_s = self.points.last().map_or(0.0, |point| point.at_s + point.length_s);
        let last = (end_s / bucket_s).ceil() as usize;
        let first = last.saturating_sub(count);
        let begin_s = first as f64 * bucket_s;
        let mut buckets = vec![Bucket::default(); last - first];
        let from = self.points.partition_point(|point| point.at_s + point.length_s <= begin_s);
        for point in &self.points[from..] {
            let length_s = point.length_s.max(1e-9);
            let upto = (((point.at_s + length_s - begin_s) / bucket_s).ceil() as usize).min(buckets.len());
            let since = ((point.at_s - begin_s).max(0.0) / bucket_s) as usize;
            for (index, bucket) in buckets.iter_mut().enumerate().take(upto).skip(since) {
                let (left, right) = (begin_s + index as f64 * bucket_s, begin_s + (index + 1) as f64 * bucket_s);
                let shared_s = (point.at_s + length_s).min(right) - point.at_s.max(left);
                bucket.add(point, shared_s / length_s);
            }
        }
        for bucket in buckets.iter_mut().filter(|bucket| bucket.covered_s > 0.0) {
            bucket.requests /= bucket.covered_s;
            bucket.failures /= bucket.covered_s;
        }
        (begin_s, buckets)
    }

    /// Lets pairs of the older half become one point, once there are too many.
    fn thin(&mut self) {
        if self.points.len() <= POINTS_MAX {
            return;
        }
        let recent = self.points.split_off(self.points.len() / 2);
        let older = std::mem::take(&mut self.points);
        self.points = older.chunks(2).map(merged).chain(recent).collect();
    }
}

impl Bucket {
    fn add(&mut self, point: &PointJson, share: f64) {
        self.unsound |= point.unsound;
        let (Some(requests), Some(failures), Some(users)) = (point.requests, point.failures, point.users) else { return };
        self.requests += requests as f64 * share;
        self.failures += failures as f64 * share;
        self.p50_ms = greater(self.p50_ms, point.p50_ms);
        self.p95_ms = greater(self.p95_ms, point.p95_ms);
        self.p99_ms = greater(self.p99_ms, point.p99_ms);
        self.users = users as f64;
        self.covered_s += point.known_s * share;
    }
}

fn merged(pair: &[PointJson]) -> PointJson {
    let mut sum = pair[0].clone();
    let both = |one: Option<u64>, other: Option<u64>| one.map_or(other, |one| Some(one + other.unwrap_or(0)));
    for point in &pair[1..] {
        sum.length_s += point.length_s;
        sum.known_s += point.known_s;
        sum.users = point.users.or(sum.users);
        sum.requests = both(sum.requests, point.requests);
        sum.failures = both(sum.failures, point.failures);
        sum.p50_ms = greater(sum.p50_ms, point.p50_ms);
        sum.p95_ms = greater(sum.p95_ms, point.p95_ms);
        sum.p99_ms = greater(sum.p99_ms, point.p99_ms);
        sum.unsound |= point.unsound;
    }
    sum
}

fn greater(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.map_or(other, |one| Some(other.map_or(one, |other| one.max(other))))
}

/// More than any terminal has columns, several times over.
const POINTS_MAX: usize = 4_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at_s: f64, requests: u64) -> PointJson {
        PointJson {
            at_s,
            length_s: 1.0,
            known_s: 1.0,
            requests: Some(requests),
            failures: Some(1),
            users: Some(requests),
            ..PointJson::default()
        }
    }

    #[test]
    fn newer_points_replace_the_incomplete_ones_and_a_gap_is_told() {
        let mut history = History::default();
        assert!(!history.add("a", Some(0.0), &[point(0.0, 5), point(1.0, 3)]));
        assert!(!history.add("a", Some(0.0), &[point(1.0, 7), point(2.0, 9)]));
        let (begin_s, buckets) = history.buckets(10, 1.0);
        assert_eq!((begin_s, buckets.iter().map(|bucket| bucket.requests).collect::<Vec<_>>()), (0.0, vec![5.0, 7.0, 9.0]));
        assert!(history.add("a", Some(0.0), &[point(9.0, 1)]));
        history.add("b", Some(0.0), &[point(0.0, 1)]);
        assert_eq!(history.buckets(10, 1.0).1.len(), 1);
    }

    #[test]
    fn longer_points_are_dealt_to_the_stretches_they_cover() {
        let mut history = History::default();
        history.replace("a".into(), vec![PointJson { length_s: 4.0, known_s: 4.0, ..point(0.0, 40) }, point(4.0, 8)]);
        let (_, buckets) = history.buckets(10, 2.0);
        assert_eq!(buckets.iter().map(|bucket| bucket.requests).collect::<Vec<_>>(), [10.0, 10.0, 8.0]);
        let (begin_s, buckets) = history.buckets(2, 1.0);
        assert_eq!((begin_s, buckets[0].requests), (3.0, 10.0));
    }

    #[test]
    fn a_long_run_stays_within_bounds_and_keeps_its_sums() {
        let mut history = History::default();
        for second in 0..20_000 {
            history.add("a", Some(0.0), &[point(f64::from(second), 2)]);
        }
        assert!(history.points.len() <= POINTS_MAX);
        assert_eq!(history.points.iter().filter_map(|point| point.requests).sum::<u64>(), 40_000);
    }

    #[test]
    fn a_reset_leaves_no_point_from_before_it() {
        let mut history = History::default();
        history.add("a", Some(0.0), &[point(0.0, 5), point(1.0, 3)]);
        assert!(!history.add("a", Some(2.5), &[point(2.0, 7)]));
        assert_eq!(history.buckets(10, 1.0), (0.0, [Bucket::default(), Bucket::default(), history.buckets(1, 1.0).1[0]].to_vec()));
    }

    #[test]
    fn what_nobody_measured_is_covered_by_nothing() {
        let mut history = History::default();
        history.add("a", Some(0.0), &[point(0.0, 6), PointJson { at_s: 1.0, length_s: 1.0, ..PointJson::default() }]);
        let (_, buckets) = history.buckets(10, 1.0);
        assert_eq!(buckets.iter().map(|bucket| bucket.covered_s).collect::<Vec<_>>(), [1.0, 0.0]);
        assert_eq!(history.buckets(10, 2.0).1[0].requests, 6.0, "a rate divides by the time that is known");
    }
}
