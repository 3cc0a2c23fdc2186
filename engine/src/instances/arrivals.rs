//! Where the cluster hands over what arrives.

use std::sync::{Arc, Weak};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending};

use super::station::Station;
use crate::cluster::inbox::Inbox;
use crate::cluster::topic::Topic;
use crate::model::Text;

/// The station, as long as its engine lives.
#[derive(Debug)]
pub(crate) struct Arrivals(Weak<Station>);

impl Arrivals {
    pub(crate) fn new(station: &Arc<Station>) -> Self {
        Self(Arc::downgrade(station))
    }

    fn with(&self, act: impl FnOnce(&Station)) {
        if let Some(station) = self.0.upgrade() {
            act(&station);
        }
    }
}

impl Inbox for Arrivals {
    fn published(&self, topic: &Topic, message: &str) {
        self.with(|station| station.published(topic, message));
    }

    fn requested(&self, message: Text) -> BoxFuture<'static, Text> {
        match self.0.upgrade() {
            Some(station) => station.requested(&message),
            // As if it had died a moment earlier.
            None => pending().boxed(),
        }
    }

    fn subscribed(&self, topic: &Topic) {
        self.with(|station| station.subscribed(topic));
    }

    fn refused(&self, topic: &Topic, why: &str) {
        self.with(|station| station.refused(topic, why));
    }

    fn connected(&self) {
        self.with(Station::connected);
    }

    fn disconnected(&self, why: &str) {
        self.with(|station| station.disconnected(why));
    }

    fn lost(&self, why: &str) {
        tracing::warn!(target: "grove", why, "messages of other instances were dropped");
        self.with(Station::lost);
    }
}
