//! The claims of a session as another process can read them.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::Text;
use super::context::Context;
use super::session::Session;

/// What an authenticator says about a session, without what only its own process has: the application's data, and how the
/// session is shown in rooms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    project: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<Text>,
    #[serde(default)]
    attributes: Vec<(Text, Text)>,
    #[serde(default)]
    permissions: Vec<Text>,
    /// In ms since 1970, like the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    issued_at: u64,
}

impl Claims {
    /// Those of a session; `now` is when they were given to it, if nobody says otherwise.
    pub(crate) fn of(context: &Context, now: SystemTime) -> Self {
        Self {
            user: context.user.clone(),
            project: context.project().cloned(),
            parent: context.parent().cloned(),
            attributes: context.attributes.to_vec(),
            permissions: context.permissions.to_vec(),
            expires_at: context.expires_at.map(since_1970),
            issued_at: since_1970(context.issued_at().unwrap_or(now)),
        }
    }

    /// A session with these claims instead of its own. What only its own process has stays.
    pub(crate) fn given_to(self, session: &Session) -> Session {
        let mut context = Context::clone(session.context());
        let Self { user, project, parent, mut attributes, mut permissions, expires_at, issued_at } = self;
        attributes.sort_unstable();
        attributes.dedup_by(|one, other| one.0 == other.0);
        permissions.sort_unstable();
        permissions.dedup();
        context.user = user;
        context.attributes = attributes.into();
        context.permissions = permissions.into();
        context.expires_at = expires_at.map(at);
        if parent.is_some() || context.parent().is_some() {
            context.further_mut().parent = parent;
        }
        let extras = context.extras.get_or_insert_default();
        extras.project = project;
        extras.issued_at = Some(at(issued_at));
        Session::untracked(Arc::new(context))
    }
}

fn since_1970(at: SystemTime) -> u64 {
    u64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

fn at(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_replace_claims_and_leave_the_data_alone() {
        let session = |user: &str| Session::new("s").with_user(user).with_project("p").with_parent("above");
        let now = UNIX_EPOCH + Duration::from_secs(9);
        let theirs = session("alice").with_attribute("org", "acme").with_permission("read").with_expiry(now);
        let text = serde_json::to_string(&Claims::of(theirs.context(), now)).unwrap();
        let ours = session("mallory").with_attribute("old", "gone").with_permission("write").with_data(7_u8);
        let given = serde_json::from_str::<Claims>(&text).unwrap().given_to(&ours);
        assert_eq!((given.id(), given.user(), given.parent()), ("s", Some("alice"), Some("above")));
        assert_eq!((given.attributes(), given.permissions()), (vec![("org", "acme")], vec!["read"]));
        assert_eq!((given.expires_at(), given.context().issued_at()), (Some(now), Some(now)));
        assert_eq!(given.data::<u8>().copied(), Some(7));
    }
}
