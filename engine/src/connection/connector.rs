//! Binds peers to sessions.

use std::sync::Arc;

use super::services::ConnectionServices;
use super::{Connection, ProvidingPeer};
use crate::clock::millis;
use crate::deliver::link::Link;
use crate::deliver::outbox::Outbox;
use crate::deliver::outbox_counts::OutboxCounts;
use crate::deliver::peer_kind::PeerKind;
use crate::error::ConnectError;
use crate::event::Event;
use crate::lifecycle::expiry::Expiry;
use crate::lifecycle::liveness::Liveness;
use crate::lifecycle::opener::Opener;
use crate::model::session::Session;
use crate::protocol::encode;
use crate::receive::greeter::Greeter;
use crate::receive::peer::Peer;
use crate::receive::tabs::{TabPeer, TabService};
use crate::rooms::agent_links::AgentPeer;
use crate::rooms::service::RoomService;
use crate::sessions::quota::{Quota, QuotaExceeded};
use crate::sessions::slot::Slot;
use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// Opens connections, until the provider shuts down.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) services: Arc<ConnectionServices>,
    pub(crate) opener: Arc<Opener>,
    pub(crate) quota: Arc<Quota>,
    pub(crate) greeter: Arc<Greeter>,
    pub(crate) expiry: Arc<Expiry>,
    pub(crate) liveness: Arc<Liveness>,
    pub(crate) tabs: Arc<TabService>,
    pub(crate) closing: AtomicBool,
    pub(crate) next_number: AtomicU64,
    /// Bytes that wait in all outboxes.
    pub(crate) outbox_counts: Arc<OutboxCounts>,
    pub(crate) rooms: Option<Arc<RoomService>>,
}

impl Connector {
    /// Refuses new connections from now on.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Binds a peer to a session, opening the session if need be.
    pub(crate) fn connect(&self, session: &Session, kind: PeerKind) -> Result<Connection, ConnectError> {
        loop {
            if self.is_closing() {
                return Err(ConnectError::Closing);
            }
            let permit = self.quota.admit_connection().map_err(|exceeded| self.refused(session, exceeded))?;
            let slot = self.opener.open(session)?;
            let link = self.link(&slot, kind);
            if !slot.attach(Arc::clone(&link)) {
                // It was closed since it was found: idle, expired or revoked. Looked for anew, it is made again or refused.
                continue;
            }
            let peer = Peer { slot, link };
            let tab = self.admit(&peer, session).inspect_err(|_| self.services.detach(&peer))?;
            self.begin(&peer);
            let provides = tab
                .map(ProvidingPeer::Tab)
                .or_else(|| self.agent(&peer).map(|agent| ProvidingPeer::Agent(Box::new(agent))));
            return Ok(Connection::new(Arc::clone(&self.services), peer, provides, permit));
        }
    }

    fn link(&self, slot: &Slot, kind: PeerKind) -> Arc<Link> {
        let config = &self.services.config;
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let greeting = match kind {
            PeerKind::Consumer => Some((self.greeter.hello(slot, number), millis(config.times.hello_delay))),
            PeerKind::Tab => Some((encode::TAB_CONNECT.to_owned(), 0)),
            PeerKind::InProcess | PeerKind::Agent | PeerKind::Events => None,
        };
        let outbox = Outbox::new(greeting, config.sizes.outbox_bytes);
        Arc::new(Link::new(number, kind, self.services.timers.now_ms(), outbox, Arc::clone(&self.outbox_counts)))
    }

    /// Whether a connection may stay that was just added to its session.
    fn admit(&self, peer: &Peer, session: &Session) -> Result<Option<TabPeer>, ConnectError> {
        let tab = || peer.link.is_tab().then(|| self.tabs.open(&peer.slot, &peer.link)).transpose();
        let admitted = self.quota.check_connections(&peer.slot).and_then(|()| tab());
        let tab = admitted.map_err(|exceeded| self.refused(session, exceeded))?;
        if self.is_closing() {
            tab.iter().for_each(TabPeer::close);
            return Err(ConnectError::Closing);
        }
        Ok(tab)
    }

    fn agent(&self, peer: &Peer) -> Option<AgentPeer> {
        let rooms = self.rooms.as_ref().filter(|_| peer.link.kind == PeerKind::Agent)?;
        Some(rooms.agent_links.open(&peer.slot, &peer.link))
    }

    fn refused(&self, session: &Session, exceeded: QuotaExceeded) -> ConnectError {
        let QuotaExceeded(limit) = exceeded;
        let session = session.context().id().clone();
        self.services.observers.warn(&Event::LimitReached { limit, session });
        ConnectError::LimitReached(limit)
    }

    fn begin(&self, peer: &Peer) {
        self.services.idle.pin(&peer.slot);
        // Of the claims that hold: the credential may be older than them.
        if let Some(warning) = self.expiry.warning(&peer.slot.context()) {
            peer.link.notice(&warning);
        }
        if let Some(rooms) = &self.rooms {
            rooms.connected(&peer.slot);
        }
        if !peer.link.kind.leaves_by_going() {
            self.liveness.watch(&peer.link);
        }
        let connection = peer.link.number;
        self.services.observers.emit(|| Event::Connected { session: peer.slot.id(), connection });
    }
}
