//! Why a program cannot work.

use std::fmt;

/// Why a program cannot work: something that does not change by trying again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerError {
    /// The address or the credential cannot be used.
    Address(String),
    /// The server refused the connection: 401 if it does not know the credential, 403, 404 or 426.
    Refused {
        /// The status of its response.
        status: u16,
    },
    /// The server does not take this program as one of its agents.
    NotAccepted {
        /// The agent's name.
        agent: String,
        /// `unauthorized`, `invalid_params` or `bad_request`.
        code: String,
        /// A sentence.
        message: String,
    },
}

impl fmt::Display for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(why) => write!(f, "the server's address or the credential cannot be used: {why}"),
            Self::Refused { status } => write!(f, "the server refused the connection with status {status}"),
            Self::NotAccepted { agent, code, message } => {
                write!(f, "the server does not take this program as the agent `{agent}`: {message} ({code})")
            }
        }
    }
}

impl std::error::Error for WorkerError {}
