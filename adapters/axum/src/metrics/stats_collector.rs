//! The engine's statistics, collected at each scrape.

use std::collections::BTreeMap;
use std::fmt;

use grove_engine::{Engine, RoomStats, Stats};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::path_labels::PathLabels;

/// The label of what is registered for one session alone: such a path may name the session. No registered path looks
/// like it.
const OWN_PATHS: &str = "own";

/// Reads the engine's statistics when Prometheus asks.
#[derive(Debug)]
pub(super) struct StatsCollector {
    engine: Engine,
    labels: PathLabels,
}

impl StatsCollector {
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine, labels: PathLabels::default() }
    }
}

impl Collector for StatsCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.engine.stats();
        encode_gauges(&mut encoder, &stats)?;
        encode_counters(&mut encoder, &stats)?;
        encode_rooms(&mut encoder, &self.engine.rooms().stats())?;
        let mut evaluations = self.labels.sum_by_label(stats.evaluations);
        if stats.own_evaluations > 0 {
            evaluations.insert(OWN_PATHS.to_owned(), stats.own_evaluations);
        }
        encode_evaluations(&mut encoder, evaluations)
    }
}

fn encode_gauges(encoder: &mut DescriptorEncoder<'_>, stats: &Stats) -> fmt::Result {
    let mut gauge = |name: &str, help: &str, value: usize| {
        ConstGauge::new(value as u64).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
    };
    gauge("sessions", "Open sessions.", stats.sessions)?;
    gauge("trees", "Sessions that have a tree.", stats.trees)?;
    gauge("tree_bytes", "Bytes of all rendered fragments, shared ones counted once.", stats.tree_bytes)?;
    gauge("dictionary_bytes", "Bytes of the dictionary of repeated texts.", stats.dictionary_bytes)?;
    gauge("connections", "Open connections of consumers, tabs and remote agents.", stats.connections)?;
    gauge("subscriptions", "Subscriptions of all connections.", stats.subscriptions)?;
    gauge("tabs", "Mounted browser tabs.", stats.tabs)?;
    gauge("subscription_bytes", "Bytes of ids, paths and filters that subscriptions keep.", stats.subscription_bytes)?;
    let outbox = "Bytes of replies and events that wait for their sockets, and of what was loaded for queries.";
    gauge("outbox_bytes", outbox, stats.outbox_bytes)?;
    gauge("event_bytes", "Bytes of events that wait for their sockets.", stats.event_bytes)?;
    gauge("running_evaluations", "Descriptor functions that occupy a thread.", stats.running_evaluations)?;
    gauge("waiting_sessions", "Sessions that wait to be rendered.", stats.waiting_sessions)?;
    gauge("instances", "Instances that are there, this one included.", stats.instances)?;
    gauge("bus_connected", "Whether there is a connection to the others.", usize::from(stats.bus_connected))
}

fn encode_counters(encoder: &mut DescriptorEncoder<'_>, stats: &Stats) -> fmt::Result {
    let mut counter = |name: &str, help: &str, value: u64| {
        ConstCounter::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
    };
    let shared = "Runs that were saved because a result could be shared.";
    counter("evaluations_shared", shared, stats.shared_evaluations)?;
    counter("commits", "Trees that changed.", stats.commits)?;
    counter("diffs", "Comparisons of two fragments.", stats.diffs)?;
    counter("encodes", "Fragments encoded as JSON.", stats.encodes)?;
    let orders = "Views of which the nodes were put into the order in which budgets collapse them.";
    counter("collapse_orders", orders, stats.collapse_orders)?;
    counter("notices_received", "Notices of other instances.", stats.notices_in as u64)?;
    counter("notices_sent", "Notices that were given to other instances.", stats.notices_out as u64)
}

fn encode_rooms(encoder: &mut DescriptorEncoder<'_>, stats: &RoomStats) -> fmt::Result {
    let mut gauge = |name: &str, help: &str, value: usize| {
        ConstGauge::new(value as u64).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
    };
    let storage = stats.storage;
    gauge("rooms", "Rooms, those included that have ended and are still shown.", stats.rooms)?;
    gauge("participants", "Participants of all rooms.", stats.participants)?;
    gauge("room_memory_bytes", "Bytes that are kept in the memory of all rooms.", stats.memory_bytes)?;
    gauge("runs", "Runs that have not ended, those included that wait.", stats.runs)?;
    gauge("runs_waiting", "Runs that wait for others.", stats.queued)?;
    let links = "Links of remote agents, each counted for each agent that it is.";
    gauge("agent_links", links, stats.agent_links)?;
    gauge("storage_unwritten_bytes", "Bytes of changes that wait to be written.", storage.unwritten_bytes)?;
    gauge("storage_failing", "Whether the last commit has failed.", usize::from(storage.is_failing))?;
    gauge("storage_repairs", "What was repaired when the engine was built.", storage.repairs)?;
    let mut counter = |name: &str, help: &str, value: u64| {
        ConstCounter::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
    };
    counter("storage_changes", "Changes that were made durable.", storage.changes)?;
    counter("storage_commits", "Commits in which they were.", storage.commits)
}

fn encode_evaluations(encoder: &mut DescriptorEncoder<'_>, evaluations: BTreeMap<String, u64>) -> fmt::Result {
    let help = "Runs of descriptor functions.";
    let mut family = encoder.encode_descriptor("evaluations", help, None, MetricType::Counter)?;
    for (path, count) in evaluations {
        ConstCounter::new(count).encode(family.encode_family(&[("path", path)])?)?;
    }
    Ok(())
}
