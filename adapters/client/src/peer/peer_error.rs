//! Why a peer has no link.

use std::fmt;

/// Why no link could be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerError {
    /// The address cannot be used; trying again changes nothing.
    Address(String),
    /// The server cannot be reached now.
    Unreachable(String),
    /// The server answers, but not with a link: 404 if it has no peers.
    NoLink {
        /// The status of its response.
        status: u16,
    },
    /// The challenge was not answered, for this reason of the caller's.
    NotAnswered(String),
    /// The server refused the peer.
    Refused {
        /// The code, such as `unauthorized`; see peers 3.
        code: String,
        /// A sentence.
        message: String,
    },
    /// The server says something else than what it should.
    Unexpected(String),
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(why) => write!(f, "the server's address cannot be used: {why}"),
            Self::Unreachable(why) => write!(f, "the server cannot be reached: {why}"),
            Self::NoLink { status } => write!(f, "the server has no link for peers there (status {status})"),
            Self::NotAnswered(why) => write!(f, "the server's challenge was not answered: {why}"),
            Self::Refused { code, message } => write!(f, "the server refused: {message} ({code})"),
            Self::Unexpected(why) => write!(f, "the server does not speak as it should: {why}"),
        }
    }
}

impl std::error::Error for PeerError {}

/// A link has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerLinkEnded {
    /// The code with which the server closed it; none if it was lost.
    pub code: Option<u16>,
    /// The reason that the server gave.
    pub reason: String,
}

impl PeerLinkEnded {
    pub(super) fn lost() -> Self {
        Self { code: None, reason: String::new() }
    }
}

impl fmt::Display for PeerLinkEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "the server closed the link: {} ({code})", self.reason),
            None => f.write_str("the link is lost"),
        }
    }
}

impl std::error::Error for PeerLinkEnded {}
