//! What all connections share.

use std::any::Any;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::outbound::Outbound;
use crate::clock::timer_queue::TimerQueue;
use crate::config::{Config, Limit};
use crate::event::{Event, Observers};
use crate::lifecycle::resume::ResumeWindow;
use crate::receive::inbound::Inbound;
use crate::receive::peer::Peer;
use crate::rooms::service::RoomService;
use crate::sessions::idle_tracker::IdleTracker;
use crate::sessions::slot::Slot;
use crate::sessions::timer::Timer;

/// What all connections share: the way in, the way out, and what happens at the end.
#[derive(Debug)]
pub(crate) struct ConnectionServices {
    pub(crate) inbound: Inbound,
    pub(crate) outbound: Outbound,
    pub(crate) resume: Arc<ResumeWindow>,
    pub(crate) idle: Arc<IdleTracker>,
    pub(crate) timers: Arc<TimerQueue<Timer>>,
    pub(crate) observers: Arc<Observers>,
    pub(crate) config: Config,
    pub(crate) rooms: Option<Arc<RoomService>>,
    /// Keeps timers handled. The engine holds the services as well, and a connection outlives its last handle.
    pub(crate) _driver: Arc<dyn Any + Send + Sync>,
}

impl ConnectionServices {
    pub(super) const fn messages_per_second(&self) -> Option<NonZeroU32> {
        self.config.limits.messages_per_second
    }

    pub(super) fn limit_reached(&self, limit: Limit, slot: &Slot) {
        self.observers.warn(&Event::LimitReached { limit, session: slot.id() });
    }

    /// A connection ended: its subscriptions may resume for a while, and its session may be idle from now on.
    pub(super) fn detach(&self, peer: &Peer) {
        let points = self.outbound.end(&peer.link);
        self.resume.keep(&peer.slot, points);
        let was_last = peer.slot.detach(&peer.link, self.timers.now_ms());
        if let Some(rooms) = &self.rooms {
            rooms.disconnected(&peer.slot, &peer.link, was_last);
        }
        if was_last {
            self.idle.session_idle(&peer.slot);
        }
    }

    /// Reports the end of a connection, when nothing of it counts any more.
    pub(super) fn report_end(&self, peer: &Peer) {
        if self.outbound.quota.connections() == 0 {
            self.outbound.cache.clear();
        }
        let (session, connection, reason) = (peer.slot.id(), peer.link.number, peer.link.close_reason());
        self.observers.emit(|| Event::Disconnected { session, connection, reason });
    }
}
