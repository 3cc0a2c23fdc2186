//! The outcome of a reply.

/// Where a reply went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Into the inbox of a colleague who has a desk here.
    Inbox,
    /// Out of the house; this desk has no mail server, so the reply is only noted.
    Noted,
}
