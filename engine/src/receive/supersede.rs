//! A consumer that comes back before anybody noticed that its socket was lost takes the place of its old connection.

use std::sync::Arc;

use super::dispatch::Peer;
use crate::core::{Core, Timer};
use crate::deliver::link::Link;
use crate::protocol::close_reason::CloseReason;
use crate::protocol::encode;

/// How long a replaced connection has to take its last words, in ms. Then its socket is dropped: most are dead.
const CLOSE_GRACE_MS: u64 = 5_000;

impl Peer {
    /// Ends the connection of this name, if this session has it, and keeps where its subscriptions stood, as if its socket
    /// had ended. To everybody else's connection, and to a tab's, nothing happens.
    ///
    /// Its subscriptions are taken before the new connection looks for them, and with its outbox locked: each is in one
    /// place at a time, so no patch is lost and none is written twice.
    pub(crate) fn supersede(&self, name: &str) {
        let Some(old) = self.named(name) else { return };
        old.settle(CloseReason::Superseded.message());
        let (subscriptions, kept) = old.hand_over(encode::event("session_replaced", None));
        self.core.subscriptions.give_back(subscriptions);
        self.core.keep(&self.slot, kept);
        self.core.drop_soon(&old);
    }

    /// Another consumer's connection of this session.
    fn named(&self, name: &str) -> Option<Arc<Link>> {
        let mut others = self.slot.links().into_iter().filter(|link| !link.is_tab && !Arc::ptr_eq(link, &self.link));
        others.find(|link| self.core.connection_names.of(link.number) == name)
    }
}

impl Core {
    fn drop_soon(&self, link: &Arc<Link>) {
        self.timers.at(self.now_ms().saturating_add(CLOSE_GRACE_MS), Timer::Drop(Arc::downgrade(link)));
    }
}
