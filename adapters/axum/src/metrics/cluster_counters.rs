//! Counters of what happens between instances.

use grove_engine::ClusterEvent;
use prometheus_client::metrics::counter::Counter;

use super::registration::{CounterBy, Registration, one, one_by};

/// The counters of one engine.
#[derive(Debug)]
pub(super) struct ClusterCounters {
    instances: CounterBy<&'static str>,
    connections: Counter,
    disconnections: Counter,
    refusals: CounterBy<&'static str>,
    dropped: CounterBy<&'static str>,
    resyncs: CounterBy<&'static str>,
}

impl ClusterCounters {
    pub(super) fn register(new: &mut Registration<'_>) -> Self {
        Self {
            instances: new.counter_by("instance_changes", "Other instances that were seen, suspect or gone"),
            connections: new.counter("bus_connections", "Connections to the other instances"),
            disconnections: new.counter("bus_disconnections", "Lost connections to the other instances"),
            refusals: new.counter_by("bus_refusals", "Subscriptions that were refused"),
            dropped: new.counter_by("bus_messages_dropped", "Messages of other instances that could not be used"),
            resyncs: new.counter_by("resyncs", "Repairs of what was or may have been missed"),
        }
    }

    pub(super) fn count(&self, event: &ClusterEvent) {
        match event {
            ClusterEvent::InstanceSeen { .. } => one_by(&self.instances, "to", "seen"),
            ClusterEvent::InstanceSuspect { .. } => one_by(&self.instances, "to", "suspect"),
            ClusterEvent::InstanceGone { .. } => one_by(&self.instances, "to", "gone"),
            ClusterEvent::Connected => one(&self.connections),
            ClusterEvent::Disconnected { .. } => one(&self.disconnections),
            ClusterEvent::Refused { topic, .. } => one_by(&self.refusals, "topic", *topic),
            ClusterEvent::MessageDropped { topic, messages, .. } => {
                self.dropped.get_or_create_owned(&[("topic", *topic)]).inc_by(*messages);
            }
            ClusterEvent::Resynced { cause, .. } => one_by(&self.resyncs, "cause", cause.as_str()),
            // A newer engine may report more.
            _ => {}
        }
    }
}
