//! Why the agent gave up, in words for the person at the terminal.

use std::time::Duration;
use std::{fmt, io};

/// Why the agent gave up.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server answered the upgrade with this HTTP status.
    Refused(u16),
    /// No connection; the reason, without the token.
    Unreachable(String),
    /// The first message was not a hello.
    NotSlop,
    /// The server closed the connection.
    Closed,
    /// No answer in this time.
    Timeout(Duration),
    /// The provider answered a request with an error.
    Provider { code: String, message: String },
    /// An action failed.
    Action { code: String, message: String },
    /// A patch went missing; only a new connection recovers from that.
    LostTrack,
    /// Our own output cannot be written.
    Output(io::Error),
}

impl Failure {
    /// Whether trying again later may help.
    pub(crate) const fn is_passing(&self) -> bool {
        match self {
            Self::Refused(status) => *status >= 500,
            Self::Unreachable(_) | Self::Closed | Self::Timeout(_) | Self::LostTrack => true,
            Self::NotSlop | Self::Provider { .. } | Self::Action { .. } | Self::Output(_) => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(401) => f.write_str(
                "refused (401): the token is missing, unknown or expired. \
                 `cargo run --release -p desk` prints a line `token NAME TOKEN` for each person when it starts; \
                 pass one with --token or in SLOP_TOKEN",
            ),
            Self::Refused(403) => f.write_str("refused (403): the server does not allow this origin"),
            Self::Refused(404) => f.write_str("refused (404): nothing speaks SLOP there; the path is usually /slop"),
            Self::Refused(503) => f.write_str("refused (503): the server is full or going down; try again later"),
            Self::Refused(status) => write!(f, "refused ({status})"),
            Self::Unreachable(why) => write!(f, "cannot connect: {why}"),
            Self::NotSlop => f.write_str("the server does not say hello the way SLOP does"),
            Self::Closed => f.write_str("the server closed the connection"),
            Self::Timeout(time) => write!(f, "no answer within {time:?}"),
            Self::Provider { code, message } => write!(f, "{code}: {message}"),
            Self::Action { code, message } => write!(f, "the action failed, {code}: {message}"),
            Self::LostTrack => f.write_str("a patch is missing; connect again for a whole tree"),
            Self::Output(error) => write!(f, "cannot write the output: {error}"),
        }
    }
}
