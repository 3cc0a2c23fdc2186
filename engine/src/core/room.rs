//! Whether there is room for one more connection, subscription or tab: of one session, of one user, and in all.
//!
//! What a user has is counted over the user's sessions, which are few, when it is asked for: nothing is kept for that.

use super::Core;
use crate::sessions::slot::Slot;
use crate::sync::{AtomicUsize, Ordering};

/// A bound that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full {
    /// The field of `Config`.
    pub(crate) limit: &'static str,
    /// What the peer is told.
    pub(crate) words: &'static str,
}

/// How many there are of something in all.
#[derive(Debug, Default)]
pub(crate) struct Total(AtomicUsize);

impl Total {
    /// Takes one place, if fewer than `max` are taken.
    pub(crate) fn take(&self, max: usize) -> bool {
        let taken = self.0.fetch_add(1, Ordering::SeqCst) < max;
        if !taken {
            self.give_back(1);
        }
        taken
    }

    pub(crate) fn give_back(&self, count: usize) {
        if count > 0 {
            self.0.fetch_sub(count, Ordering::SeqCst);
        }
    }
}

impl Core {
    /// Whether a connection may stay that was just added to its session.
    pub(crate) fn room_for_connection(&self, slot: &Slot) -> Result<(), Full> {
        let config = &self.config;
        if slot.connections() > config.max_session_connections {
            return Err(Full { limit: "max_session_connections", words: "connections of one session" });
        }
        if self.of_user(slot, Slot::connections) > config.max_user_connections {
            return Err(Full { limit: "max_user_connections", words: "connections of one user" });
        }
        Ok(())
    }

    /// Takes a place in all for a tab that was just added to its session; its end gives it back.
    pub(crate) fn take_tab(&self, slot: &Slot) -> Result<(), Full> {
        let config = &self.config;
        if self.of_user(slot, |slot| slot.tabs().len()) > config.max_user_tabs {
            return Err(Full { limit: "max_user_tabs", words: "tabs of one user" });
        }
        match self.tabs.take(config.max_total_tabs) {
            true => Ok(()),
            false => Err(Full { limit: "max_total_tabs", words: "tabs" }),
        }
    }

    /// Takes a place for one more subscription. Must not be called with an outbox locked.
    ///
    /// Connections that subscribe at the same moment may each find the last place of their session or user.
    pub(crate) fn take_subscription(&self, slot: &Slot) -> Result<(), Full> {
        let config = &self.config;
        if subscriptions(slot) >= config.max_session_subscriptions {
            let words = "this session has too many subscriptions";
            return Err(Full { limit: "max_session_subscriptions", words });
        }
        if self.of_user(slot, subscriptions) >= config.max_user_subscriptions {
            return Err(Full { limit: "max_user_subscriptions", words: "this user has too many subscriptions" });
        }
        match self.subscriptions.take(config.max_total_subscriptions) {
            true => Ok(()),
            false => Err(Full { limit: "max_total_subscriptions", words: "there are too many subscriptions" }),
        }
    }

    /// How much the user of a session has of something; nothing if nobody knows who it is.
    fn of_user(&self, slot: &Slot, count: impl Fn(&Slot) -> usize) -> usize {
        let context = slot.context();
        let sessions = context.user().map(|user| self.table.of_user(user)).unwrap_or_default();
        sessions.iter().map(|slot| count(slot)).sum()
    }
}

fn subscriptions(slot: &Slot) -> usize {
    slot.links().iter().map(|link| link.outbox.lock().subscriptions()).sum()
}
