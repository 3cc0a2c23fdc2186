//! How the link of a session or of the member is.

use std::fmt;

use serde_json::{Value, json};

/// How a link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LinkState {
    /// It is being opened, again and again. What went wrong last.
    Connecting(Option<(String, String)>),
    /// The peer is present.
    Up(Present),
    /// The key of the session, or of its member, was revoked: it is not tried again before the member's link is.
    Revoked,
    /// Another link of the session's key has taken over: it is not tried again.
    Replaced,
    /// The server knows no sessions; the member's link serves instead, until the server is another one (S4.32).
    Unsupported,
    /// Session links are switched off; the member's link serves instead (S4.34).
    Off,
    /// It has ended, and so has the session.
    Closed,
}

/// What a peer is while its link is up.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Present {
    pub(crate) participant: Option<String>,
    pub(crate) member: String,
    pub(crate) access_token: String,
}

impl fmt::Debug for Present {
    /// Without the access token (SEC20).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { participant, member, access_token: _ } = self;
        f.debug_struct("Present").field("participant", participant).field("member", member).finish_non_exhaustive()
    }
}

impl LinkState {
    /// Whether the member's link serves instead.
    pub(crate) const fn is_by_member(&self) -> bool {
        matches!(self, Self::Unsupported | Self::Off)
    }

    /// Whether something is known of how it went: it is up, or will not be now.
    pub(crate) const fn is_settled(&self) -> bool {
        !matches!(self, Self::Connecting(None))
    }

    pub(crate) fn participant(&self) -> Option<&str> {
        match self {
            Self::Up(present) => present.participant.as_deref(),
            _ => None,
        }
    }

    /// Why there is no link, for people.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Connecting(Some((_, message))) => message.clone(),
            Self::Connecting(None) => "the link is being opened".to_owned(),
            Self::Up(_) => "the link is lost".to_owned(),
            Self::Revoked => "the access of this session was revoked".to_owned(),
            Self::Replaced => "another link of this session's key has taken over".to_owned(),
            Self::Unsupported => "the server knows no sessions".to_owned(),
            Self::Off => "session links are switched off (GROVE_SESSION_PRESENCE=0)".to_owned(),
            Self::Closed => "the session has ended".to_owned(),
        }
    }

    /// As it is shown; no credentials.
    pub(crate) fn to_json(&self) -> Value {
        let mut shown = json!({ "state": self.name() });
        if let Self::Connecting(Some((code, _))) = self {
            shown["code"] = code.as_str().into();
        }
        if !matches!(self, Self::Up(_)) {
            shown["message"] = self.reason().into();
        }
        shown
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Connecting(_) => "connecting",
            Self::Up(_) => "up",
            Self::Revoked => "revoked",
            Self::Replaced => "replaced",
            Self::Unsupported => "unsupported",
            Self::Off => "off",
            Self::Closed => "closed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_of_a_link_has_no_access_token() {
        let (participant, member) = (Some("p_1".to_owned()), "ann".to_owned());
        let up = LinkState::Up(Present { participant, member, access_token: "pa_secret".to_owned() });
        let printed = format!("{up:?}");
        assert!(printed.contains("p_1") && printed.contains("ann") && !printed.contains("secret"), "{printed}");
    }
}
