//! Subscribing, resuming and unsubscribing.

use std::sync::Arc;

use super::greeter::Greeter;
use super::peer::Peer;
use crate::config::Limit;
use crate::deliver::link::Link;
use crate::deliver::peer_kind::PeerKind;
use crate::deliver::resume_point::ResumePoint;
use crate::deliver::subscription::Subscription;
use crate::event::{Event, Observers};
use crate::lifecycle::liveness::Liveness;
use crate::lifecycle::resume::ResumeWindow;
use crate::protocol::code::ErrorCode;
use crate::protocol::encode;
use crate::protocol::encoded_event::EncodedEvent;
use crate::protocol::message::{Position, RequestId};
use crate::refresh::refresher::Refresher;
use crate::render::view::ViewOptions;
use crate::rooms::by_path::RoomPaths;
use crate::sessions::quota::{Quota, QuotaExceeded};

/// Serves the subscriptions of all sessions.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    pub(crate) quota: Arc<Quota>,
    pub(crate) refresher: Arc<Refresher>,
    pub(crate) resume: Arc<ResumeWindow>,
    pub(crate) liveness: Arc<Liveness>,
    pub(crate) greeter: Arc<Greeter>,
    pub(crate) observers: Arc<Observers>,
    /// Absent if there are no rooms.
    pub(crate) rooms: Option<Arc<RoomPaths>>,
    /// How many bytes the subscriptions of one connection may keep of what their consumer chose.
    pub(crate) max_bytes: usize,
}

impl Subscriptions {
    /// Subscribes; from where the consumer's copy was, if it says so and that is still known.
    pub(crate) fn start(&self, peer: &Peer, id: RequestId, view: ViewOptions, position: Option<&Position>) {
        // A position by another engine's versions says nothing here.
        let position = position.filter(|position| position.epoch == self.greeter.epoch());
        if let Some(lost) = position.and_then(|position| position.connection.as_deref()) {
            self.supersede(peer, lost);
        }
        if !self.admit(peer, &id, &view) {
            return;
        }
        let path = self.rooms.is_some().then(|| view.path.clone());
        self.join_room(peer, path.as_deref());
        let point = resume_point(peer, &view, position);
        let resumes = point.is_some();
        peer.link.with_outbox(|outbox, released| match point {
            Some(point) => outbox.resume(Subscription::resumed(id, point), released),
            None => outbox.subscribe(Subscription::new(id, view), released),
        });
        // Another connection may have ended the last subscription there in between.
        self.join_room(peer, path.as_deref());
        if resumes {
            let (session, connection) = (peer.slot.id(), peer.link.number);
            self.observers.emit(|| Event::Resumed { session, connection });
        }
        self.refresher.request_first_tree(&peer.slot);
        peer.link.wake();
    }

    /// Who subscribes at a room, or below it, joins it (rooms 3).
    fn join_room(&self, peer: &Peer, path: Option<&str>) {
        if let (Some(rooms), Some(path)) = (&self.rooms, path) {
            rooms.subscribing(&peer.slot, path);
        }
    }

    /// Whether there may be one more subscription. One under a known id replaces that one.
    fn admit(&self, peer: &Peer, id: &RequestId, view: &ViewOptions) -> bool {
        let (known, own, others) = peer.link.with_outbox(|outbox, _| {
            (outbox.has_subscription(id), outbox.subscriptions(), outbox.kept_bytes_without(id))
        });
        let admitted = match others + id.text().len() + view.bytes() {
            bytes if bytes > self.max_bytes => Err(QuotaExceeded(Limit::SubscriptionBytes)),
            _ if known => Ok(()),
            _ => self.quota.admit_subscription(&peer.slot, own),
        };
        match admitted {
            Ok(()) => true,
            Err(exceeded) => {
                self.observers.warn(&Event::LimitReached { limit: exceeded.0, session: peer.slot.id() });
                peer.link.reply(encode::error(Some(id), ErrorCode::Busy, exceeded.message()));
                false
            }
        }
    }

    pub(crate) fn end(&self, peer: &Peer, id: &RequestId) {
        let (ended, path) = peer.link.with_outbox(|outbox, released| {
            let before = outbox.subscriptions();
            let path = self.rooms.as_ref().and_then(|_| outbox.subscribed_path(id));
            outbox.unsubscribe(id, released);
            (before - outbox.subscriptions(), path)
        });
        self.quota.release_subscriptions(ended);
        if let (Some(rooms), Some(path)) = (&self.rooms, path) {
            rooms.unsubscribed(&peer.slot, &path);
        }
    }

    /// Ends the connection of this name, if this session has it, and keeps its resume points, as if its socket had ended:
    /// a consumer that comes back before anybody noticed that its socket was lost takes the place of its old connection.
    /// Everybody else's connections, and tabs, are left alone.
    ///
    /// Its subscriptions are taken before the new connection looks for them, and with its outbox locked: each is in one
    /// place at a time, so no patch is lost and none is written twice.
    fn supersede(&self, peer: &Peer, name: &str) {
        let Some(old) = self.other_connection(peer, name) else { return };
        let (subscriptions, points) = old.hand_over(&EncodedEvent::own("session_replaced", None));
        self.quota.release_subscriptions(subscriptions);
        self.resume.keep(&peer.slot, points);
        self.liveness.abort_soon(&old);
    }

    /// Another consumer's connection of this session.
    fn other_connection(&self, peer: &Peer, name: &str) -> Option<Arc<Link>> {
        let mut others = peer
            .slot
            .links()
            .into_iter()
            .filter(|link| link.kind == PeerKind::Consumer && !Arc::ptr_eq(link, &peer.link));
        others.find(|link| self.greeter.connection_name(link.number) == name)
    }
}

/// From where a consumer's copy can be brought up to date, if that is still known.
fn resume_point(peer: &Peer, view: &ViewOptions, position: Option<&Position>) -> Option<ResumePoint> {
    let position = position.filter(|_| !peer.slot.is_outdated())?;
    peer.slot.take_resume_point(view, position.version)
}
