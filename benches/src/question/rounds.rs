//! Figures from several rounds.

use hdrhistogram::Histogram;

use crate::Failure;

/// No latency is longer, in us.
const LONGEST_US: u64 = 600_000_000;

/// The middle one: a round that something else on the machine disturbed does not count.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// Latencies with a resolution of a ten-thousandth of a ms.
pub(crate) struct Latencies(Histogram<u64>);

/// Recorded in tenths of a us.
const PER_MS: f64 = 1e4;

impl Latencies {
    pub(crate) fn new() -> Result<Self, Failure> {
        Ok(Self(Histogram::new_with_bounds(1, LONGEST_US * 10, 3)?))
    }

    pub(crate) fn record_us(&mut self, us: f64) {
        self.0.saturating_record((us * 10.0) as u64);
    }

    /// The latency that this share of all does not exceed, in ms.
    pub(crate) fn quantile_ms(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / PER_MS
    }

    pub(crate) fn mean_us(&self) -> f64 {
        self.0.mean() / 10.0
    }

    pub(crate) fn max_ms(&self) -> f64 {
        self.0.max() as f64 / PER_MS
    }
}
