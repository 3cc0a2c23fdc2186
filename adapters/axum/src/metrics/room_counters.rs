//! Counters of the events of rooms, of runs and of what is kept.

use grove_engine::Event;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use super::registration::{CounterBy, Registration, one, one_by};

/// Upper bounds of the buckets for the duration of a run, in seconds. A run may wait for people.
const RUN_SECONDS: [f64; 10] = [0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0];

/// The counters of the rooms of one engine.
#[derive(Debug)]
pub(super) struct RoomCounters {
    created: Counter,
    closed: CounterBy<&'static str>,
    refusals: CounterBy<&'static str>,
    joined: Counter,
    left: CounterBy<&'static str>,
    runs_started: Counter,
    run_retries: Counter,
    runs_ended: CounterBy<&'static str>,
    run_seconds: Histogram,
    run_tools: CounterBy<&'static str>,
    storage_failures: Counter,
    rooms_unreadable: Counter,
    storage_recoveries: Counter,
}

impl RoomCounters {
    /// Registers all counters, at zero.
    pub(super) fn register(new: &mut Registration<'_>) -> Self {
        Self {
            created: new.counter("rooms_created", "Rooms that were created"),
            closed: new.counter_by("rooms_closed", "Rooms that ended"),
            refusals: new.counter_by("room_refusals", "What sessions were refused in rooms"),
            joined: new.counter("participants_joined", "Sessions that joined a room"),
            left: new.counter_by("participants_left", "Sessions that left a room"),
            runs_started: new.counter("runs_started", "Runs that were dispatched to their agents"),
            run_retries: new.counter("run_retries", "Runs that were dispatched again"),
            runs_ended: new.counter_by("runs_ended", "Runs that ended"),
            run_seconds: new.histogram("run_seconds", "Duration of a run", &RUN_SECONDS),
            run_tools: new.counter_by("run_tools", "Tool calls of runs that returned"),
            rooms_unreadable: new.counter("rooms_unreadable", "Rooms of which something kept could not be read"),
            storage_failures: new.counter("storage_failures", "How often what happens in rooms could not be kept"),
            storage_recoveries: new.counter("storage_recoveries", "How often everything is kept again"),
        }
    }

    pub(super) fn count(&self, event: &Event) {
        match event {
            Event::RoomCreated { .. } => one(&self.created),
            Event::RoomClosed { reason, .. } => one_by(&self.closed, "reason", reason.as_str()),
            Event::RoomRefused { what, .. } => one_by(&self.refusals, "what", *what),
            Event::ParticipantJoined { .. } => one(&self.joined),
            Event::ParticipantLeft { reason, .. } => one_by(&self.left, "reason", reason.as_str()),
            Event::RunStarted { attempt, .. } if *attempt > 1 => one(&self.run_retries),
            Event::RunStarted { .. } => one(&self.runs_started),
            Event::RunEnded { status, duration_ms, .. } => {
                one_by(&self.runs_ended, "outcome", status.as_str());
                self.run_seconds.observe(*duration_ms as f64 / 1e3);
            }
            Event::RunToolReturned { ok, .. } => one_by(&self.run_tools, "status", if *ok { "ok" } else { "failed" }),
            Event::StorageFailed { .. } => one(&self.storage_failures),
            Event::RoomUnreadable { .. } => one(&self.rooms_unreadable),
            Event::StorageRecovered { .. } => one(&self.storage_recoveries),
            // `docs/metrics.md` says of each of the others why it is not counted.
            _ => {}
        }
    }
}
