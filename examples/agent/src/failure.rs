//! Why the agent gave up, in sentences for the person at the terminal.

use std::time::Duration;
use std::{fmt, io};

use crate::refusal::Refusal;

/// Why the agent gave up.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server did not open a WebSocket.
    Refused(Refusal),
    /// There is no connection; a sentence that says why, without the token.
    Unreachable(String),
    /// The first message was not a hello.
    NotSlop,
    /// The server closed the connection, with the code and reason of its close frame if it sent one.
    Closed(Option<(u16, String)>),
    /// No reply within this time.
    Timeout(Duration),
    /// The provider replied to a request with an error.
    Provider { code: String, message: String },
    /// An action failed.
    Action { code: String, message: String },
    /// A patch is missing; only a new connection recovers from that.
    Gap,
    /// Our own output cannot be written.
    Output(io::Error),
}

impl Failure {
    /// Whether trying again later may help.
    pub(crate) const fn is_temporary(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_temporary(),
            // 1008: the server does not want us. 1009: the same message would be too large again. 4401: the login is over.
            Self::Closed(Some((1008 | 1009 | 4401, _))) => false,
            Self::Unreachable(_) | Self::Closed(_) | Self::Timeout(_) | Self::Gap => true,
            Self::NotSlop | Self::Provider { .. } | Self::Action { .. } | Self::Output(_) => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Unreachable(why) => write!(f, "cannot connect: {why}"),
            Self::NotSlop => f.write_str("the server speaks WebSocket, but not SLOP: its first message is not a hello"),
            Self::Closed(None) => f.write_str("the server closed the connection without a reason"),
            Self::Closed(Some((code, reason))) => write_close(f, *code, reason),
            Self::Timeout(time) => {
                write!(f, "no reply within {} s; give the server more time with --timeout", time.as_secs())
            }
            Self::Provider { code, message } => write!(f, "{code}: {message}"),
            Self::Action { code, message } => write!(f, "the action failed, {code}: {message}"),
            Self::Gap => f.write_str("a patch is missing; connect again for a whole tree"),
            Self::Output(error) => write!(f, "cannot write the output: {error}"),
        }
    }
}

fn write_close(f: &mut fmt::Formatter<'_>, code: u16, reason: &str) -> fmt::Result {
    let meaning = match code {
        1001 => "it is shutting down; try again later",
        1008 => "access was revoked or a rule was broken",
        1009 => "the message was too large; most servers accept 64 KB, so send less in one call",
        1013 => "it is overloaded, or this agent reads too slowly; try again later",
        4401 => "the login has ended; connect with a new token",
        _ => "",
    };
    write!(f, "the server closed the connection ({code}")?;
    for part in [reason, meaning].into_iter().filter(|part| !part.is_empty()) {
        write!(f, ": {part}")?;
    }
    f.write_str(")")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_is_explained() {
        let said = |code, reason: &str| Failure::Closed(Some((code, reason.to_owned()))).to_string();
        assert!(said(1009, "").contains("too large; most servers accept 64 KB"), "{}", said(1009, ""));
        assert_eq!(said(1000, "bye"), "the server closed the connection (1000: bye)");
        assert_eq!(said(4000, ""), "the server closed the connection (4000)");
    }

    #[test]
    fn a_time_is_in_seconds() {
        assert!(Failure::Timeout(Duration::from_secs(30)).to_string().contains("within 30 s"));
    }
}
