//! Counters of the engine's events.

use std::fmt::Debug;
use std::hash::Hash;

use grove_engine::{CallStatus, ErrorCode, Event};
use prometheus_client::encoding::EncodeLabelValue;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

/// Upper bounds of the buckets for the duration of a pass, in seconds.
const PASS_SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Upper bounds of the buckets for the duration of a call, in seconds. A call may wait for a person or another system.
const INVOKE_SECONDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Upper bounds of the buckets for the number of sessions that a pass covers.
const PASS_SESSIONS: [f64; 6] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0];

/// A counter for each value of one label.
type CounterBy<V> = Family<[(&'static str, V); 1], Counter>;

/// The counters of one engine. Counting takes a few nanoseconds, since it happens inside the event's emitter.
#[derive(Debug)]
pub(super) struct EventCounters {
    sessions_opened: Counter,
    sessions_closed: CounterBy<&'static str>,
    revocations: CounterBy<&'static str>,
    evictions: CounterBy<&'static str>,
    connects: Counter,
    disconnects: CounterBy<&'static str>,
    resumes: Counter,
    refusals: CounterBy<u16>,
    pass_seconds: Histogram,
    pass_sessions: Histogram,
    source_failures: Counter,
    sanitised: Counter,
    snapshots: Frames,
    patches: Frames,
    compactions: Counter,
    invokes: CounterBy<&'static str>,
    invoke_seconds: Histogram,
    results_before_patch: Counter,
    panics: CounterBy<&'static str>,
    limits_reached: CounterBy<&'static str>,
    rooms_created: Counter,
    rooms_closed: CounterBy<&'static str>,
    room_refusals: CounterBy<&'static str>,
    participants_joined: Counter,
    participants_left: CounterBy<&'static str>,
}

/// Number and bytes of frames of one kind.
#[derive(Debug)]
struct Frames {
    count: Counter,
    bytes: Counter,
}

impl EventCounters {
    /// Registers all counters, at zero, with `registry`.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let mut new = Registration(registry);
        let frames = new.counter_by("frames", "Snapshots and patches written");
        let bytes = new.counter_by("frame_bytes", "Bytes of snapshots and patches written");
        Self {
            sessions_opened: new.counter("sessions_opened", "Sessions that were opened"),
            sessions_closed: new.counter_by("sessions_closed", "Sessions that ended"),
            revocations: new.counter_by("revocations", "Revocations"),
            evictions: new.counter_by("evictions", "Trees that were evicted while their sessions stayed"),
            connects: new.counter("connects", "Connections that were opened"),
            disconnects: new.counter_by("disconnects", "Connections that ended"),
            resumes: new.counter("resumes", "Subscriptions that resumed from their consumers' copies"),
            refusals: new.counter_by("refusals", "Upgrades that were refused"),
            pass_seconds: new.histogram("pass_seconds", "Duration of a refresh pass", &PASS_SECONDS),
            pass_sessions: new.histogram("pass_sessions", "Sessions that a refresh pass covered", &PASS_SESSIONS),
            source_failures: new.counter("source_failures", "Descriptor functions that failed"),
            sanitised: new.counter("sanitised", "Nodes that were sanitised"),
            snapshots: Frames::of("snapshot", &frames, &bytes),
            patches: Frames::of("patch", &frames, &bytes),
            compactions: new.counter("compactions", "Views that were too large and were compacted"),
            invokes: new.counter_by("invokes", "Calls completed"),
            invoke_seconds: new.histogram("invoke_seconds", "Duration of a call", &INVOKE_SECONDS),
            results_before_patch: new
                .counter("results_before_patch", "Results that did not wait for what their calls may have changed"),
            panics: new.counter_by("panics", "Panics of the application's functions"),
            limits_reached: new.counter_by("limits_reached", "Limits that were reached"),
            rooms_created: new.counter("rooms_created", "Rooms that were created"),
            rooms_closed: new.counter_by("rooms_closed", "Rooms that ended"),
            room_refusals: new.counter_by("room_refusals", "What sessions were refused in rooms"),
            participants_joined: new.counter("participants_joined", "Sessions that joined a room"),
            participants_left: new.counter_by("participants_left", "Sessions that left a room"),
        }
    }

    pub(super) fn count(&self, event: &Event) {
        match event {
            Event::SessionOpened { .. } => one(&self.sessions_opened),
            Event::SessionClosed { reason, .. } => one_by(&self.sessions_closed, "reason", reason.as_str()),
            Event::Revoked { whom, .. } => one_by(&self.revocations, "of", whom.kind()),
            Event::TreeEvicted { reason, .. } => one_by(&self.evictions, "reason", reason.as_str()),
            Event::Connected { .. } => one(&self.connects),
            Event::Disconnected { reason, .. } => one_by(&self.disconnects, "reason", reason.as_str()),
            Event::Resumed { .. } => one(&self.resumes),
            Event::Refused { status, .. } => one_by(&self.refusals, "status", *status),
            Event::PassFinished { sessions, took_us, .. } => {
                self.pass_seconds.observe(seconds(*took_us));
                self.pass_sessions.observe(*sessions as f64);
            }
            Event::SourceFailed { failures, .. } => {
                self.source_failures.inc_by(*failures);
            }
            Event::Sanitised { problems, .. } => {
                self.sanitised.inc_by(*problems);
            }
            Event::SnapshotSent { bytes, .. } => self.snapshots.count(*bytes),
            Event::PatchSent { bytes, .. } => self.patches.count(*bytes),
            Event::Compacted { .. } => one(&self.compactions),
            Event::Invoked { status, took_us, .. } => {
                one_by(&self.invokes, "status", status_label(status));
                self.invoke_seconds.observe(seconds(*took_us));
            }
            Event::ResultBeforePatch { .. } => one(&self.results_before_patch),
            Event::Panicked { what, .. } => one_by(&self.panics, "what", what.as_str()),
            Event::LimitReached { limit, .. } => one_by(&self.limits_reached, "limit", limit.as_str()),
            Event::RoomCreated { .. } => one(&self.rooms_created),
            Event::RoomClosed { reason, .. } => one_by(&self.rooms_closed, "reason", reason.as_str()),
            Event::RoomRefused { what, .. } => one_by(&self.room_refusals, "what", *what),
            Event::ParticipantJoined { .. } => one(&self.participants_joined),
            Event::ParticipantLeft { reason, .. } => one_by(&self.participants_left, "reason", reason.as_str()),
            // The statistics have evaluations, commits and the number of tabs.
            _ => {}
        }
    }
}

/// Creates metrics and registers them.
struct Registration<'a>(&'a mut Registry);

impl Registration<'_> {
    fn counter(&mut self, name: &str, help: &str) -> Counter {
        self.add(name, help, Counter::default())
    }

    fn counter_by<V: EncodeLabelValue + Clone + Hash + Eq + Debug + Send + Sync + 'static>(
        &mut self,
        name: &str,
        help: &str,
    ) -> CounterBy<V> {
        self.add(name, help, CounterBy::default())
    }

    fn histogram(&mut self, name: &str, help: &str, bounds: &[f64]) -> Histogram {
        self.add(name, help, Histogram::new(bounds.iter().copied()))
    }

    fn add<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }
}

impl Frames {
    fn of(kind: &'static str, counts: &CounterBy<&'static str>, bytes: &CounterBy<&'static str>) -> Self {
        let label = [("kind", kind)];
        Self { count: counts.get_or_create_owned(&label), bytes: bytes.get_or_create_owned(&label) }
    }

    fn count(&self, bytes: usize) {
        self.count.inc();
        self.bytes.inc_by(bytes as u64);
    }
}

fn one(counter: &Counter) {
    counter.inc();
}

fn one_by<V>(family: &CounterBy<V>, label: &'static str, value: V)
where
    V: Clone + Hash + Eq,
{
    family.get_or_create(&[(label, value)]).inc();
}

/// The label of a status. An application may have any number of codes of its own; they share one label.
fn status_label(status: &CallStatus) -> &'static str {
    match status {
        CallStatus::Ok => "ok",
        CallStatus::Accepted => "accepted",
        failed => {
            ErrorCode::ALL.map(ErrorCode::as_str).into_iter().find(|code| *code == failed.as_str()).unwrap_or("other")
        }
    }
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}
