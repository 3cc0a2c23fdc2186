//! How many there may be of each thing.

use std::num::NonZeroU32;

use super::error::{ConfigError, at_most, positive};

/// A rate above it cannot be told from none.
const FASTEST: usize = 1_000_000;

/// Counts. A name says its scope: `tabs` is in all, `tabs_per_user` counts for each user.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// How many sessions may be open. Default 200,000. One more is refused.
    pub sessions: usize,
    /// How many sessions of one user may be open. Default 256. For one more, the user's own session that has been without
    /// a connection for longest is evicted; if all have one, it is refused.
    pub sessions_per_user: usize,
    /// How many connections there may be in all. Default 50,000. One more is refused.
    pub connections: usize,
    /// How many connections one session may have. Default 256. One more is refused.
    pub connections_per_session: usize,
    /// How many connections one user may have. Default 1,024. One more is refused.
    pub connections_per_user: usize,
    /// How many subscriptions there may be in all. Default 200,000. One more is answered with `busy`.
    pub subscriptions: usize,
    /// How many subscriptions one connection may have. Default 64. One more is answered with `busy`.
    pub subscriptions_per_connection: usize,
    /// How many subscriptions the connections of one session may have. Default 1,024. One more is answered with `busy`.
    pub subscriptions_per_session: usize,
    /// How many subscriptions the connections of one user may have. Default 4,096. One more is answered with `busy`.
    pub subscriptions_per_user: usize,
    /// How many calls may run at once in all. Default 10,000. One more is answered with `busy`.
    pub calls: usize,
    /// How many calls of one connection may run at once, and queries that wait for something to be rendered or loaded.
    /// Default 64. One more is answered with `busy`.
    pub calls_per_connection: usize,
    /// How many calls of one session may run at once. Default 256. One more is answered with `busy`. Calls of connections
    /// that ended count as long as they run.
    pub calls_per_session: usize,
    /// How many calls of one user may run at once. Default 512. One more is answered with `busy`.
    pub calls_per_user: usize,
    /// How many ids of invokes are remembered per connection, so that a frame that is sent twice does not act twice.
    /// Default 1,024, of 8 bytes each. The oldest is forgotten first, and would run again.
    pub call_ids_per_connection: usize,
    /// How many resume points of ended connections one session keeps. Default 16. The oldest is evicted first; its
    /// consumer gets a snapshot.
    pub resume_points_per_session: usize,
    /// How many revocations of sessions are kept, and as many of users and of attributes. Default 1,000,000 of each kind,
    /// at about 20 to 40 bytes. None is forgotten that has no end ([`Revocation::until`](crate::Revocation::until),
    /// [`times.credential_lifetime`](super::Times::credential_lifetime)): for one more, whoever is connected is closed, and
    /// from then on no session that is not open is let in until that one's end, or the process restarts.
    pub revocations: usize,
    /// How many browser tabs there may be in all. Default 20,000. One more is refused.
    pub tabs: usize,
    /// How many browser tabs one session may have. Default 16. One more is refused.
    pub tabs_per_session: usize,
    /// How many browser tabs one user may have. Default 64. One more is refused.
    pub tabs_per_user: usize,
    /// How many tasks of one session may run at once. Default 32. One more is refused with `busy`. As many that ended are
    /// shown; the oldest is removed first.
    pub tasks_per_session: usize,
    /// How many messages a peer may send per second, on average, with a burst of as many. Default 200; `None` is no
    /// limit. What is over is answered with `busy`; peers that continue are disconnected (1008).
    pub messages_per_second: Option<NonZeroU32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 200_000,
            sessions_per_user: 256,
            connections: 50_000,
            connections_per_session: 256,
            connections_per_user: 1_024,
            subscriptions: 200_000,
            subscriptions_per_connection: 64,
            subscriptions_per_session: 1_024,
            subscriptions_per_user: 4_096,
            calls: 10_000,
            calls_per_connection: 64,
            calls_per_session: 256,
            calls_per_user: 512,
            call_ids_per_connection: 1_024,
            resume_points_per_session: 16,
            revocations: 1_000_000,
            tabs: 20_000,
            tabs_per_session: 16,
            tabs_per_user: 64,
            tasks_per_session: 32,
            messages_per_second: NonZeroU32::new(200),
        }
    }
}

impl Limits {
    /// Zero switches off what is optional (tabs, tasks, resume points, remembered call ids); without sessions,
    /// connections, subscriptions or calls there is no provider.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        positive("limits.sessions", self.sessions)?;
        positive("limits.sessions_per_user", self.sessions_per_user)?;
        positive("limits.connections", self.connections)?;
        positive("limits.connections_per_session", self.connections_per_session)?;
        positive("limits.connections_per_user", self.connections_per_user)?;
        positive("limits.subscriptions", self.subscriptions)?;
        positive("limits.subscriptions_per_connection", self.subscriptions_per_connection)?;
        positive("limits.subscriptions_per_session", self.subscriptions_per_session)?;
        positive("limits.subscriptions_per_user", self.subscriptions_per_user)?;
        positive("limits.calls", self.calls)?;
        positive("limits.calls_per_connection", self.calls_per_connection)?;
        positive("limits.calls_per_session", self.calls_per_session)?;
        positive("limits.calls_per_user", self.calls_per_user)?;
        positive("limits.revocations", self.revocations)?;
        let rate = self.messages_per_second.map_or(1, NonZeroU32::get) as usize;
        at_most("limits.messages_per_second", rate, FASTEST, "must be at most 1,000,000; `None` is no limit")
    }
}
