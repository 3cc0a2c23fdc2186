//! How peers come, come back, and go.

use std::sync::Arc;

use grove_engine::{Connection, Event, ParticipantKind, Presence, Session, Text, Trust};

use super::{Attributes, Inner};
use crate::access_token::{AccessToken, random_id};
use crate::card::Card;
use crate::challenge::Challenge;
use crate::checking::{Checking, ProvenPeer};
use crate::frames;
use crate::link_handle::{Closing, LinkHandle};
use crate::project_feed::{FeedReader, PeerRow};
use crate::refused::Refused;

/// A peer that was welcomed on a link.
pub(crate) struct Arrived {
    pub(crate) number: u64,
    /// Which of the peer's links it is.
    pub(crate) which: u64,
    pub(crate) connection: Connection,
    /// What it is sent first.
    pub(crate) frames: Vec<String>,
    /// What it is told of the others from then on.
    pub(crate) reader: FeedReader,
}

/// A link that is the peer's from now on.
struct Linked {
    which: u64,
    /// Whether the peer had another one.
    has_replaced: bool,
    /// What the peer has not acknowledged.
    waiting: Vec<String>,
    /// What tells it of the others.
    reader: FeedReader,
}

impl Inner {
    /// Who a peer is that sends this first.
    pub(crate) fn check(&self, challenge: &mut Challenge, frame: &str) -> Result<ProvenPeer, Refused> {
        Checking::new(&*self.members).check(challenge, frame, self.now_ms())
    }

    /// A peer that has proven who it is has a link from now on. The one that its session key had before is told.
    pub(crate) fn arrive(self: &Arc<Self>, peer: &ProvenPeer, link: &LinkHandle) -> Result<Arrived, Refused> {
        loop {
            let (number, session, is_new) = self.find_or_add(peer)?;
            // Whoever takes access back looks for the peers that there are afterwards, and this is one of them by now.
            if let Err(refused) = Checking::new(&*self.members).still(peer) {
                match refused {
                    Refused::Revoked => self.remove(number, Some(Closing::REVOKED)),
                    // It cannot be told now, so a link that the key has already stays.
                    _ => self.take_back(number, is_new),
                }
                return Err(refused);
            }
            let Ok(connection) = self.rooms.attend(&session) else {
                // The engine is shutting down, or full.
                self.take_back(number, is_new);
                return Err(Refused::Capacity);
            };
            let Some(Linked { which, has_replaced, waiting, reader }) = self.link(number, link) else {
                // It was removed meanwhile.
                connection.closed();
                continue;
            };
            self.refresh_row(number);
            let welcome = self.welcome(number).ok_or(Refused::Revoked)?;
            match (which, has_replaced) {
                (1, _) => self.note_arrival(number, |project, user, participant| Event::PeerJoined {
                    project,
                    user,
                    participant,
                }),
                (_, true) => self.note_arrival(number, |project, user, participant| Event::PeerReplaced {
                    project,
                    user,
                    participant,
                }),
                _ => {}
            }
            let frames = std::iter::once(welcome).chain(waiting).collect();
            return Ok(Arrived { number, which, connection, frames, reader });
        }
    }

    /// Removes what an arrival that failed has made, unless another link of the same key has it by now.
    fn take_back(&self, number: u64, is_new: bool) {
        self.remove_if(number, None, |entry| is_new && entry.links == 0);
    }

    fn note_arrival(&self, number: u64, event: fn(Text, Text, Text) -> Event) {
        let registry = self.registry.lock();
        let whose = registry.get(number).map(|entry| (entry.peer.clone(), entry.row.clone()));
        drop(registry);
        if let Some((peer, row)) = whose {
            self.note((&peer, row.as_deref()), event);
        }
    }

    /// What is sent to the peer from now on follows on this link.
    fn link(&self, number: u64, link: &LinkHandle) -> Option<Linked> {
        let mut registry = self.registry.lock();
        let (which, before) = registry.link(number, link.clone())?;
        let has_replaced = before.is_some();
        before.into_iter().for_each(|before| before.close(Closing::REPLACED));
        let entry = registry.get(number)?;
        let waiting = entry.mailbox.waiting().map(frames::message).collect();
        let reader = registry.feed_of(&entry.peer.project)?.reader(number, &entry.peer.member);
        Some(Linked { which, has_replaced, waiting, reader })
    }

    /// The number and the session of a peer, and whether it is new.
    fn find_or_add(&self, peer: &ProvenPeer) -> Result<(u64, Session, bool), Refused> {
        self.remove_foreign(peer);
        let attributes = self.attributes_of(peer);
        let unavailable = |_| Refused::Capacity;
        let mut registry = self.registry.lock();
        let known = peer.session_key.and_then(|key| registry.of_key(&peer.project, &key));
        if let Some((number, entry)) = known.and_then(|number| Some((number, registry.get_mut(number)?))) {
            let session = session(entry.session.id(), peer, attributes);
            entry.peer = peer.clone();
            entry.session = session.clone();
            drop(registry);
            self.engine.update_session(&session);
            return Ok((number, session, false));
        }
        let session = session(&random_id("peer-").map_err(unavailable)?, peer, attributes);
        let token = AccessToken::generate().map_err(unavailable)?;
        let number = registry.add(peer.clone(), session.clone(), token).map_err(|_| Refused::Capacity)?;
        Ok((number, session, true))
    }

    /// A session key for which another member vouches now is another peer: it gets nothing that was the first one's.
    fn remove_foreign(&self, peer: &ProvenPeer) {
        let known = peer.session_key.and_then(|key| self.registry.lock().of_key(&peer.project, &key));
        if let Some(number) = known {
            self.remove_if(number, Some(Closing::REPLACED), |entry| entry.peer.member != peer.member);
        }
    }

    fn welcome(&self, number: u64) -> Option<String> {
        let registry = self.registry.lock();
        let entry = registry.get(number)?;
        let participant = entry.row.as_ref().map(|row| row.participant.as_str());
        Some(frames::welcome(participant, &entry.peer.member, entry.token.as_str(), self.left_ms))
    }

    /// A peer may be shown otherwise than before: the others of its project are told.
    pub(crate) fn refresh_row(&self, number: u64) {
        let session = self.registry.lock().get(number).map(|entry| entry.session.clone());
        let Some(session) = session else { return };
        let showing = self.showing.lock();
        let Some(row) = self.rooms.own_presence(&session) else {
            drop(showing);
            // Its lease is over, even if it still has a link on which it was silent: it comes back by a new one.
            return self.remove_if(number, Some(Closing::LOST), |entry| entry.row.is_some());
        };
        let mut registry = self.registry.lock();
        let row = Arc::new(row);
        let before = registry.show(number, Arc::clone(&row));
        let Some(peer) = registry.get(number).map(|entry| &entry.peer) else { return };
        let Some(feed) = registry.feed_of(&peer.project) else { return };
        let (member, session_key) = (peer.member.clone(), peer.session_key);
        drop(registry);
        if before.as_ref() != Some(&row) {
            feed.show(number, &member, PeerRow { row, session_key });
        }
    }

    /// What the application says of a peer; its function runs without a lock.
    pub(super) fn attributes_of(&self, peer: &ProvenPeer) -> Attributes {
        self.attributes.get().map(|of| of(peer)).unwrap_or_default()
    }

    /// A link ended. If its peer did not say that it leaves, it may come back for a while.
    pub(crate) fn depart(self: &Arc<Self>, (number, which): (u64, u64), connection: Connection, has_left: bool) {
        let was_current = self.registry.lock().unlink(number, which);
        if has_left && was_current {
            connection.closed();
            drop(connection);
            return self.remove_if(number, None, |entry| entry.links == which);
        }
        drop(connection);
        if was_current {
            self.remove_later(number, which);
        }
    }

    /// A peer that does not come back within its lease is gone, whatever other connections its session has.
    fn remove_later(self: &Arc<Self>, number: u64, which: u64) {
        let lease = self.clock.sleep_until(self.clock.now_ms().saturating_add(self.left_ms));
        let inner = Arc::downgrade(self);
        self.runtime.spawn(async move {
            lease.await;
            if let Some(inner) = inner.upgrade() {
                inner.remove_if(number, None, |entry| entry.links == which && entry.link.is_none());
            }
        });
    }
}

/// The session of a peer.
pub(super) fn session(id: &str, peer: &ProvenPeer, attributes: Attributes) -> Session {
    let session = Session::new(id)
        .with_user(peer.member.as_str())
        .with_project(peer.project.as_str())
        .with_trust(Trust::Verified)
        .with_permissions(peer.rights.iter().map(String::as_str));
    let session = attributes.into_iter().fold(session, |session, (name, value)| session.with_attribute(name, value));
    let kind = if peer.session_key.is_some() { ParticipantKind::Session } else { ParticipantKind::Daemon };
    match &peer.card {
        Some(card) => session.with_presence(presence(card, kind)),
        None => session,
    }
}

fn presence(card: &Card, kind: ParticipantKind) -> Presence {
    let Card { name, cwd, pid, host, role, groups } = card;
    let shown = Presence::new(name.as_str()).kind(kind).groups(groups.iter().map(String::as_str));
    let shown = cwd.as_deref().into_iter().fold(shown, Presence::cwd);
    let shown = host.as_deref().into_iter().fold(shown, Presence::host);
    let shown = role.as_deref().into_iter().fold(shown, Presence::role);
    pid.iter().fold(shown, |shown, pid| shown.pid(*pid))
}
