//! Whether there is room for one more connection, subscription or tab: of one session, of one user, and in all.
//!
//! What a user has is counted over the user's sessions, which are few, when it is asked for: nothing is kept for that.

use super::Core;
use crate::config::Limit;
use crate::sessions::slot::Slot;
use crate::sync::{AtomicUsize, Ordering};

/// A bound that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QuotaExceeded {
    /// The field of `Config`.
    pub(crate) limit: Limit,
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
    pub(crate) fn check_connection_quota(&self, slot: &Slot) -> Result<(), QuotaExceeded> {
        let config = &self.config;
        if slot.connections() > config.limits.connections_per_session {
            return Err(QuotaExceeded {
                limit: Limit::ConnectionsPerSession,
                words: "this session has too many connections",
            });
        }
        if self.of_user(slot, Slot::connections) > config.limits.connections_per_user {
            return Err(QuotaExceeded {
                limit: Limit::ConnectionsPerUser,
                words: "this user has too many connections",
            });
        }
        Ok(())
    }

    /// Takes a place in all for a tab that was just added to its session; its end gives it back.
    pub(crate) fn take_tab(&self, slot: &Slot) -> Result<(), QuotaExceeded> {
        let config = &self.config;
        if self.of_user(slot, |slot| slot.tabs().len()) > config.limits.tabs_per_user {
            return Err(QuotaExceeded { limit: Limit::TabsPerUser, words: "this user has too many tabs" });
        }
        match self.tabs.take(config.limits.tabs) {
            true => Ok(()),
            false => Err(QuotaExceeded { limit: Limit::Tabs, words: "there are too many tabs" }),
        }
    }

    /// Takes a place for one more subscription. Must not be called with an outbox locked.
    ///
    /// Connections that subscribe at the same moment may each find the last place of their session or user.
    pub(crate) fn take_subscription(&self, slot: &Slot) -> Result<(), QuotaExceeded> {
        let config = &self.config;
        if subscriptions(slot) >= config.limits.subscriptions_per_session {
            let words = "this session has too many subscriptions";
            return Err(QuotaExceeded { limit: Limit::SubscriptionsPerSession, words });
        }
        if self.of_user(slot, subscriptions) >= config.limits.subscriptions_per_user {
            return Err(QuotaExceeded {
                limit: Limit::SubscriptionsPerUser,
                words: "this user has too many subscriptions",
            });
        }
        match self.subscriptions.take(config.limits.subscriptions) {
            true => Ok(()),
            false => Err(QuotaExceeded { limit: Limit::Subscriptions, words: "there are too many subscriptions" }),
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
