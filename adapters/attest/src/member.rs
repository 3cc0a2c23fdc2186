//! Those on whose behalf peers act.

use std::fmt;

use thiserror::Error;

use crate::left_peer::LeftPeer;
use crate::public_key::PublicKey;

/// A user's stable key in a project.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// The user.
    pub id: String,
    /// The user's key.
    pub public_key: PublicKey,
    /// What the user may do, by name, sorted.
    pub rights: Vec<String>,
}

/// What a key is in a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// A member's.
    Member(Member),
    /// One of somebody who was a member, or another key of a member's that is not used any more.
    Removed,
    /// Nobody's.
    Unknown,
}

/// What could not be done with the members.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MembersError {
    /// The key can verify nothing: it is no point of the curve, or one of small order, or another encoding of one.
    #[error("the key cannot be used: it is no Ed25519 key, or a weak one")]
    UnusableKey,
    /// The id is empty or too long.
    #[error("the id of a member must have 1 to 256 bytes")]
    InvalidId,
    /// The key is another member's.
    #[error("the key is another member's")]
    KeyTaken,
    /// There are as many as there may be.
    #[error("there are as many members as there may be")]
    Full,
    /// They cannot be read or written now.
    #[error("the members cannot be reached: {0}")]
    Unavailable(String),
    /// What was kept of them is damaged. Nobody is welcomed on the strength of it: restore a copy, or remove the file, with
    /// which all revocations go.
    #[error("the members are damaged: {0}")]
    Damaged(String),
}

/// Who the members of projects are. Its methods may be called from any thread, and must not block for long: a peer waits.
pub trait Members: fmt::Debug + Send + Sync {
    /// Adds a member to a project; one with this id gets the key and the rights instead of those before.
    ///
    /// # Errors
    /// If the key is unusable or another member's, or there are as many as there may be.
    fn add(&self, project: &str, member: Member) -> Result<(), MembersError>;

    /// Removes a member. Returns the member's key, which is refused as `revoked` from then on, or `None` if there was none.
    ///
    /// # Errors
    /// If they cannot be reached.
    fn remove(&self, project: &str, id: &str) -> Result<Option<PublicKey>, MembersError>;

    /// The members of a project, in the order of their ids.
    ///
    /// # Errors
    /// If they cannot be reached.
    fn list(&self, project: &str) -> Result<Vec<Member>, MembersError>;

    /// What a key is in a project.
    ///
    /// # Errors
    /// If they cannot be reached.
    fn find(&self, project: &str, key: &PublicKey) -> Result<Standing, MembersError>;

    /// A session key is refused as `revoked` from now on, whatever is signed for it later (S4.28). If there are too many, the
    /// oldest are forgotten.
    ///
    /// # Errors
    /// If they cannot be reached.
    fn revoke_session(&self, project: &str, key: &PublicKey) -> Result<(), MembersError>;

    /// Whether a session key was revoked.
    ///
    /// # Errors
    /// If they cannot be reached.
    fn is_session_revoked(&self, project: &str, key: &PublicKey) -> Result<bool, MembersError>;

    /// Keeps a row that has left, for 30 days, and at most 10,000 of a project (S4.31). Unless this is implemented, none is
    /// kept.
    ///
    /// # Errors
    /// If they cannot be reached.
    fn keep_left(&self, _project: &str, _peer: &LeftPeer) -> Result<(), MembersError> {
        Ok(())
    }

    /// The rows of a project that have left and are kept at this time in ms since 1970, the latest first; at most so many.
    ///
    /// # Errors
    /// If they cannot be reached.
    fn left(&self, _project: &str, _now_ms: u64, _most: usize) -> Result<Vec<LeftPeer>, MembersError> {
        Ok(Vec::new())
    }
}

impl<M: Members + ?Sized> Members for Box<M> {
    fn add(&self, project: &str, member: Member) -> Result<(), MembersError> {
        (**self).add(project, member)
    }

    fn remove(&self, project: &str, id: &str) -> Result<Option<PublicKey>, MembersError> {
        (**self).remove(project, id)
    }

    fn list(&self, project: &str) -> Result<Vec<Member>, MembersError> {
        (**self).list(project)
    }

    fn find(&self, project: &str, key: &PublicKey) -> Result<Standing, MembersError> {
        (**self).find(project, key)
    }

    fn revoke_session(&self, project: &str, key: &PublicKey) -> Result<(), MembersError> {
        (**self).revoke_session(project, key)
    }

    fn is_session_revoked(&self, project: &str, key: &PublicKey) -> Result<bool, MembersError> {
        (**self).is_session_revoked(project, key)
    }

    fn keep_left(&self, project: &str, peer: &LeftPeer) -> Result<(), MembersError> {
        (**self).keep_left(project, peer)
    }

    fn left(&self, project: &str, now_ms: u64, most: usize) -> Result<Vec<LeftPeer>, MembersError> {
        (**self).left(project, now_ms, most)
    }
}

/// How long the id of a member may be, in bytes.
const ID_BYTES: usize = 256;

impl Member {
    /// A member without rights.
    pub fn new(id: impl Into<String>, public_key: PublicKey) -> Self {
        Self { id: id.into(), public_key, rights: Vec::new() }
    }

    /// With one more right.
    #[must_use]
    pub fn right(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        if let Err(place) = self.rights.binary_search(&name) {
            self.rights.insert(place, name);
        }
        self
    }

    /// With these rights as well.
    #[must_use]
    pub fn rights<R: Into<String>>(self, names: impl IntoIterator<Item = R>) -> Self {
        names.into_iter().fold(self, Self::right)
    }

    /// Whether the member has a right.
    #[must_use]
    pub fn has(&self, right: &str) -> bool {
        self.rights.binary_search_by(|held| held.as_str().cmp(right)).is_ok()
    }

    /// Whether it can be a member at all.
    ///
    /// # Errors
    /// If the key is unusable or the id is empty or too long.
    pub fn validate(&self) -> Result<(), MembersError> {
        if !self.public_key.is_usable() {
            return Err(MembersError::UnusableKey);
        }
        if self.id.is_empty() || self.id.len() > ID_BYTES {
            return Err(MembersError::InvalidId);
        }
        Ok(())
    }
}
