//! What has happened, counted event by event.

use grove_engine::{CallStatus, ErrorCode, Event};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

/// Upper bounds of the classes of passes, in seconds.
const PASS_SECONDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Upper bounds of the classes of calls, in seconds. A call may wait for a person or another system.
const INVOKE_SECONDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Upper bounds of the classes of passes by how many sessions they looked at.
const PASS_SESSIONS: [f64; 6] = [1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0];

/// A counter for each value of one label.
type By<V> = Family<[(&'static str, V); 1], Counter>;

/// The counters of one engine. Counting takes a few nanoseconds: it is done wherever events happen.
#[derive(Debug)]
pub(super) struct Tally {
    sessions_opened: Counter,
    sessions_closed: By<&'static str>,
    revocations: By<&'static str>,
    evictions: By<&'static str>,
    connects: Counter,
    disconnects: By<&'static str>,
    resumes: Counter,
    refusals: By<u16>,
    pass_seconds: Histogram,
    pass_sessions: Histogram,
    source_failures: Counter,
    mended: Counter,
    snapshots: Frames,
    patches: Frames,
    compactions: Counter,
    invokes: By<&'static str>,
    invoke_seconds: Histogram,
    panics: By<&'static str>,
    limits_reached: By<&'static str>,
}

/// Frames of one kind.
#[derive(Debug)]
struct Frames {
    count: Counter,
    bytes: Counter,
}

impl Tally {
    /// Counters at zero that `registry` writes.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let frames: By<&str> = add(registry, "frames", "Snapshots and patches written", By::default());
        let bytes: By<&str> = add(registry, "frame_bytes", "Bytes of snapshots and patches written", By::default());
        let frames = |kind| Frames {
            count: frames.get_or_create_owned(&[("kind", kind)]),
            bytes: bytes.get_or_create_owned(&[("kind", kind)]),
        };
        let (snapshots, patches) = (frames("snapshot"), frames("patch"));
        let seconds = |bounds: &[f64]| Histogram::new(bounds.iter().copied());
        Self {
            sessions_opened: add(registry, "sessions_opened", "Sessions that were opened", Counter::default()),
            sessions_closed: add(registry, "sessions_closed", "Sessions that were forgotten", By::default()),
            revocations: add(registry, "revocations", "Revocations", By::default()),
            evictions: add(registry, "evictions", "Trees that were dropped, their sessions kept", By::default()),
            connects: add(registry, "connects", "Connections that were opened", Counter::default()),
            disconnects: add(registry, "disconnects", "Connections that ended", By::default()),
            resumes: add(registry, "resumes", "Subscriptions that went on from copies", Counter::default()),
            refusals: add(registry, "refusals", "Upgrades that were refused", By::default()),
            pass_seconds: add(registry, "pass_seconds", "Time of a refresh pass", seconds(&PASS_SECONDS)),
            pass_sessions: add(registry, "pass_sessions", "Sessions of a refresh pass", seconds(&PASS_SESSIONS)),
            source_failures: add(registry, "source_failures", "Descriptor functions that failed", Counter::default()),
            mended: add(registry, "mended", "Nodes that had to be mended", Counter::default()),
            snapshots,
            patches,
            compactions: add(registry, "compactions", "Views too large that were compacted", Counter::default()),
            invokes: add(registry, "invokes", "Actions that were invoked and answered", By::default()),
            invoke_seconds: add(registry, "invoke_seconds", "Time of a call", seconds(&INVOKE_SECONDS)),
            panics: add(registry, "panics", "Panics of the application's functions", By::default()),
            limits_reached: add(registry, "limits_reached", "Bounds that were reached", By::default()),
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
            Event::SourceFailed { .. } => one(&self.source_failures),
            Event::Sanitised { .. } => one(&self.mended),
            Event::SnapshotSent { bytes, .. } => self.snapshots.count(*bytes),
            Event::PatchSent { bytes, .. } => self.patches.count(*bytes),
            Event::Compacted { .. } => one(&self.compactions),
            Event::Invoked { status, took_us, .. } => {
                one_by(&self.invokes, "status", known_status(status));
                self.invoke_seconds.observe(seconds(*took_us));
            }
            Event::Panicked { what, .. } => one_by(&self.panics, "what", what.as_str()),
            Event::LimitReached { limit, .. } => one_by(&self.limits_reached, "limit", limit.as_str()),
            // Evaluations and commits are in the census, and so is how many tabs there are.
            _ => {}
        }
    }
}

impl Frames {
    fn count(&self, bytes: usize) {
        self.count.inc();
        self.bytes.inc_by(bytes as u64);
    }
}

fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn one(counter: &Counter) {
    counter.inc();
}

fn one_by<V>(family: &By<V>, label: &'static str, value: V)
where
    V: Clone + std::hash::Hash + Eq,
{
    family.get_or_create(&[(label, value)]).inc();
}

/// An application may have any number of codes of its own; they count as one.
fn known_status(status: &CallStatus) -> &'static str {
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
