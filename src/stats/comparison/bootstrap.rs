//! How far a figure of a run would have moved by chance: a circular block bootstrap over the run's cells, from a seed of its own, so that the
//! same two reports always give the same words.
//!
//! Neighbouring cells are alike, so that whole blocks of them are drawn; how long a block is follows from how alike they are. Few cells make
//! that likeness look smaller than it is, which is made good: see [`Memory`].

use rand_core::{RngCore as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// How uncertain a figure is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Uncertainty {
    /// The standard error, in the figure's unit.
    pub error: f64,
    /// Degrees of freedom of Student's distribution that it comes with: independent stretches of the run, less one.
    pub freedom: f64,
}

impl Uncertainty {
    /// That of the difference of two independent figures (Welch and Satterthwaite).
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let (one, two) = (self.error.powi(2), other.error.powi(2));
        let parts = one.powi(2) / self.freedom + two.powi(2) / other.freedom;
        let freedom = if parts > 0.0 { (one + two).powi(2) / parts } else { self.freedom.min(other.freedom) };
        Self { error: (one + two).sqrt(), freedom }
    }

    /// Half the width of the interval that holds the true figure 95 times in a hundred.
    #[must_use]
    pub fn margin(self) -> f64 {
        self.error * self.student().inverse_cdf(0.975)
    }

    /// How likely an estimate this far from zero is, or further, where the truth lies within `negligible` of zero.
    #[must_use]
    pub fn chance_of(self, estimate: f64, negligible: f64) -> f64 {
        let (near, far) = (estimate.abs() - negligible, estimate.abs() + negligible);
        if self.error <= 0.0 {
            return if near > 0.0 { 0.0 } else { 1.0 };
        }
        let student = self.student();
        (student.sf(near / self.error) + student.sf(far / self.error)).min(1.0)
    }

    fn student(self) -> StudentsT {
        StudentsT::new(0.0, 1.0, self.freedom.max(1.0)).expect("the freedom is at least one, and a number")
    }
}

/// The uncertainty of `figure`, a function of how often each of `count` cells counts; `None` where some choice of cells has no figure.
#[must_use]
pub fn uncertainty(count: usize, figure: impl Fn(&[f64]) -> Option<f64>) -> Option<Uncertainty> {
    if count < 2 {
        return None;
    }
    let mut weights = vec![1.0; count];
    let mut without = Vec::with_capacity(count);
    for place in 0..count {
        weights[place] = 0.0;
        without.push(figure(&weights)?);
        weights[place] = 1.0;
    }
    let memory = Memory::of(&without);
    let mut random = Pcg64Mcg::seed_from_u64(SEED);
    let mut drawn = Vec::with_capacity(REPLICATES);
    for _ in 0..REPLICATES {
        draw(&mut weights, memory.block, &mut random);
        drawn.push(figure(&weights)?);
    }
    let mean = drawn.iter().sum::<f64>() / REPLICATES as f64;
    let variance = drawn.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (REPLICATES - 1) as f64;
    let error = (variance * memory.inflation).sqrt();
    error.is_finite().then_some(Uncertainty { error, freedom: memory.freedom })
}

/// Draws as many cells as there are, in blocks that begin anywhere; behind the last cell the first one follows.
fn draw(weights: &mut [f64], block: usize, random: &mut Pcg64Mcg) {
    let count = weights.len();
    weights.fill(0.0);
    let mut left = count;
    while left > 0 {
        let start = ((u128::from(random.next_u64()) * count as u128) >> 64) as usize;
        let length = block.min(left);
        (start..start + length).for_each(|place| weights[place % count] += 1.0);
        left -= length;
    }
}

/// How alike neighbouring cells are, and what follows from it.
///
/// `likeness` is the correlation of a cell with the next one. Estimated from few cells it is too small in the mean, and uncertain: the bias is
/// taken out, and half a standard error is added, since to take a wandering run for a steady one is the worse mistake. From it follow the
/// block's length (Andrews, for a process with that one likeness), what such blocks leave out of the variance, and how many independent cells
/// the run is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Memory {
    /// Cells in a block.
    block: usize,
    /// What the variance of resampled figures is to be multiplied by.
    inflation: f64,
    freedom: f64,
}

impl Memory {
    /// Of a figure's values with each cell left out in turn.
    fn of(without: &[f64]) -> Self {
        let count = without.len();
        let n = count as f64;
        let mean = without.iter().sum::<f64>() / n;
        let apart: Vec<f64> = without.iter().map(|value| value - mean).collect();
        let covariance = |lag: usize| apart.iter().zip(&apart[lag..]).map(|(one, other)| one * other).sum::<f64>() / n;
        let variance = covariance(0);
        if variance <= 0.0 {
            return Self { block: 1, inflation: n / (n - 1.0), freedom: n - 1.0 };
        }
        let seen = covariance(1) / variance;
        let likeness = (seen + (1.0 + 3.0 * seen) / n + 0.5 * ((1.0 - seen * seen).max(0.0) / n).sqrt()).clamp(0.0, LIKENESS_MOST);
        let alpha = 4.0 * likeness.powi(2) / (1.0 - likeness.powi(2)).powi(2);
        let block = ((1.1447 * (alpha * n).cbrt()).ceil() as usize).clamp(1, (count / 4).max(1));
        // The variance of a mean times n: of blocks of this length as they are, and of a process with that likeness.
        let long = |length: usize| {
            let inner = (1..length).map(|lag| (1.0 - lag as f64 / length as f64) * covariance(lag));
            variance + 2.0 * inner.sum::<f64>()
        };
        let resampled = long(block).max(variance / 5.0);
        let modelled = variance * (1.0 + likeness) / (1.0 - likeness);
        let wide = (n.sqrt().round() as usize).min(count / 3).max(1);
        let whole = resampled.max(modelled).max(long(wide) * n / (n - wide as f64));
        Self { block, inflation: whole / resampled * n / (n - 1.0), freedom: (n * variance / whole - 1.0).clamp(2.0, n - 1.0) }
    }
}

/// Any number; always the same one.
const SEED: u64 = 0x6c75_6e61;

/// How often the run is drawn anew.
const REPLICATES: usize = 500;

/// What wanders more slowly cannot be told from a trend.
const LIKENESS_MOST: f64 = 0.97;

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise in which each value is `likeness` times the one before, and something of its own.
    fn noise(count: usize, likeness: f64, seed: u64) -> Vec<f64> {
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let mut unit = || (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let mut normal = || (0..12).map(|_| unit()).sum::<f64>() - 6.0;
        let mut value = normal();
        (0..count)
            .map(|_| {
                value = likeness * value + (1.0 - likeness * likeness).sqrt() * normal();
                value
            })
            .collect()
    }

    fn of_mean(values: &[f64]) -> Uncertainty {
        let mean = |weights: &[f64]| {
            let sum: f64 = weights.iter().sum();
            Some(values.iter().zip(weights).map(|(value, weight)| value * weight).sum::<f64>() / sum)
        };
        uncertainty(values.len(), mean).unwrap()
    }

    #[test]
    fn the_interval_holds_the_truth_about_as_often_as_it_says() {
        for (count, likeness, least) in [(20, 0.0, 460), (40, 0.3, 460), (60, 0.5, 455), (60, 0.7, 430)] {
            let held = (0..500).filter(|seed| {
                let values = noise(count, likeness, *seed);
                let mean = values.iter().sum::<f64>() / count as f64;
                mean.abs() <= of_mean(&values).margin()
            });
            let held = held.count();
            assert!(held >= least, "{held} of 500 at {count} values of likeness {likeness}");
        }
    }

    #[test]
    fn an_interval_is_no_wider_than_it_needs_to_be() {
        let mean_margin = (0..200).map(|seed| of_mean(&noise(40, 0.0, seed)).margin()).sum::<f64>() / 200.0;
        let exact = 2.02 / 40.0_f64.sqrt();
        assert!(mean_margin < 1.25 * exact, "{mean_margin} where Student's is {exact}");
    }

    #[test]
    fn the_same_values_give_the_same_interval() {
        let values = noise(30, 0.4, 1);
        assert_eq!(of_mean(&values), of_mean(&values));
    }

    #[test]
    fn figures_that_never_move_are_certain() {
        let steady = of_mean(&[5.0; 12]);
        assert_eq!((steady.error, steady.chance_of(0.2, 0.01), steady.chance_of(0.005, 0.01)), (0.0, 0.0, 1.0));
        assert_eq!(uncertainty(1, |_| Some(1.0)), None);
        assert_eq!(uncertainty(5, |_| None), None);
    }
}
