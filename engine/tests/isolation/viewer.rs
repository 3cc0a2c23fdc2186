//! One session of a simulation: its claims, its consumer and its tab.

use std::collections::BTreeSet;

use grove_engine::testing::TestConsumer;
use grove_engine::{Connection, Engine, Session};
use serde_json::json;

use crate::claims::{Claims, id, markers};
use crate::reference::View;

/// One session, whether it is open or not.
pub(crate) struct Viewer {
    pub(crate) number: usize,
    pub(crate) claims: Claims,
    /// The claims with which the consumer connected, and with which it reconnects.
    pub(crate) connected_with: Claims,
    pub(crate) session: Session,
    /// The markers that it may be sent: those of its claims now and since the last check.
    pub(crate) allowed: BTreeSet<String>,
    /// The revision of the path that is registered for it alone.
    pub(crate) own: Option<u64>,
    pub(crate) consumer: Option<TestConsumer>,
    pub(crate) views: Vec<(String, View)>,
    /// Its subscriptions at rooms.
    pub(crate) room_views: Vec<String>,
    pub(crate) tab: Option<Connection>,
}

impl Viewer {
    pub(crate) fn new(number: usize, claims: Claims) -> Self {
        let session = claims.session(number);
        let allowed = claims.markers(number).collect();
        let connected_with = claims.clone();
        Self {
            number,
            claims,
            connected_with,
            session,
            allowed,
            own: None,
            consumer: None,
            views: Vec::new(),
            room_views: Vec::new(),
            tab: None,
        }
    }

    pub(crate) fn id(&self) -> String {
        id(self.number)
    }

    /// Returns one of the markers of its claims.
    pub(crate) fn marker(&self, which: usize) -> String {
        let all: Vec<String> = self.claims.markers(self.number).collect();
        all[which % all.len()].clone()
    }

    /// Removes its own path, and disconnects its consumer and its tab.
    pub(crate) fn disconnect(&mut self, engine: &Engine) {
        if self.own.take().is_some() {
            engine.restore_for(&self.id(), "own").unwrap();
        }
        self.clear();
    }

    /// Forgets everything that ends with its session.
    pub(crate) fn clear(&mut self) {
        (self.consumer, self.tab, self.own) = (None, None, None);
        self.views.clear();
        self.room_views.clear();
    }

    /// Subscribes at a room, if it is connected and has not too many such subscriptions.
    pub(crate) fn subscribe_room(&mut self, id: &str) -> bool {
        let Some(consumer) = self.consumer.as_mut().filter(|_| self.room_views.len() < 2) else { return false };
        let path = format!("/rooms/{id}");
        self.room_views.push(consumer.start_subscription(json!({"path": path, "depth": -1})));
        true
    }

    /// Ends its first subscription at a room.
    pub(crate) fn unsubscribe_room(&mut self) {
        if let Some(consumer) = self.consumer.as_mut().filter(|_| !self.room_views.is_empty()) {
            consumer.unsubscribe(&self.room_views.remove(0));
        }
    }

    /// Asserts that what was sent contains no markers of others.
    pub(crate) fn search(&self, sent: &str) {
        for found in markers(sent) {
            assert!(self.allowed.contains(found), "{found} was sent to session {}: {sent}", self.number);
        }
    }
}
