//! The token of a session, from which the server learns everything about it.

use crate::scenario::secrets::Secrets;

/// A session as its token describes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionToken {
    pub(super) user: u32,
    /// Numbers the sessions of one user.
    pub(super) number: u32,
    /// The time of day in ms, or 0 if the session does not expire.
    pub(super) expires_ms: u64,
}

impl SessionToken {
    pub(super) fn user_name(self) -> String {
        format!("u{}", self.user)
    }

    pub(super) fn session_id(self) -> String {
        format!("s{}-{}", self.user, self.number)
    }

    pub(super) fn secrets(self) -> Secrets {
        Secrets { user: self.user_name(), session: self.session_id() }
    }

    pub(super) fn encode(self) -> String {
        format!("{}.{}.{}", self.user, self.number, self.expires_ms)
    }

    pub(super) fn decode(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (user, number, expires_ms) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { user: user.parse().ok()?, number: number.parse().ok()?, expires_ms: expires_ms.parse().ok()? })
    }
}
