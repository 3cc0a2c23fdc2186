//! The peers of one server.

pub(crate) mod arriving;
mod authenticating;
pub(crate) mod keeping;
mod revoking;
mod serving;
mod starting;
pub(crate) mod talking;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, UNIX_EPOCH};

use grove_engine::{Clock, Engine, Event, PresenceRow, Provider, Rooms, Text};
use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::changes::Changes;
use crate::checking::ProvenPeer;
use crate::link_handle::{Closing, LinkHandle};
use crate::member::Members;
use crate::project_feed::ProjectFeed;
use crate::registry::{Entry, Registry};
use crate::unanswered::Unanswered;

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
    pub(crate) registry: Mutex<Registry<LinkHandle, ProjectFeed>>,
    /// Locked while others are told what a row is by now, so that the last they are told is true.
    showing: Mutex<()>,
    changes: Arc<Changes>,
    attributes: OnceLock<Box<AttributesOf>>,
    left_ms: u64,
    runtime: Handle,
    /// Who has not said yet who it is.
    pub(crate) unanswered: Arc<Unanswered>,
}

/// What sessions of peers say besides who they are.
type AttributesOf = dyn Fn(&ProvenPeer) -> Attributes + Send + Sync;

/// Names and values.
type Attributes = Vec<(String, String)>;

/// How long an upgrade may take from its credential to its connection, in ms; what was opened with a token ends within 5 s.
const LATE_MS: u64 = 4_000;

impl Peers {
    /// So many at most (U35). Default 10,000; one more is refused with `capacity`.
    #[must_use]
    pub fn max_peers(self, max: usize) -> Self {
        self.inner.registry.lock().set_max(max);
        self
    }

    /// What the sessions of peers have as attributes, as your own authenticator would give them to the member's other
    /// sessions. To be set before the first peer comes; what is set first counts.
    #[must_use]
    pub fn attributes(self, of: impl Fn(&ProvenPeer) -> Vec<(String, String)> + Send + Sync + 'static) -> Self {
        // A second one would be for some of the peers only.
        let _ = self.inner.attributes.set(Box::new(of));
        self
    }

    /// Those on whose behalf peers act. Whom to remove, ask of [`Peers::remove_member`]: that closes links as well.
    #[must_use]
    pub fn members(&self) -> &dyn Members {
        &*self.inner.members
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
            let feed =
                registry.get(number).filter(|entry| is_meant(entry)).map(|entry| registry.feed_of(&entry.peer.project));
            feed.and_then(|feed| registry.remove(number).zip(feed))
        };
        let Some((entry, feed)) = removed else { return };
        if let Some((link, closing)) = entry.link.as_ref().zip(closing) {
            link.close(closing);
        }
        feed.leave(number);
        drop(showing);
        if closing == Some(Closing::REVOKED) {
            let whose = (&entry.peer, entry.row.as_deref());
            self.note(whose, |project, user, participant| Event::PeerRevoked { project, user, participant });
        }
        self.keep_left(&entry);
        self.close_session(entry.session.id().to_owned());
    }

    /// Reports what happened to a peer, outside of all locks: its project, its member, and its row.
    pub(crate) fn note(&self, (peer, row): (&ProvenPeer, Option<&PresenceRow>), event: fn(Text, Text, Text) -> Event) {
        let participant = row.map(|row| row.participant.clone()).unwrap_or_default();
        self.engine.note(event(peer.project.as_str().into(), peer.member.as_str().into(), participant));
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

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers").field("audience", &self.inner.audience).finish_non_exhaustive()
    }
}
