//! For whom a tree is rendered; a tracked handle records what a descriptor function reads.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::Text;
pub(crate) use super::context::Context;
use super::context::Data;
use super::read_log::{Read, ReadLog};
use super::room::handle::Room;
use super::room::memberships::Membership;
use super::room::participant::Presence;
use super::room::policy::Trust;
use super::room::role::Role;
use crate::panics::guarded::Guarded;

/// For whom a tree is rendered: id, user, project, claims and the application's own data.
///
/// An authenticator builds one with [`Session::new`] and the `with_` methods.
/// A descriptor function gets a *tracked* handle: each getter records what was read, and sessions that have the
/// same values for all those reads share the result. So read what you use and nothing else: a descriptor that reads only
/// `attribute("org")` runs once per organisation.
///
/// Learning who the session is by another way (a thread local, a captured map with a key that was not read) defeats
/// this; give such a source [`Sharing::Never`](crate::Sharing::Never).
#[derive(Clone)]
pub struct Session {
    context: Arc<Context>,
    recorder: Option<Arc<Recorder>>,
}

/// Where a tracked session records its reads. Counted apart from the log, which others may look at meanwhile: whoever holds
/// this can read the session.
struct Recorder(Arc<ReadLog>);

impl Session {
    /// A session that has only an id. The id must be unique in the engine, and is never a credential.
    pub fn new(id: impl Into<Text>) -> Self {
        let context = Context {
            id: id.into(),
            user: None,
            attributes: Box::default(),
            permissions: Box::default(),
            expires_at: None,
            extras: None,
            memberships: None,
        };
        Self { context: Arc::new(context), recorder: None }
    }

    fn edit(mut self, change: impl FnOnce(&mut Context)) -> Self {
        change(Arc::make_mut(&mut self.context));
        self
    }

    /// Whose session it is; one user may have several.
    #[must_use]
    pub fn with_user(self, user: impl Into<Text>) -> Self {
        self.edit(|context| context.user = Some(user.into()))
    }

    /// The project, tenant or workspace.
    #[must_use]
    pub fn with_project(self, project: impl Into<Text>) -> Self {
        self.edit(|context| context.extras.get_or_insert_default().project = Some(project.into()))
    }

    /// The session that this one was derived from.
    #[must_use]
    pub fn with_parent(self, parent: impl Into<Text>) -> Self {
        self.edit(|context| context.further_mut().parent = Some(parent.into()))
    }

    /// A claim by name; setting it again replaces it.
    #[must_use]
    pub fn with_attribute(self, name: impl Into<Text>, value: impl Into<Text>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.edit(|context| match context.attributes.binary_search_by(|(known, _)| known.cmp(&name)) {
            Ok(at) => context.attributes[at].1 = value,
            Err(at) => {
                let mut attributes = std::mem::take(&mut context.attributes).into_vec();
                attributes.insert(at, (name, value));
                context.attributes = attributes.into();
            }
        })
    }

    /// One more thing that the session may do.
    #[must_use]
    pub fn with_permission(self, permission: impl Into<Text>) -> Self {
        self.with_permissions([permission])
    }

    /// More things that the session may do.
    #[must_use]
    pub fn with_permissions<P: Into<Text>>(self, permissions: impl IntoIterator<Item = P>) -> Self {
        self.edit(|context| {
            let mut all = std::mem::take(&mut context.permissions).into_vec();
            all.extend(permissions.into_iter().map(Into::into));
            all.sort_unstable();
            all.dedup();
            context.permissions = all.into();
        })
    }

    /// When the authentication behind the session ends.
    #[must_use]
    pub fn with_expiry(self, at: SystemTime) -> Self {
        self.edit(|context| context.expires_at = Some(at))
    }

    /// When the credential behind these claims was issued, or when the claims were looked up. Of several credentials for
    /// one session that with the latest time of issue holds, whichever comes last; see the guide to sessions.
    #[must_use]
    pub fn with_issued_at(self, at: SystemTime) -> Self {
        self.edit(|context| context.extras.get_or_insert_default().issued_at = Some(at))
    }

    /// The application's own data. Reading it counts as reading the whole session, so nothing is shared then.
    #[must_use]
    pub fn with_data<T: Any + Send + Sync>(self, data: T) -> Self {
        let data: Data = Guarded::new(Box::new(data));
        self.edit(|context| context.extras.get_or_insert_default().data = Some(Arc::new(data)))
    }

    /// How much the session is trusted in rooms. Otherwise one with a user is verified, and one without is untrusted.
    #[must_use]
    pub fn with_trust(self, trust: Trust) -> Self {
        self.edit(|context| context.further_mut().trust = Some(trust))
    }

    /// How the session is shown to others.
    #[must_use]
    pub fn with_presence(self, card: Presence) -> Self {
        self.edit(|context| context.further_mut().presence = Some(Box::new(card)))
    }

    fn read(&self, read: impl FnOnce() -> Read) -> &Context {
        if let Some(recorder) = &self.recorder {
            recorder.0.record(read());
        }
        &self.context
    }

    /// The session's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.read(|| Read::Id).id
    }

    /// Whose session it is.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.read(|| Read::User).user.as_deref()
    }

    /// The project, tenant or workspace.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        self.read(|| Read::Project).project().map(Text::as_str)
    }

    /// The session that this one was derived from.
    #[must_use]
    pub fn parent(&self) -> Option<&str> {
        self.read(|| Read::Parent).parent().map(Text::as_str)
    }

    /// One claim.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.read(|| Read::Attribute(name.into())).attribute(name)
    }

    /// All claims, sorted by name. Sessions that differ in any of them share nothing then.
    #[must_use]
    pub fn attributes(&self) -> Vec<(&str, &str)> {
        let context = self.read(|| Read::Attributes);
        context.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// Whether the session may do something. Only this one permission counts as read.
    #[must_use]
    pub fn can(&self, permission: &str) -> bool {
        self.read(|| Read::Permission(permission.into())).can(permission)
    }

    /// Everything that the session may do, sorted.
    #[must_use]
    pub fn permissions(&self) -> Vec<&str> {
        self.read(|| Read::Permissions).permissions.iter().map(Text::as_str).collect()
    }

    /// When the authentication behind the session ends.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.read(|| Read::Expiry).expires_at
    }

    /// The application's own data, if it was given as a `T`. Counts as reading the whole session.
    #[must_use]
    pub fn data<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.read(|| Read::Whole).data().and_then(|data| (***data).downcast_ref())
    }

    /// How much the session is trusted in rooms.
    #[must_use]
    pub fn trust(&self) -> Trust {
        self.read(|| Read::Trust).trust()
    }

    /// How the session is shown to others, if that was said.
    #[must_use]
    pub fn presence(&self) -> Option<&Presence> {
        self.read(|| Read::Presence).presence()
    }

    /// Its role in a room; `None` if it has none. Only this room counts as read.
    #[must_use]
    pub fn role_in(&self, room: &Room) -> Option<Role> {
        self.read(|| Read::RoomRole(room.rank())).membership(room).map(|membership| membership.role)
    }

    /// Whether it has joined a room. Only this room counts as read.
    #[must_use]
    pub fn has_joined(&self, room: &Room) -> bool {
        self.read(|| Read::RoomJoined(room.rank())).membership(room).is_some_and(Membership::is_joined)
    }

    /// Whether it has a user, whoever that is.
    pub(crate) fn has_user(&self) -> bool {
        self.read(|| Read::HasUser).user.is_some()
    }

    /// In how many rooms it has a role.
    pub(crate) fn room_count(&self) -> usize {
        self.read(|| Read::RoomCount).room_count()
    }

    /// The same session without a recorder, as handlers and predicates get it.
    pub(crate) fn untracked(context: Arc<Context>) -> Self {
        Self { context, recorder: None }
    }

    /// The same session with a recorder of its own, which records in this log.
    pub(crate) fn tracked(context: Arc<Context>, log: Arc<ReadLog>) -> Self {
        Self { context, recorder: Some(Arc::new(Recorder(log))) }
    }

    /// What was read so far, in the order of the first reading. If somebody else holds the session as well, such as an
    /// action or a task that was given a clone, it may be read for anything later, and counts as a whole.
    pub(crate) fn reads(&self) -> Vec<Read> {
        match &self.recorder {
            Some(recorder) if Arc::strong_count(recorder) > 1 => vec![Read::Whole],
            Some(recorder) => recorder.0.all(),
            None => Vec::new(),
        }
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }
}

impl fmt::Debug for Session {
    /// Shows nothing of the session: text made from it inside a descriptor would be a read that nobody recorded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_first_reads_are_recorded_and_in_order() {
        let session = Session::new("s").with_user("alice").with_attribute("org", "acme").with_permission("write");
        let tracked = Session::tracked(Arc::clone(session.context()), Arc::default());
        assert_eq!(tracked.attribute("org"), Some("acme"));
        assert!(tracked.can("write"));
        assert!(tracked.can("write"));
        assert_eq!(tracked.user(), Some("alice"));
        assert_eq!(tracked.reads(), [Read::Attribute("org".into()), Read::Permission("write".into()), Read::User]);
    }

    #[test]
    fn debug_text_holds_nothing_that_could_be_read_untracked() {
        assert_eq!(format!("{:?}", Session::new("secret").with_user("alice")), "Session { .. }");
    }
}
