//! Who replies to which requests of other instances.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use hashbrown::HashMap;
use serde_json::value::RawValue;

use super::envelope::{Refusal, Request, encode_reply};
use super::instance::Instance;
use crate::clock::Clock;
use crate::event::Observers;
use crate::model::Text;
use crate::sync::{AtomicUsize, Ordering};

/// Replies to the requests of one kind. Another kind is another file with one of these.
pub(crate) trait RequestHandler: Send + Sync + 'static {
    /// The kind, as it is named on the wire.
    fn kind(&self) -> &'static str;

    /// Does what is asked. The asking instance waits for at most `cluster.request_timeout`, and may drop this then.
    fn handle(&self, from: Instance, body: Box<RawValue>) -> BoxFuture<'static, Result<Box<RawValue>, Refusal>>;
}

/// All handlers, by their kind.
pub(crate) struct Handlers {
    this: Instance,
    by_kind: HashMap<&'static str, Arc<dyn RequestHandler>>,
    in_flight: Arc<AtomicUsize>,
    max: usize,
    max_bytes: usize,
    clock: Arc<dyn Clock>,
    observers: Arc<Observers>,
}

/// One request that is being served.
struct Serving(Arc<AtomicUsize>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Handlers {
    /// `max` requests at once, each of at most so many bytes.
    pub(crate) fn new(
        this: Instance,
        handlers: impl IntoIterator<Item = Arc<dyn RequestHandler>>,
        (max, max_bytes): (usize, usize),
        clock: Arc<dyn Clock>,
        observers: Arc<Observers>,
    ) -> Self {
        let by_kind = handlers.into_iter().map(|handler| (handler.kind(), handler)).collect();
        Self { this, by_kind, in_flight: Arc::default(), max, max_bytes, clock, observers }
    }

    /// Replies to a request.
    pub(crate) fn serve(&self, message: &Text) -> BoxFuture<'static, Text> {
        let (handled, serving) = match self.find(message) {
            Ok(found) => found,
            Err(refusal) => return ready(encode_reply(Err(refusal))).boxed(),
        };
        async move {
            let reply = encode_reply(handled.await);
            drop(serving);
            reply
        }
        .boxed()
    }

    #[expect(clippy::type_complexity, reason = "a future and what counts it")]
    fn find(&self, message: &Text) -> Result<(BoxFuture<'static, Result<Box<RawValue>, Refusal>>, Serving), Refusal> {
        let request = Request::decode(message, self.max_bytes).map_err(|malformed| {
            self.observers.bus_message_dropped("request", malformed.as_str(), self.clock.now_ms());
            Refusal::Malformed
        })?;
        if request.to != self.this {
            return Err(Refusal::OtherInstance);
        }
        let handler = self.by_kind.get(request.kind.as_str()).ok_or(Refusal::UnknownKind)?;
        let serving = self.begin().ok_or(Refusal::Busy)?;
        Ok((handler.handle(request.from, request.body), serving))
    }

    fn begin(&self) -> Option<Serving> {
        let serving = Serving(Arc::clone(&self.in_flight));
        // Counted before it is looked: of two at the bound none gets past it.
        (self.in_flight.fetch_add(1, Ordering::SeqCst) < self.max).then_some(serving)
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers").field("kinds", &self.by_kind.keys()).finish_non_exhaustive()
    }
}
