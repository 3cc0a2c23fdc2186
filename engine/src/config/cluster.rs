//! How instances of one application keep each other up to date.

use std::time::Duration;

use super::error::{ConfigError, at_least, duration, interval, permits, positive};

/// The bounds of a cluster. They matter only if there are other instances (`EngineBuilder::cluster`). All instances should
/// have the same.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClusterLimits {
    /// How often an instance says that it lives, and how far it has counted. Default 5 s.
    pub heartbeat_interval: Duration,
    /// How often it says so for a while after it has published anything, and while another instance is silent that was
    /// there. Default 500 ms; at most [`heartbeat_interval`](Self::heartbeat_interval). What was lost is noticed by it.
    pub repeat_interval: Duration,
    /// After how much silence an instance is suspect. Default 10 s; longer than
    /// [`heartbeat_interval`](Self::heartbeat_interval).
    pub suspect_after: Duration,
    /// After how much silence an instance is gone. Default 15 s; longer than [`suspect_after`](Self::suspect_after).
    pub gone_after: Duration,
    /// How long further notices gather after one was published. Default 2 ms. The first goes at once.
    pub gather: Duration,
    /// How many notices may wait meanwhile. Default 1,000. With one more, those of its project become one that means all
    /// sessions of the project.
    pub waiting_notices: usize,
    /// How long it is waited for further losses before what was missed is repaired. Default 100 ms.
    pub repair_delay: Duration,
    /// How long after a repair the same is not repaired again. Default 1 s.
    pub repair_interval: Duration,
    /// How long a notice waits for the commit that it names, and after what time it is looked again if nobody can wait for
    /// it. Default 1 s.
    pub commit_wait: Duration,
    /// How many notices may wait for their commits. Default 1,000. One more is rendered at once, and again after
    /// [`commit_wait`](Self::commit_wait).
    pub commit_waits: usize,
    /// How long a message may be, in bytes. Default 256 KiB, at least 4 KiB. A longer one is dropped, and what it may have
    /// said is repaired.
    pub message_bytes: usize,
    /// How many instances may be known. Default 256. One more is not listened to.
    pub instances: usize,
    /// How many requests to other instances may be in flight, and as many of others. Default 256. One more is refused.
    pub requests: usize,
    /// How many revocations, withdrawals of them, and ends of sessions are kept for other instances. Default 1,000,000, at
    /// about 200 bytes. One more holds here and where it is heard at once, and can be asked for by nobody.
    pub decisions: usize,
    /// How long another instance may take to reply. Default 2 s.
    pub request_timeout: Duration,
}

impl Default for ClusterLimits {
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_secs(5),
            repeat_interval: Duration::from_millis(500),
            suspect_after: Duration::from_secs(10),
            gone_after: Duration::from_secs(15),
            gather: Duration::from_millis(2),
            waiting_notices: 1_000,
            repair_delay: Duration::from_millis(100),
            repair_interval: Duration::from_secs(1),
            commit_wait: Duration::from_secs(1),
            commit_waits: 1_000,
            message_bytes: 256 << 10,
            instances: 256,
            requests: 256,
            decisions: 1_000_000,
            request_timeout: Duration::from_secs(2),
        }
    }
}

impl ClusterLimits {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        interval("cluster.heartbeat_interval", self.heartbeat_interval)?;
        interval("cluster.repeat_interval", self.repeat_interval)?;
        let longer = |field, shorter, longer: Duration, problem| {
            if longer > shorter { duration(field, longer) } else { Err(ConfigError::new(field, problem)) }
        };
        if self.repeat_interval > self.heartbeat_interval {
            let problem = "must be at most `cluster.heartbeat_interval`";
            return Err(ConfigError::new("cluster.repeat_interval", problem));
        }
        let problem = "must be longer than `cluster.heartbeat_interval`: whoever lives is heard that often";
        longer("cluster.suspect_after", self.heartbeat_interval, self.suspect_after, problem)?;
        let problem = "must be longer than `cluster.suspect_after`";
        longer("cluster.gone_after", self.suspect_after, self.gone_after, problem)?;
        duration("cluster.gather", self.gather)?;
        positive("cluster.waiting_notices", self.waiting_notices)?;
        duration("cluster.repair_delay", self.repair_delay)?;
        duration("cluster.repair_interval", self.repair_interval)?;
        duration("cluster.commit_wait", self.commit_wait)?;
        at_least("cluster.message_bytes", self.message_bytes, 4 << 10, "must be at least 4 KiB")?;
        positive("cluster.instances", self.instances)?;
        permits("cluster.requests", self.requests)?;
        positive("cluster.decisions", self.decisions)?;
        interval("cluster.request_timeout", self.request_timeout)
    }
}
