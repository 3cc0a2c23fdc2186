//! Counters of the engine's events.

use grove_engine::{CallStatus, ErrorCode, Event};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::cluster_counters::ClusterCounters;
use super::registration::{CounterBy, Registration, one, one_by};
use super::room_counters::RoomCounters;

/// Upper bounds of the buckets for the duration of a pass, in seconds.
const PASS_SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Upper bounds of the buckets for the duration of a call, in seconds. A call may wait for a person or another system.
const INVOKE_SECONDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Upper bounds of the buckets for the number of sessions that a pass covers.
const PASS_SESSIONS: [f64; 6] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0];

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
    session_conflicts: Counter,
    resume_points_evicted: Counter,
    refreshes_refused: Counter,
    rooms: RoomCounters,
    cluster: ClusterCounters,
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
            session_conflicts: new
                .counter("session_conflicts", "Credentials of other users under the ids of open sessions"),
            resume_points_evicted: new
                .counter("resume_points_evicted", "Subscriptions that cannot resume since a session had too many"),
            refreshes_refused: new.counter("refreshes_refused", "Refreshes that descriptor functions asked for"),
            rooms: RoomCounters::register(&mut new),
            cluster: ClusterCounters::register(&mut new),
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
            Event::SessionConflict { .. } => one(&self.session_conflicts),
            Event::ResumePointsEvicted { subscriptions, .. } => {
                self.resume_points_evicted.inc_by(*subscriptions as u64);
            }
            Event::RefreshRefused { requests, .. } => {
                self.refreshes_refused.inc_by(*requests);
            }
            Event::Cluster(what) => self.cluster.count(what),
            of_rooms => self.rooms.count(of_rooms),
        }
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
