//! Quantiles as exact decimals, and the one place that says which of N sorted values stands at one.
//!
//! By integers alone: in binary fractions 99.9 % of 1,000 values is a little more than 999 of them, and would be the greatest.

/// A share of sorted values, exact to a billionth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantile {
    billionths: u32,
}

impl Quantile {
    /// The quantile of the least value.
    pub const LEAST: Self = Self { billionths: 0 };
    /// Half of the values.
    pub const MEDIAN: Self = Self { billionths: WHOLE / 2 };
    /// All but a tenth of the values lie at or below it.
    pub const P90: Self = Self { billionths: WHOLE / 10 * 9 };
    /// All but a hundredth.
    pub const P99: Self = Self { billionths: WHOLE / 100 * 99 };
    /// The quantile of the greatest value.
    pub const GREATEST: Self = Self { billionths: WHOLE };

    /// Reads percent as people write them: `95`, `99.9`, ` 99.999 `. `None` where it is no number from 0 to 100, or has more than
    /// seven digits after the point.
    #[must_use]
    pub fn from_percent(text: &str) -> Option<Self> {
        let text = text.trim();
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !is_number(whole) || !is_number(fraction) {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > FRACTION_DIGITS {
            return None;
        }
        let whole = if whole.is_empty() { 0 } else { whole.parse::<u32>().ok().filter(|percent| *percent <= 100)? };
        let fraction = if fraction.is_empty() { 0 } else { format!("{fraction:0<FRACTION_DIGITS$}").parse::<u32>().ok()? };
        let billionths = whole * (WHOLE / 100) + fraction;
        (billionths <= WHOLE).then_some(Self { billionths })
    }

    /// As a fraction, 0..=1.
    #[must_use]
    pub fn share(self) -> f64 {
        f64::from(self.billionths) / f64::from(WHOLE)
    }

    /// In percent, as people write it: `99`, `99.9`.
    #[must_use]
    pub fn percent(self) -> String {
        let (whole, fraction) = (self.billionths / (WHOLE / 100), self.billionths % (WHOLE / 100));
        let text = format!("{whole}.{fraction:0>FRACTION_DIGITS$}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    /// Which of `count` sorted values it is, the least being the first: the least rank with at least this share of all at or below it.
    #[must_use]
    pub fn rank(self, count: u64) -> u64 {
        let share = u128::from(count) * u128::from(self.billionths);
        u64::try_from(share.div_ceil(u128::from(WHOLE))).expect("a share is no more than the whole").max(1)
    }
}

impl From<f64> for Quantile {
    /// The nearest billionth, so that a fraction as it is written in code, such as `0.999`, is that decimal exactly.
    fn from(share: f64) -> Self {
        let billionths = (share.clamp(0.0, 1.0) * f64::from(WHOLE)).round();
        // Within 0..=WHOLE by the line above.
        Self { billionths: billionths as u32 }
    }
}

/// All values, in billionths.
const WHOLE: u32 = 1_000_000_000;
/// Digits after the point of a percentage.
const FRACTION_DIGITS: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn p99_9_of_a_thousand_is_the_999th() {
        for quantile in [Quantile::from_percent("99.9").unwrap(), 0.999.into(), (99.9 / 100.0).into()] {
            assert_eq!(quantile.rank(1_000), 999);
        }
        assert_eq!(Quantile::from_percent("99.99").unwrap().rank(10_000), 9_999);
        assert_eq!((Quantile::LEAST.rank(7), Quantile::MEDIAN.rank(7), Quantile::GREATEST.rank(u64::MAX)), (1, 4, u64::MAX));
    }

    #[test]
    fn percent_are_read_as_they_are_written_or_not_at_all() {
        for (text, billionths) in
            [("95", 950_000_000), ("99.90", 999_000_000), (" .5 ", 5_000_000), ("100.0", WHOLE), ("0", 0), ("99.9999999", 999_999_999)]
        {
            assert_eq!(Quantile::from_percent(text), Some(Quantile { billionths }), "{text}");
        }
        for text in ["", ".", "101", "100.1", "-1", "99.99999999", "1e1", "99,9", "nan", "+5"] {
            assert_eq!(Quantile::from_percent(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_rank_is_the_least_that_covers_its_share(percent in 0_u64..=100, thousandths in 0_u64..1_000, count in 1_u64..1_000_000) {
            let hundred_thousandths = (percent * 1_000 + thousandths).min(100_000);
            let text = format!("{}.{:03}", hundred_thousandths / 1_000, hundred_thousandths % 1_000);
            let rank = Quantile::from_percent(&text).unwrap().rank(count);
            prop_assert!(rank * 100_000 >= hundred_thousandths * count);
            prop_assert!(rank == 1 || (rank - 1) * 100_000 < hundred_thousandths * count);
            prop_assert_eq!(Quantile::from(hundred_thousandths as f64 / 100_000.0).rank(count), rank);
        }
    }
}
