//! What happens to the connection.

use std::fmt;

/// What happens to the connection, for the operator. `Display` is a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NatsEvent {
    /// There is a connection, for the first time or again.
    Connected {
        /// The server's name.
        server: String,
        /// The server's version.
        version: String,
    },
    /// There is no connection. It is tried again for ever.
    Disconnected {
        /// The reason, as the client knows it.
        why: String,
    },
    /// The server is too old for something that is not needed for notices and requests.
    OldServer {
        /// The server's version.
        version: String,
        /// What it is too old for.
        what: &'static str,
    },
    /// The server asks its clients to go elsewhere, since it will end soon.
    ServerEnding,
    /// The server refuses a subscription for lack of a permission.
    SubscribeRefused {
        /// The subject.
        subject: String,
    },
    /// The server refuses a publication for lack of a permission.
    PublishRefused {
        /// The subject.
        subject: String,
    },
    /// Something else that the server or the client complains about.
    Error {
        /// What it says.
        what: String,
    },
    /// Messages were not sent: how many since the last such event. At most one such event per second.
    NotSent {
        /// Those for which the queue had no place.
        full: u64,
        /// Those published while there was no connection.
        away: u64,
        /// Those that the server would not have accepted for their size.
        too_large: u64,
    },
    /// Messages of other instances were dropped, since the engine did not take them fast enough.
    TooSlow,
}

impl fmt::Display for NatsEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { server, version } => write!(f, "connected to the server {server}, version {version}"),
            Self::Disconnected { why } => write!(f, "there is no connection to a server: {why}"),
            Self::OldServer { version, what } => write!(f, "the server's version {version} is too old for {what}"),
            Self::ServerEnding => f.write_str("the server will end soon"),
            Self::SubscribeRefused { subject } => write!(f, "the permissions do not allow to subscribe to `{subject}`"),
            Self::PublishRefused { subject } => write!(f, "the permissions do not allow to publish on `{subject}`"),
            Self::Error { what } => write!(f, "the connection reports: {what}"),
            Self::NotSent { full, away, too_large } => write!(
                f,
                "messages were not sent: {full} for a full queue, {away} without a connection, {too_large} for their size"
            ),
            Self::TooSlow => {
                f.write_str("messages of other instances were dropped, since they were not taken fast enough")
            }
        }
    }
}
