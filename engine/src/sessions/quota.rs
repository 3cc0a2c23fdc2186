//! Whether one more connection, subscription or tab is allowed: of one session, of one user, and in all.
//!
//! What a user has is counted over the user's sessions, which are few, when it is asked for: nothing is kept for that.

use std::sync::Arc;

use super::slot::Slot;
use super::table::Table;
use crate::config::{Limit, Limits};
use crate::count::Count;
use crate::sync::{AtomicUsize, Listening, Ordering, Signal};

/// A limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QuotaExceeded(pub(crate) Limit);

impl QuotaExceeded {
    /// What the consumer is told.
    pub(crate) const fn message(self) -> &'static str {
        match self.0 {
            Limit::Calls => "too many requests are running",
            Limit::CallsPerConnection => "too many requests of this connection are running",
            Limit::CallsPerSession => "too many requests of this session are running",
            Limit::CallsPerUser => "too many requests of this user are running",
            Limit::Subscriptions => "there are too many subscriptions",
            Limit::SubscriptionsPerConnection => "this connection has too many subscriptions",
            Limit::SubscriptionsPerSession => "this session has too many subscriptions",
            Limit::SubscriptionsPerUser => "this user has too many subscriptions",
            Limit::SubscriptionBytes => "the paths and filters of this connection's subscriptions are too long",
            Limit::TasksPerSession => "too many tasks of this session are running",
            _ => "a limit is reached",
        }
    }
}

/// How many connections, subscriptions and tabs there are in all, and whether there may be more.
#[derive(Debug)]
pub(crate) struct Quota {
    table: Arc<Table>,
    limits: Limits,
    connections: AtomicUsize,
    subscriptions: AtomicUsize,
    tabs: AtomicUsize,
    mounted_tabs: Count,
    /// Notified when a connection ends.
    connection_gone: Signal,
}

/// One connection that counts, until this is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPermit(Arc<Quota>);

impl Quota {
    pub(crate) fn new(table: Arc<Table>, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            table,
            limits,
            connections: AtomicUsize::new(0),
            subscriptions: AtomicUsize::new(0),
            tabs: AtomicUsize::new(0),
            mounted_tabs: Count::default(),
            connection_gone: Signal::new(),
        })
    }

    /// Counts a connection before it belongs to a session.
    pub(crate) fn admit_connection(self: &Arc<Self>) -> Result<ConnectionPermit, QuotaExceeded> {
        let count = self.connections.fetch_add(1, Ordering::SeqCst);
        let permit = ConnectionPermit(Arc::clone(self));
        if count >= self.limits.connections { Err(QuotaExceeded(Limit::Connections)) } else { Ok(permit) }
    }

    /// Whether a connection may stay that was just added to its session.
    pub(crate) fn check_connections(&self, slot: &Slot) -> Result<(), QuotaExceeded> {
        if slot.connections() > self.limits.connections_per_session {
            return Err(QuotaExceeded(Limit::ConnectionsPerSession));
        }
        if self.of_user(slot, Slot::connections) > self.limits.connections_per_user {
            return Err(QuotaExceeded(Limit::ConnectionsPerUser));
        }
        Ok(())
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Notified each time a connection ends.
    pub(crate) fn listen(&self) -> Listening {
        self.connection_gone.listen()
    }

    /// Counts a tab that was just added to its session; to be released when it ends.
    pub(crate) fn admit_tab(&self, slot: &Slot) -> Result<(), QuotaExceeded> {
        if self.of_user(slot, |slot| slot.tabs().len()) > self.limits.tabs_per_user {
            return Err(QuotaExceeded(Limit::TabsPerUser));
        }
        take(&self.tabs, self.limits.tabs, Limit::Tabs)
    }

    pub(crate) fn release_tab(&self) {
        self.tabs.fetch_sub(1, Ordering::SeqCst);
    }

    /// A tab's tree is shown from now on.
    pub(crate) fn tab_mounted(&self) {
        self.mounted_tabs.add(1);
    }

    /// A tab's tree is not shown any more.
    pub(crate) fn tab_unmounted(&self) {
        self.mounted_tabs.subtract(1);
    }

    /// How many tabs are shown.
    pub(crate) fn mounted_tabs(&self) -> usize {
        self.mounted_tabs.get()
    }

    /// How many subscriptions there are in all.
    pub(crate) fn subscriptions(&self) -> usize {
        self.subscriptions.load(Ordering::SeqCst)
    }

    /// Counts one more subscription of a connection that has `own`. Must not be called with an outbox locked.
    ///
    /// Connections that subscribe at the same moment may each take the last one of their session or user.
    pub(crate) fn admit_subscription(&self, slot: &Slot, own: usize) -> Result<(), QuotaExceeded> {
        if own >= self.limits.subscriptions_per_connection {
            return Err(QuotaExceeded(Limit::SubscriptionsPerConnection));
        }
        if subscriptions(slot) >= self.limits.subscriptions_per_session {
            return Err(QuotaExceeded(Limit::SubscriptionsPerSession));
        }
        if self.of_user(slot, subscriptions) >= self.limits.subscriptions_per_user {
            return Err(QuotaExceeded(Limit::SubscriptionsPerUser));
        }
        take(&self.subscriptions, self.limits.subscriptions, Limit::Subscriptions)
    }

    pub(crate) fn release_subscriptions(&self, count: usize) {
        if count > 0 {
            self.subscriptions.fetch_sub(count, Ordering::SeqCst);
        }
    }

    /// How much the user of a session has of something; nothing if nobody knows who it is.
    fn of_user(&self, slot: &Slot, count: impl Fn(&Slot) -> usize) -> usize {
        let context = slot.context();
        let sessions = context.user().map(|user| self.table.of_user(user)).unwrap_or_default();
        sessions.iter().map(|slot| count(slot)).sum()
    }
}

/// Counts one more, if there are fewer than `max`.
fn take(total: &AtomicUsize, max: usize, limit: Limit) -> Result<(), QuotaExceeded> {
    if total.fetch_add(1, Ordering::SeqCst) < max {
        return Ok(());
    }
    total.fetch_sub(1, Ordering::SeqCst);
    Err(QuotaExceeded(limit))
}

fn subscriptions(slot: &Slot) -> usize {
    slot.links().iter().map(|link| link.subscriptions()).sum()
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::SeqCst);
        self.0.connection_gone.notify(usize::MAX);
    }
}
