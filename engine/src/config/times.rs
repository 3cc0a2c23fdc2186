//! How long things take or last.

use std::time::Duration;

use super::error::{ConfigError, duration, interval};

/// Delays, time-outs and lifetimes. The engine counts in whole milliseconds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Times {
    /// How long changes are gathered before one pass renders them. Default 50 ms; zero renders at once.
    pub debounce: Duration,
    /// How long after the upgrade `hello` is sent. Default 15 ms: some consumers lose what arrives together with the 101
    /// response (contract 1.1).
    pub hello_delay: Duration,
    /// How long after a snapshot its subscription gets no patch. Default 50 ms: some consumers register their mirror only
    /// then (contract 1.5).
    pub first_patch_delay: Duration,
    /// How long an authenticator may take. Default 10 s. Then the upgrade is answered with 503.
    pub authentication_timeout: Duration,
    /// How long a connection may be silent before it is pinged. Default 20 s.
    pub ping_interval: Duration,
    /// How long a connection may be silent, or accept nothing, before it is dropped. Default 60 s; longer than
    /// [`ping_interval`](Self::ping_interval).
    pub silence_timeout: Duration,
    /// How long the tree of a session without a connection is kept. Default 60 s. A return renders it again.
    pub idle_tree: Duration,
    /// How long a session without a connection is remembered. Default 30 minutes. A return opens it again.
    pub idle_session: Duration,
    /// How long a consumer that lost its socket may resume from its copy. Default 60 s; zero is never. Later it gets a
    /// snapshot.
    pub resume_window: Duration,
    /// How long before its expiry a session's consumers are sent `session.expiring`. Default 60 s.
    pub expiry_warning: Duration,
    /// How long a credential is valid at most after it was issued, if all have such a bound. Default `None`. Then the
    /// revocation of a session is forgotten after that time, when no credential of that session can be valid any more; that
    /// of an open session without an expiry is kept. With `None` all are kept
    /// ([`limits.revocations`](super::Limits::revocations)).
    pub credential_lifetime: Option<Duration>,
    /// How long a tab may take to answer a call. Default 20 s. Then the caller gets `internal`.
    pub tab_call_timeout: Duration,
    /// How long the node of an ended task stays. Default 60 s.
    pub ended_task_retention: Duration,
    /// How long the result of a call waits until the paths are rendered that it may have changed: those that its action
    /// declares, or what its own source shows. Default 2 s. Then the result goes and the patch follows; an event reports it.
    pub refresh_before_result: Duration,
    /// How long the result of a call whose action declares no paths waits for the rest of its session. Default 500 ms; no
    /// longer than [`refresh_before_result`](Self::refresh_before_result). Then the result waits for its own source alone;
    /// so do later ones, until the rest is rendered. An event reports it.
    pub rest_before_result: Duration,
    /// How long an async descriptor function may take, and how long other sessions wait for one that blocks. Default 10 s.
    /// Then the last good content of an async one stays, and an event reports it; one that blocks cannot be ended, but
    /// others evaluate for themselves, as far as `execution.slow_evaluations_per_path` allows.
    pub evaluation_timeout: Duration,
    /// How long a descriptor function may occupy a thread before another one takes its place, if anything waits for it.
    /// Default 100 ms.
    pub slow_evaluation: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            debounce: Duration::from_millis(50),
            hello_delay: Duration::from_millis(15),
            first_patch_delay: Duration::from_millis(50),
            authentication_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(20),
            silence_timeout: Duration::from_secs(60),
            idle_tree: Duration::from_secs(60),
            idle_session: Duration::from_secs(30 * 60),
            resume_window: Duration::from_secs(60),
            expiry_warning: Duration::from_secs(60),
            credential_lifetime: None,
            tab_call_timeout: Duration::from_secs(20),
            ended_task_retention: Duration::from_secs(60),
            refresh_before_result: Duration::from_secs(2),
            rest_before_result: Duration::from_millis(500),
            evaluation_timeout: Duration::from_secs(10),
            slow_evaluation: Duration::from_millis(100),
        }
    }
}

impl Times {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        duration("times.debounce", self.debounce)?;
        duration("times.hello_delay", self.hello_delay)?;
        duration("times.first_patch_delay", self.first_patch_delay)?;
        interval("times.authentication_timeout", self.authentication_timeout)?;
        interval("times.ping_interval", self.ping_interval)?;
        interval("times.silence_timeout", self.silence_timeout)?;
        if self.silence_timeout <= self.ping_interval {
            let problem = "must be longer than `times.ping_interval`: a peer that is alive has to answer a ping before";
            return Err(ConfigError::new("times.silence_timeout", problem));
        }
        duration("times.idle_tree", self.idle_tree)?;
        duration("times.idle_session", self.idle_session)?;
        duration("times.resume_window", self.resume_window)?;
        duration("times.expiry_warning", self.expiry_warning)?;
        duration("times.credential_lifetime", self.credential_lifetime.unwrap_or_default())?;
        interval("times.tab_call_timeout", self.tab_call_timeout)?;
        duration("times.ended_task_retention", self.ended_task_retention)?;
        duration("times.refresh_before_result", self.refresh_before_result)?;
        duration("times.rest_before_result", self.rest_before_result)?;
        interval("times.evaluation_timeout", self.evaluation_timeout)?;
        interval("times.slow_evaluation", self.slow_evaluation)
    }
}
