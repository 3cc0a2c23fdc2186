//! What there is, counted when somebody asks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use grove_engine::Engine;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// How many paths are told apart. An application that registers more of them, such as one per session, gets the rest
/// under [`OTHER_PATHS`].
const PATHS: usize = 200;

/// The label of the paths that came too late. No registered path looks like it.
const OTHER_PATHS: &str = "other";

/// The engine's own statistics, taken at each scrape.
#[derive(Debug)]
pub(super) struct Census {
    engine: Engine,
    /// The paths that have a label of their own: first come, first served, so that no counter ever goes back.
    paths: Mutex<BTreeSet<String>>,
}

impl Census {
    pub(super) fn of(engine: Engine) -> Self {
        Self { engine, paths: Mutex::default() }
    }

    /// The runs by label.
    fn by_label(&self, evaluations: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
        let mut known = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        let mut runs = BTreeMap::new();
        for (path, count) in evaluations {
            if !known.contains(&path) && known.len() < PATHS {
                known.insert(path.clone());
            }
            let label = if known.contains(&path) { path } else { OTHER_PATHS.to_owned() };
            *runs.entry(label).or_insert(0) += count;
        }
        runs
    }
}

impl Collector for Census {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.engine.stats();
        let mut gauge = |name: &str, help: &str, value: usize| {
            ConstGauge::new(value as u64).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
        };
        gauge("sessions", "Sessions that are remembered.", stats.sessions)?;
        gauge("trees", "Sessions that have a tree.", stats.trees)?;
        gauge("tree_bytes", "Bytes of all rendered fragments, shared ones once.", stats.tree_bytes)?;
        gauge("symbol_bytes", "Bytes of the dictionary of repeated texts.", stats.symbol_bytes)?;
        gauge("connections", "Open connections of consumers and tabs.", stats.connections)?;
        gauge("subscriptions", "Subscriptions of all connections.", stats.subscriptions)?;
        gauge("tabs", "Mounted browser tabs.", stats.tabs)?;
        gauge("outbox_bytes", "Bytes of answers that wait for their sockets.", stats.outbox_bytes)?;

        let mut counter = |name: &str, help: &str, value: u64| {
            ConstCounter::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
        };
        counter(
            "evaluations_shared",
            "Runs that were spared because a result could be shared.",
            stats.shared_evaluations,
        )?;
        counter("commits", "Trees that changed.", stats.commits)?;
        counter("diffs", "Comparisons of two fragments.", stats.diffs)?;
        counter("encodes", "Fragments written as JSON.", stats.encodes)?;

        let help = "Runs of descriptor functions.";
        let mut family = encoder.encode_descriptor("evaluations", help, None, MetricType::Counter)?;
        for (path, count) in self.by_label(stats.evaluations) {
            ConstCounter::new(count).encode(family.encode_family(&[("path", path)])?)?;
        }
        Ok(())
    }
}
