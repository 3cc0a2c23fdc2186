//! The peers of one server.

pub(crate) mod arriving;
mod serving;
mod starting;
pub(crate) mod talking;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures_util::FutureExt;
use grove_axum::{Authenticating, Authenticator, Refusal, UpgradeRequest};
use grove_engine::{Clock, Engine, Rooms, Session};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::access_token::{PREFIX, digest};
use crate::attestation::{CLOCK_SKEW_MS, MAX_TTL_MS};
use crate::changes::Changes;
use crate::link_handle::{Closing, LinkHandle};
use crate::member::{Member, Members, MembersError};
use crate::public_key::PublicKey;
use crate::registry::{Entry, Registry};

/// The peers of one server: processes that are present, each with its own key (peers 3). A cheap handle; all clones are the
/// same peers.
///
/// Its peers are sessions of the engine: each has a presence card, so it is shown in `/presence` and in the rooms that it
/// joins, and its lease is that of rooms (`rooms.offline_after`, `rooms.left_after`). Its user is the member, and its
/// permissions are the member's rights, or fewer if the attestation says so.
#[derive(Clone)]
pub struct Peers {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) rooms: Rooms,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) members: Arc<dyn Members>,
    pub(crate) audience: String,
    pub(crate) registry: Mutex<Registry<LinkHandle>>,
    /// Locked while others are told what a row is by now, so that the last they are told is true.
    showing: Mutex<()>,
    changes: Arc<Changes>,
    left_ms: u64,
    runtime: Handle,
    /// Who has not said yet who it is.
    pub(crate) greeted: Arc<Semaphore>,
}

/// How long an upgrade may take from its credential to its connection, in ms; what was opened with a token ends within 5 s.
const LATE_MS: u64 = 4_000;

impl Peers {
    /// So many at most (U35). Default 10,000; one more is refused with `capacity`.
    #[must_use]
    pub fn max_peers(self, max: usize) -> Self {
        self.inner.registry.lock().set_max(max);
        self
    }

    /// An authenticator that knows the access tokens of peers, and asks another one about every other credential.
    pub fn authenticator<A: Authenticator>(&self, other: A) -> impl Authenticator + use<A> {
        PeersOr { inner: Arc::clone(&self.inner), other: Arc::new(other) }
    }

    /// Those on whose behalf peers act. Whom to remove, ask of [`Peers::remove_member`]: that closes links as well.
    #[must_use]
    pub fn members(&self) -> &dyn Members {
        &*self.inner.members
    }

    /// Adds a member to a project, or gives a member another key or other rights. Links that were opened with another key or
    /// more rights are closed.
    ///
    /// # Errors
    /// Those of [`Members::add`].
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
        // No attestation that exists by now is valid for longer, and a new one is for a new key.
        let now_ms = self.inner.now_ms();
        let until_ms = now_ms.saturating_add(MAX_TTL_MS + 2 * CLOCK_SKEW_MS);
        let revoked = self.inner.members.revoke_session(project, key, (now_ms, until_ms));
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
    /// The time of day, in ms since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        let since = self.clock.wall().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether a row is a peer's.
    pub(crate) fn is_peer(&self, participant: &str) -> bool {
        self.registry.lock().of_participant(participant).is_some()
    }

    /// The row of a peer may be another one, or none any more.
    pub(crate) fn look_at(&self, participant: &str) {
        let number = self.registry.lock().of_participant(participant);
        number.into_iter().for_each(|number| self.refresh_row(number));
    }

    /// Removes the peers of a project of which this is true, as revoked.
    fn revoke_all(&self, project: &str, is_meant: impl Fn(&Entry<LinkHandle>) -> bool) {
        let meant: Vec<_> = {
            let registry = self.registry.lock();
            registry.of_project(project).filter(|(_, entry)| is_meant(entry)).map(|(number, _)| number).collect()
        };
        meant.into_iter().for_each(|number| self.remove(number, Some(Closing::REVOKED)));
    }

    /// A peer is gone: its link is closed, its token is not valid any more, and neither are the connections that were opened
    /// with it.
    pub(crate) fn remove(&self, number: u64, closing: Option<Closing>) {
        self.remove_if(number, closing, |_| true);
    }

    /// The same, if this is true of it at that moment.
    pub(crate) fn remove_if(
        &self,
        number: u64,
        closing: Option<Closing>,
        is_meant: impl FnOnce(&Entry<LinkHandle>) -> bool,
    ) {
        let showing = self.showing.lock();
        let removed = {
            let mut registry = self.registry.lock();
            registry.get(number).is_some_and(is_meant).then(|| registry.remove(number)).flatten()
        };
        let Some(entry) = removed else { return };
        if let Some((link, closing)) = entry.link.as_ref().zip(closing) {
            link.close(closing);
        }
        if let Some(row) = &entry.row {
            self.tell_others("left", number, &entry.peer, row);
        }
        drop(showing);
        self.close_session(entry.session.id().to_owned());
    }

    /// Closes what was opened as this session, now and once more: a connection may be about to be opened with its token.
    fn close_session(&self, id: String) {
        self.engine.close_session(&id);
        let late = self.clock.sleep_until(self.clock.now_ms().saturating_add(LATE_MS));
        let engine = self.engine.clone();
        self.runtime.spawn(async move {
            late.await;
            engine.close_session(&id);
        });
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.changes.end();
    }
}

/// The authenticator that knows access tokens.
struct PeersOr<A> {
    inner: Arc<Inner>,
    other: Arc<A>,
}

impl<A: Authenticator> Authenticator for PeersOr<A> {
    fn authenticate(&self, request: UpgradeRequest) -> Authenticating {
        let token = request.query("token").or_else(|| request.bearer()).filter(|token| token.starts_with(PREFIX));
        let Some(token) = token else { return self.other.authenticate(request) };
        let registry = self.inner.registry.lock();
        let entry = registry.of_token(&digest(&token)).and_then(|number| registry.get(number));
        let session = entry.map(|entry| entry.session.clone());
        let unknown = || Refusal::unauthorized().because("the access token is not known");
        std::future::ready(session.ok_or_else(unknown)).boxed()
    }
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers").field("audience", &self.inner.audience).finish_non_exhaustive()
    }
}
