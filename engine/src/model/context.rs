//! What an authenticator says about a session, and its part in rooms: the answers to whatever is read of it.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::SystemTime;

use super::Text;
use super::read_log::Read;
use super::room::handle::Room;
use super::room::memberships::{Membership, Memberships};
use super::room::participant::Presence;
use super::room::policy::Trust;
use super::room::role::Role;
use crate::panics::guarded::{Guarded, Owner};

/// Who a session is. Light, immutable, replaced as a whole; there may be a hundred thousand, so its lists have no room to
/// grow, and what few sessions have stands apart.
#[derive(Clone)]
pub(crate) struct Context {
    pub(super) id: Text,
    pub(super) user: Option<Text>,
    pub(super) attributes: Box<[(Text, Text)]>,
    pub(super) permissions: Box<[Text]>,
    pub(super) expires_at: Option<SystemTime>,
    pub(super) extras: Option<Box<Extras>>,
    /// What no credential brings: the engine's rooms know it.
    pub(super) memberships: Option<Box<Memberships>>,
}

/// The application's own data.
pub(super) type Data = Guarded<Box<dyn Any + Send + Sync>>;

/// What few sessions have.
#[derive(Clone, Default)]
pub(super) struct Extras {
    pub(super) project: Option<Text>,
    pub(super) data: Option<Arc<Data>>,
    pub(super) issued_at: Option<SystemTime>,
    further: Option<Box<Further>>,
}

/// What hardly any session has. It stands apart, so that the others pay nothing for it.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Further {
    pub(super) parent: Option<Text>,
    pub(super) trust: Option<Trust>,
    pub(super) presence: Option<Box<Presence>>,
}

/// What a session has for a [`Read`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ReadValue {
    Text(Option<Text>),
    Flag(bool),
    Pairs(Vec<(Text, Text)>),
    Names(Vec<Text>),
    Time(Option<SystemTime>),
    Count(usize),
    Role(Option<Role>),
    Trust(Trust),
    Presence(Option<Box<Presence>>),
    /// Everything that it is, its data included.
    Whole(Box<WholeContext>),
}

/// A context as a value: equal only to one with the same claims, the same data and the same part in rooms.
#[derive(Debug, Clone)]
pub(crate) struct WholeContext(Context);

impl PartialEq for WholeContext {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id && self.0.shows_same(&other.0)
    }
}

impl Eq for WholeContext {}

impl Hash for WholeContext {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl Context {
    pub(crate) fn id(&self) -> &Text {
        &self.id
    }

    pub(crate) fn user(&self) -> Option<&Text> {
        self.user.as_ref()
    }

    pub(crate) fn project(&self) -> Option<&Text> {
        self.extras.as_ref()?.project.as_ref()
    }

    pub(super) fn parent(&self) -> Option<&Text> {
        self.further()?.parent.as_ref()
    }

    fn further(&self) -> Option<&Further> {
        self.extras.as_ref()?.further.as_deref()
    }

    pub(super) fn further_mut(&mut self) -> &mut Further {
        self.extras.get_or_insert_default().further.get_or_insert_default()
    }

    /// Its part in rooms. `None` if it has a role in none.
    pub(crate) fn memberships(&self) -> Option<&Memberships> {
        self.memberships.as_deref()
    }

    pub(crate) fn trust(&self) -> Trust {
        let by_default = if self.user.is_some() { Trust::Verified } else { Trust::Untrusted };
        self.further().and_then(|further| further.trust).unwrap_or(by_default)
    }

    pub(crate) fn presence(&self) -> Option<&Presence> {
        self.further()?.presence.as_deref()
    }

    pub(super) fn membership(&self, room: &Room) -> Option<&Membership> {
        self.memberships()?.of(room)
    }

    fn membership_at(&self, rank: u64) -> Option<&Membership> {
        self.memberships()?.at(rank)
    }

    pub(super) fn room_count(&self) -> usize {
        self.memberships().map_or(0, |memberships| memberships.all().len())
    }

    /// The same with this part in rooms, whatever it had before.
    pub(crate) fn with_memberships(self: &Arc<Self>, memberships: Option<Memberships>) -> Arc<Self> {
        let memberships = memberships.filter(|memberships| !memberships.all().is_empty());
        if memberships.is_none() && self.memberships().is_none() {
            return Arc::clone(self);
        }
        Arc::new(Self { memberships: memberships.map(Box::new), ..Self::clone(self) })
    }

    pub(super) fn data(&self) -> Option<&Arc<Data>> {
        self.extras.as_ref()?.data.as_ref()
    }

    pub(crate) fn attributes(&self) -> &[(Text, Text)] {
        &self.attributes
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        let at = self.attributes.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        Some(&self.attributes[at].1)
    }

    pub(crate) const fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// When the credential was issued. No descriptor can read it, so it is no claim.
    pub(crate) fn issued_at(&self) -> Option<SystemTime> {
        self.extras.as_ref()?.issued_at
    }

    /// Whether a credential says the same of one as of the other. Typed data cannot be compared, so it differs
    /// unless it is the same allocation.
    pub(crate) fn same_claims(&self, other: &Self) -> bool {
        let same_data = match (self.data(), other.data()) {
            (None, None) => true,
            (Some(mine), Some(theirs)) => Arc::ptr_eq(mine, theirs),
            _ => false,
        };
        same_data
            && self.user == other.user
            && self.project() == other.project()
            && self.parent() == other.parent()
            && self.attributes == other.attributes
            && self.permissions == other.permissions
            && self.expires_at == other.expires_at
            && self.trust() == other.trust()
            && self.presence() == other.presence()
    }

    /// Whether a tree rendered for one would be the same for the other, with the rooms in it.
    pub(crate) fn shows_same(&self, other: &Self) -> bool {
        self.memberships() == other.memberships() && self.same_claims(other)
    }

    /// The engine that is told if its data panics while it is dropped.
    pub(crate) fn belongs_to(&self, owner: &Owner) {
        self.data().into_iter().for_each(|data| data.belongs_to(owner));
    }

    pub(crate) fn can(&self, permission: &str) -> bool {
        self.permissions.binary_search_by(|known| known.as_str().cmp(permission)).is_ok()
    }

    /// What this session has for a read that some evaluation made.
    pub(crate) fn value_of(&self, read: &Read) -> ReadValue {
        match read {
            Read::Id => ReadValue::Text(Some(self.id.clone())),
            // Not the id alone: its claims and data may have changed since they were read.
            Read::Whole => ReadValue::Whole(Box::new(WholeContext(self.clone()))),
            Read::User => ReadValue::Text(self.user.clone()),
            Read::Project => ReadValue::Text(self.project().cloned()),
            Read::Parent => ReadValue::Text(self.parent().cloned()),
            Read::Attribute(name) => ReadValue::Text(self.attribute(name).map(Text::from)),
            Read::Attributes => ReadValue::Pairs(self.attributes.to_vec()),
            Read::Permission(name) => ReadValue::Flag(self.can(name)),
            Read::Permissions => ReadValue::Names(self.permissions.to_vec()),
            Read::Expiry => ReadValue::Time(self.expires_at),
            Read::HasUser => ReadValue::Flag(self.user.is_some()),
            Read::RoomCount => ReadValue::Count(self.room_count()),
            Read::Trust => ReadValue::Trust(self.trust()),
            Read::Presence => ReadValue::Presence(self.presence().cloned().map(Box::new)),
            Read::RoomRole(rank) => ReadValue::Role(self.membership_at(*rank).map(|membership| membership.role)),
            Read::RoomJoined(rank) => ReadValue::Flag(self.membership_at(*rank).is_some_and(Membership::is_joined)),
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("id", &self.id).finish_non_exhaustive()
    }
}
