//! One match over what a consumer can say.

use std::sync::Arc;

use crate::config::Limit;
use crate::core::Core;
use crate::core::quota::QuotaExceeded;
use crate::deliver::link::Link;
use crate::deliver::subscription::{ResumePoint, Subscription};
use crate::event::Event;
use crate::protocol::code::ErrorCode;
use crate::protocol::message::{Position, Refused, Request, RequestId};
use crate::protocol::{decode, encode};
use crate::render::view::ViewOptions;
use crate::sessions::slot::Slot;

/// What a peer over its rate is told.
pub(crate) const TOO_MANY: &str = "too many messages: wait a little";

/// One consumer's way in: the engine, its session, its way out.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) core: Arc<Core>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) link: Arc<Link>,
}

/// Serves one frame. Of a batch, each message after the first is admitted by itself.
pub(crate) fn receive(peer: &Peer, text: &str, admit: impl Fn() -> bool) {
    for (at, message) in decode::decode(text).into_iter().enumerate() {
        if at > 0 && !admit() {
            peer.link.reply(encode::refused(&over_rate(message)));
            continue;
        }
        if peer.link.outbox.lock().is_ending() {
            return;
        }
        match message {
            Ok(request) => dispatch(peer, request),
            Err(refused) => peer.link.reply(encode::refused(&refused)),
        }
    }
}

fn dispatch(peer: &Peer, request: Request) {
    match request {
        // Before the greeting went out it is on its way anyway, and it must come once (contract 1.1).
        Request::Connect if !peer.link.outbox.lock().has_greeted() => {}
        Request::Connect => peer.link.reply(peer.core.hello(&peer.slot, peer.link.number)),
        Request::Subscribe { id, view, position } => subscribe(peer, id, view, position.as_ref()),
        Request::Unsubscribe { id } => unsubscribe(peer, &id),
        Request::Query { id, view } => super::query::query(peer, id, view),
        Request::Invoke { id, path, action, params } => super::invoke::invoke(peer, id, path, action, params),
    }
}

/// The refusal of a message that came too soon, with its id so that nobody waits for ever.
fn over_rate(message: Result<Request, Refused>) -> Refused {
    let (id, as_result) = match message {
        Ok(Request::Invoke { id, .. }) => (Some(id), true),
        Ok(Request::Subscribe { id, .. } | Request::Unsubscribe { id } | Request::Query { id, .. }) => {
            (Some(id), false)
        }
        Ok(Request::Connect) => (None, false),
        Err(refused) => (refused.id, refused.as_result),
    };
    Refused { id, code: ErrorCode::Busy, message: TOO_MANY.to_owned(), as_result }
}

fn unsubscribe(peer: &Peer, id: &RequestId) {
    let mut outbox = peer.link.outbox.lock();
    let before = outbox.subscriptions();
    outbox.unsubscribe(id);
    peer.core.subscriptions.give_back(before - outbox.subscriptions());
}

fn subscribe(peer: &Peer, id: RequestId, view: ViewOptions, position: Option<&Position>) {
    // A position by another engine's versions says nothing here.
    let position = position.filter(|position| position.epoch == *peer.core.epoch);
    if let Some(lost) = position.and_then(|position| position.connection.as_deref()) {
        peer.supersede(lost);
    }
    let mut outbox = peer.link.outbox.lock();
    // One under a known id takes that one's place.
    if !outbox.has_subscription(&id) {
        drop(outbox);
        if let Err(full) = peer.take_subscription() {
            peer.core.limit_reached(full.limit, &peer.slot);
            peer.link.reply(encode::error(Some(&id), ErrorCode::Busy, full.words));
            return;
        }
        outbox = peer.link.outbox.lock();
    }
    let kept = peer.kept(&view, position);
    let resumes = kept.is_some();
    match kept {
        Some(kept) => outbox.resume(Subscription::resumed(id, kept)),
        None => outbox.subscribe(Subscription::new(id, view)),
    }
    drop(outbox);
    if resumes {
        let (session, connection) = (peer.slot.context().id().clone(), peer.link.number);
        peer.core.observers.emit(|| Event::Resumed { session, connection });
    }
    peer.core.want_tree(&peer.slot);
    peer.link.wake();
}

impl Peer {
    fn take_subscription(&self) -> Result<(), QuotaExceeded> {
        if self.link.outbox.lock().subscriptions() >= self.core.config.limits.subscriptions_per_connection {
            return Err(QuotaExceeded {
                limit: Limit::SubscriptionsPerConnection,
                words: "this connection has too many subscriptions",
            });
        }
        self.core.take_subscription(&self.slot)
    }

    /// Where a consumer's copy can go on, if that is still known.
    fn kept(&self, view: &ViewOptions, position: Option<&Position>) -> Option<ResumePoint> {
        let position = position.filter(|_| !self.slot.is_outdated())?;
        self.slot.kept(view, position.version)
    }
}

impl Core {
    /// `hello`, with the fields of the session that the application lets out (contract 1.1).
    pub(crate) fn hello(&self, slot: &Slot, number: u64) -> String {
        let session = slot.session();
        let field = |name: &str| match name {
            "user" => session.user(),
            "project" => session.project(),
            name => session.attribute(name),
        };
        let told = self.hello_fields.iter().filter_map(|name| Some((name.to_string(), field(name)?.into())));
        let told: serde_json::Map<_, _> = told.collect();
        let told = (!told.is_empty()).then_some(serde_json::Value::Object(told));
        encode::hello(&self.id, &self.name, &self.epoch, &self.connection_names.of(number), told.as_ref())
    }
}
