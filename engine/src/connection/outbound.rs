//! What a connection's writer needs: it takes frames from the outbox as its socket has room.

use std::sync::Arc;

use crate::clock::timer_queue::TimerQueue;
use crate::config::Limit;
use crate::deliver::delivery::Delivery;
use crate::deliver::frame::{Frame, Next, Wrote};
use crate::deliver::link::Link;
use crate::deliver::resume_point::ResumePoint;
use crate::event::{Event, Observers};
use crate::lifecycle::cache::CacheSweeper;
use crate::lifecycle::expiry::Expiry;
use crate::receive::peer::Peer;
use crate::sessions::quota::Quota;
use crate::sessions::slot::Slot;
use crate::sessions::timer::Timer;

/// Makes the frames of all connections.
#[derive(Debug)]
pub(crate) struct Outbound {
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) expiry: Arc<Expiry>,
    pub(crate) quota: Arc<Quota>,
    pub(crate) cache: Arc<CacheSweeper>,
    pub(crate) timers: Arc<TimerQueue<Timer>>,
    pub(crate) observers: Arc<Observers>,
}

impl Outbound {
    /// The next frame of a connection, if there is one now; otherwise its writer is woken when there may be.
    pub(super) fn next_frame(&self, peer: &Peer) -> Option<Frame> {
        let now_ms = self.timers.now_ms();
        if peer.link.take_ping() {
            peer.link.writing(Some(now_ms));
            return Some(Frame::Ping);
        }
        match self.look(peer, now_ms) {
            Next::Write(frame, wrote) => {
                peer.link.writing(Some(now_ms));
                self.report(peer, &frame, wrote);
                Some(frame)
            }
            Next::At(at_ms) => {
                self.timers.at(at_ms, Timer::Wake(Arc::downgrade(&peer.link)));
                None
            }
            Next::Idle => None,
        }
    }

    /// Looks at the outbox. The tree is read with the outbox locked: a reply that is in it cannot overtake what was
    /// committed before it.
    fn look(&self, peer: &Peer, now_ms: u64) -> Next {
        // The clock may be the application's, so it is read without the lock.
        let now = self.expiry.now();
        let (next, ended) = peer.link.with_outbox(|outbox, released| {
            let (tree, expires_at) = peer.slot.shown(outbox.starts_with_a_view());
            let shown = tree.as_ref().filter(|_| expires_at.is_none_or(|at| at > now));
            let before = outbox.subscriptions();
            let next = outbox.next(now_ms, shown, &self.delivery, released);
            released.tree(tree);
            (next, before - outbox.subscriptions())
        });
        self.quota.release_subscriptions(ended);
        next
    }

    fn report(&self, peer: &Peer, frame: &Frame, wrote: Wrote) {
        let Frame::Text(text) = frame else { return };
        self.cache.schedule();
        if self.delivery.memo.is_newly_full() {
            self.limit_reached(Limit::CacheBytes, &peer.slot);
        }
        let (bytes, connection) = (text.len(), peer.link.number);
        let session = || peer.slot.id();
        match wrote {
            Wrote::Snapshot(compacted) => {
                self.report_compacted(&peer.slot, compacted);
                self.observers.emit(|| Event::SnapshotSent { session: session(), connection, bytes });
            }
            Wrote::Patch => self.observers.emit(|| Event::PatchSent { session: session(), connection, bytes }),
            Wrote::Answer(compacted) => self.report_compacted(&peer.slot, compacted),
            Wrote::TooLarge => self.limit_reached(Limit::FrameBytes, &peer.slot),
            Wrote::Other => {}
        }
    }

    fn report_compacted(&self, slot: &Slot, compacted: Option<usize>) {
        if let Some(nodes) = compacted {
            self.observers.warn(&Event::Compacted { session: slot.id(), nodes });
        }
    }

    fn limit_reached(&self, limit: Limit, slot: &Slot) {
        self.observers.warn(&Event::LimitReached { limit, session: slot.id() });
    }

    /// The socket is gone: subscriptions end.
    pub(super) fn end(&self, link: &Link) -> Vec<ResumePoint> {
        let (subscriptions, points) = link.with_outbox(|outbox, released| outbox.take_subscriptions(released));
        self.quota.release_subscriptions(subscriptions);
        points
    }
}
