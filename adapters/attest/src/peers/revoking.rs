//! Who the members are, and how access is taken back.

use grove_engine::Session;

use super::{Inner, Peers};
use crate::link_handle::{Closing, LinkHandle};
use crate::member::{Member, MembersError};
use crate::public_key::PublicKey;
use crate::registry::Entry;

impl Peers {
    /// Adds a member to a project, or gives a member another key or other rights. Links that were opened with another key or
    /// more rights are closed.
    ///
    /// # Errors
    /// Those of [`Members::add`](crate::Members::add).
    pub fn add_member(&self, project: &str, member: Member) -> Result<(), MembersError> {
        let (id, key, rights) = (member.id.clone(), member.public_key, member.rights.clone());
        self.inner.members.add(project, member)?;
        self.inner.revoke_all(project, |entry| {
            let peer = &entry.peer;
            let has_more = peer.rights.iter().any(|right| rights.binary_search(right).is_err());
            peer.member == id && (peer.member_key != key || has_more)
        });
        Ok(())
    }

    /// Removes a member: the links of all its peers are closed at once (4403), and its key is refused from now on (S4.28).
    /// False if there was none.
    ///
    /// # Errors
    /// If the members cannot be reached.
    pub fn remove_member(&self, project: &str, id: &str) -> Result<bool, MembersError> {
        let removed = self.inner.members.remove(project, id);
        // Also if that is not kept: nobody shall act for the member now.
        self.inner.revoke_all(project, |entry| entry.peer.member == id);
        Ok(removed?.is_some())
    }

    /// Revokes a session key: its link is closed at once, and the key is refused from now on.
    ///
    /// # Errors
    /// If the members cannot be reached.
    pub fn revoke_session_key(&self, project: &str, key: &PublicKey) -> Result<(), MembersError> {
        let revoked = self.inner.members.revoke_session(project, key);
        self.inner.revoke_all(project, |entry| entry.peer.session_key.as_ref() == Some(key));
        revoked
    }

    /// Revokes the peer with this participant id, on behalf of a session of the same member. The key of a session is refused
    /// from now on; a program of the member's own may come back, since it has the member's key. False if the session's user
    /// has no such peer.
    ///
    /// # Errors
    /// If the members cannot be reached.
    pub fn revoke(&self, session: &Session, participant: &str) -> Result<bool, MembersError> {
        let project = session.project().unwrap_or_default();
        let found = {
            let registry = self.inner.registry.lock();
            let number = registry.of_participant(participant);
            number.and_then(|number| Some((number, registry.get(number)?.peer.clone())))
        };
        let is_own = |peer: &crate::ProvenPeer| peer.project == project && session.user() == Some(&peer.member);
        match found.filter(|(_, peer)| is_own(peer)) {
            Some((_, peer)) if peer.session_key.is_some() => {
                peer.session_key.iter().try_for_each(|key| self.revoke_session_key(project, key))?;
                Ok(true)
            }
            Some((number, _)) => {
                self.inner.remove(number, Some(Closing::REVOKED));
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

impl Inner {
    /// Removes the peers of a project of which this is true, as revoked.
    fn revoke_all(&self, project: &str, is_meant: impl Fn(&Entry<LinkHandle>) -> bool) {
        let meant: Vec<_> = {
            let registry = self.registry.lock();
            registry.of_project(project).filter(|(_, entry)| is_meant(entry)).map(|(number, _)| number).collect()
        };
        meant.into_iter().for_each(|number| self.remove(number, Some(Closing::REVOKED)));
    }
}
