//! What a provider must not send.

use std::fmt;

use super::message_id::MessageId;
use super::mirror_error::MirrorError;

/// A message that breaks the protocol.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ConsumerError {
    /// Something came before `hello`.
    HelloExpected,
    /// `hello` came again and nobody asked for it.
    SecondHello,
    /// A message is about a subscription that nobody asked for.
    UnknownSubscription(MessageId),
    /// A version goes back on one connection.
    VersionDecreased {
        /// The version so far.
        from: u64,
        /// The version of the message.
        to: u64,
    },
    /// A message does not fit the copy of a subscription.
    Mirror(MessageId, MirrorError),
}

impl fmt::Display for ConsumerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HelloExpected => f.write_str("a message came before `hello`"),
            Self::SecondHello => f.write_str("`hello` came again without being asked for"),
            Self::UnknownSubscription(id) => write!(f, "a message came for `{id}`, which is no subscription"),
            Self::VersionDecreased { from, to } => write!(f, "the version went back from {from} to {to}"),
            Self::Mirror(id, error) => write!(f, "the copy of `{id}`: {error}"),
        }
    }
}

impl std::error::Error for ConsumerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Mirror(_, error) => Some(error),
            _ => None,
        }
    }
}
