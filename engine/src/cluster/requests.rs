//! What this instance asks another one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bus::Bus;
use super::envelope::{Refusal, Request, decode_reply};
use super::instance::Instance;
use super::request_error::RequestError;
use crate::clock::{Clock, millis};
use crate::config::{ClusterLimits, Limit};
use crate::event::{Event, Observers};
use crate::model::Text;
use crate::sync::{AtomicUsize, Ordering, Signal};

/// Why another instance has not done what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AskError {
    /// It was not asked, or did not reply.
    Request(RequestError),
    /// Too many requests are in flight here.
    Busy,
    /// It has refused.
    Refused(Refusal),
    /// It has replied something else than what is expected.
    Malformed,
}

/// Asks other instances, of which so many at a time.
#[derive(Debug)]
pub(crate) struct Requests {
    bus: Arc<Bus>,
    clock: Arc<dyn Clock>,
    observers: Arc<Observers>,
    in_flight: AtomicUsize,
    /// Somebody who waits for a place has one.
    freed: Signal,
    max: usize,
    max_bytes: usize,
    at_most: Duration,
}

/// One request that is in flight.
struct Asking<'a>(&'a Requests);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.0.freed.notify(1);
    }
}

impl Requests {
    pub(crate) fn new(bus: Arc<Bus>, clock: Arc<dyn Clock>, observers: Arc<Observers>, limits: &ClusterLimits) -> Self {
        let (max, max_bytes, at_most) = (limits.requests, limits.message_bytes, limits.request_timeout);
        Self { bus, clock, observers, in_flight: AtomicUsize::new(0), freed: Signal::new(), max, max_bytes, at_most }
    }

    /// Asks this life of an instance, and waits for its reply: at most so long, and no longer than `cluster.request_timeout`.
    ///
    /// # Errors
    /// See [`AskError`].
    pub(crate) async fn ask<R: DeserializeOwned>(
        &self,
        to: &Instance,
        kind: &str,
        body: &(impl Serialize + Sync),
        at_most: Duration,
    ) -> Result<R, AskError> {
        let asking = self.begin().ok_or_else(|| self.busy())?;
        self.ask_as(asking, to, (kind, body), at_most).await
    }

    /// The same, but while too many requests are in flight it waits until then for its turn.
    ///
    /// # Errors
    /// See [`AskError`].
    pub(crate) async fn ask_in_turn<R: DeserializeOwned>(
        &self,
        to: &Instance,
        (kind, body): (&str, &(impl Serialize + Sync)),
        at_most: Duration,
        until_ms: u64,
    ) -> Result<R, AskError> {
        let asking = self.begin_in_turn(until_ms).await.ok_or_else(|| self.busy())?;
        self.ask_as(asking, to, (kind, body), at_most).await
    }

    async fn ask_as<R: DeserializeOwned>(
        &self,
        asking: Asking<'_>,
        to: &Instance,
        (kind, body): (&str, &(impl Serialize + Sync)),
        at_most: Duration,
    ) -> Result<R, AskError> {
        let message = Request::new(self.bus.this.clone(), to.clone(), kind, body).encode();
        if message.len() > self.max_bytes {
            return Err(AskError::Request(RequestError::TooLarge));
        }
        let reply = self.send(&to.name, message, at_most.min(self.at_most)).await.map_err(AskError::Request)?;
        drop(asking);
        let result =
            decode_reply(&reply, self.max_bytes).map_err(|_| AskError::Malformed)?.map_err(AskError::Refused)?;
        serde_json::from_str(result.get()).map_err(|_| AskError::Malformed)
    }

    fn busy(&self) -> AskError {
        self.observers.warn(&Event::LimitReached { limit: Limit::ClusterRequests, session: Text::default() });
        AskError::Busy
    }

    fn begin(&self) -> Option<Asking<'_>> {
        let one_more = |in_flight| (in_flight < self.max).then_some(in_flight + 1);
        self.in_flight.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok().map(|_| Asking(self))
    }

    async fn begin_in_turn(&self, until_ms: u64) -> Option<Asking<'_>> {
        loop {
            // It listens before it looks: a place that becomes free meanwhile is not missed.
            let freed = self.freed.listen();
            if let Some(asking) = self.begin() {
                return Some(asking);
            }
            if let Either::Right(_) = select(freed, self.clock.sleep_until(until_ms)).await {
                return None;
            }
        }
    }

    /// The engine's clock decides, whatever that of the cluster says.
    async fn send(&self, to: &str, message: Text, at_most: Duration) -> Result<Text, RequestError> {
        let until_ms = self.clock.now_ms().saturating_add(millis(at_most));
        let request = self.bus.request(to, message, at_most);
        match select(request, self.clock.sleep_until(until_ms)).await {
            Either::Left((reply, _)) => reply,
            Either::Right(_) => Err(RequestError::TimedOut),
        }
    }
}
