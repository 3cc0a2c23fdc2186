//! Every code that a consumer can meet, with what it should do then.

/// Codes of `error` messages and of results with status `error` (contract 1.7).
pub mod error {
    /// The frame cannot be understood. Mend the message; the connection goes on.
    pub const BAD_REQUEST: &str = "bad_request";
    /// The node or action does not exist for this session (any more). Look at the tree again.
    pub const NOT_FOUND: &str = "not_found";
    /// The parameters do not fit the action's schema. Mend them.
    pub const INVALID_PARAMS: &str = "invalid_params";
    /// The session may not do this. Do not try again.
    pub const UNAUTHORIZED: &str = "unauthorized";
    /// The state does not allow it now. Look at the tree again.
    pub const CONFLICT: &str = "conflict";
    /// Something broke on the provider's side. Trying once more may help.
    pub const INTERNAL: &str = "internal";
    /// The message is of a kind that this protocol version leaves open.
    pub const NOT_SUPPORTED: &str = "not_supported";
    /// Too many messages or calls at once. Wait a little.
    pub const BUSY: &str = "busy";
    /// What was asked for does not fit a frame. Ask for less: a path, a depth or a budget.
    pub const TOO_LARGE: &str = "too_large";
}

/// Codes with which a connection closes.
pub mod close {
    /// Both sides are done.
    pub const NORMAL: u16 = 1000;
    /// The provider goes away. Reconnect after a short while.
    pub const GOING_AWAY: u16 = 1001;
    /// A rule was broken, or the session was revoked. Do not reconnect with the same credential.
    pub const POLICY: u16 = 1008;
    /// A message was larger than the limit.
    pub const TOO_BIG: u16 = 1009;
    /// The consumer fell too far behind, or a limit is reached. Reconnect later.
    pub const TRY_LATER: u16 = 1013;
    /// The session's authentication ended. Authenticate again, then reconnect.
    pub const EXPIRED: u16 = 4401;
    /// Another connection resumed in place of this one. Do not reconnect: it is the one now.
    pub const REPLACED: u16 = 4409;
}
