//! Why a request to another instance has no reply.

use std::error::Error;
use std::fmt;

/// Why a request to another instance has no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// No instance has that name. It was not received.
    NoInstance,
    /// There is no connection. It was not sent.
    Away,
    /// It is larger than what can be carried. It was not sent.
    TooLarge,
    /// There was no reply in time. It may have been received.
    TimedOut,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoInstance => "no instance has that name",
            Self::Away => "there is no connection to the other instances",
            Self::TooLarge => "the request is larger than what can be carried",
            Self::TimedOut => "the instance did not reply in time",
        })
    }
}

impl Error for RequestError {}
