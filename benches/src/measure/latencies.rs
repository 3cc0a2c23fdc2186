//! Latency distributions, and the median of several rounds.

use hdrhistogram::Histogram;

use crate::failure::Failure;

/// Longer latencies are recorded as this one, in us.
const LONGEST_US: u64 = 600_000_000;

/// Latencies are recorded in tenths of a us.
const UNITS_PER_MS: f64 = 1e4;

/// A histogram of latencies with three significant digits.
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Result<Self, Failure> {
        Ok(Self(Histogram::new_with_bounds(1, LONGEST_US * 10, 3)?))
    }

    pub(crate) fn record_us(&mut self, us: f64) {
        self.0.saturating_record((us * 10.0) as u64);
    }

    pub(crate) fn record_all_us(&mut self, latencies_us: &[f64]) {
        latencies_us.iter().for_each(|us| self.record_us(*us));
    }

    /// The latency at this quantile (0 to 1), in ms.
    pub(crate) fn quantile_ms(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / UNITS_PER_MS
    }

    /// Pairs of percentile and latency in ms, for a plot.
    pub(crate) fn at_percentiles(&self, percentiles: &[f64]) -> Vec<(f64, f64)> {
        percentiles.iter().map(|percentile| (*percentile, self.quantile_ms(percentile / 100.0))).collect()
    }

    pub(crate) fn mean_us(&self) -> f64 {
        self.0.mean() / 10.0
    }

    pub(crate) fn max_ms(&self) -> f64 {
        self.0.max() as f64 / UNITS_PER_MS
    }
}

/// The median, which a round that was disturbed by another process does not move.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}
