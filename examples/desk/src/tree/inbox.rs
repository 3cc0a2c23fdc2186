//! `/inbox`: the newest messages, and the others a window at a time.

use std::sync::Arc;

use grove_engine::{Action, ActionError, Descriptor, Estimate, Invocation, Item, Outcome, Session};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::actor::{actor, id, user};
use super::source::{item_by_id, source, window};
use crate::desk::{Delivery, Desk};
use crate::error::Result;
use crate::id::MessageId;
use crate::session::WRITE;
use crate::store::Message;

/// How many messages the tree holds; the rest is a query with a window away.
const SHOWN: u64 = 25;

/// What can be done with one message.
struct Actions {
    mark_read: Action,
    archive: Action,
    reply: Action,
}

#[derive(Deserialize, JsonSchema)]
struct Reply {
    /// The answer, as plain text. The signature is put under it.
    text: String,
}

pub(super) fn register(desk: &Desk) {
    let actions = Arc::new(Actions::new(desk));
    let (shown, listed) = (Arc::clone(&actions), Arc::clone(&actions));
    let inbox = source(desk, move |desk, session| show(desk, session, &shown))
        .on_window(window(desk, move |desk, session, offset, count| items(desk, session, offset, count, &listed)))
        .on_item(item_by_id(desk, move |desk, session, id| one(desk, session, id, &actions)));
    desk.engine().register_source("inbox", inbox);
}

fn show(desk: &Desk, session: &Session, actions: &Actions) -> Result<Descriptor> {
    let counts = desk.store().inbox_counts(user(session))?;
    Ok(Descriptor::collection()
        .prop("label", "Inbox")
        .prop("count", counts.total)
        .prop("unread", counts.unread)
        .summary(format!("{} messages, {} unread", counts.total, counts.unread))
        .salience(if counts.unread > 0 { 0.7 } else { 0.4 })
        .window(0, counts.total, items(desk, session, 0, SHOWN, actions)?))
}

fn items(desk: &Desk, session: &Session, offset: u64, count: u64, actions: &Actions) -> Result<Vec<Item>> {
    let offered = session.can(WRITE).then_some(actions);
    let messages = desk.store().messages(user(session), offset, count)?;
    Ok(messages.iter().map(|message| item(message, offered)).collect())
}

fn one(desk: &Desk, session: &Session, id: MessageId, actions: &Actions) -> Result<Option<Item>> {
    let message = desk.store().message(user(session), id)?;
    Ok(message.map(|message| item(&message, session.can(WRITE).then_some(actions))))
}

fn item(message: &Message, offered: Option<&Actions>) -> Item {
    let item = Item::new(message.id.to_string())
        .prop("from", message.sender.as_str())
        .prop("subject", message.subject.as_str())
        .prop("text", message.body.as_str())
        .prop("received", message.received.to_string())
        .prop("unread", message.unread)
        .prop("replied", message.replied)
        .salience(if message.unread { 0.7 } else { 0.3 });
    match offered {
        Some(actions) if message.unread => item.actions([&actions.mark_read, &actions.archive, &actions.reply]),
        Some(actions) => item.actions([&actions.archive, &actions.reply]),
        None => item,
    }
}

impl Actions {
    fn new(desk: &Desk) -> Self {
        Self { mark_read: mark_read(desk.clone()), archive: archive(desk.clone()), reply: reply(desk.clone()) }
    }
}

fn mark_read(desk: Desk) -> Action {
    Action::new("mark_read", move |call: Invocation<()>| -> Result<(), ActionError> {
        Ok(desk.mark_read(&actor(&desk, &call.session)?, id("message", call.node_id())?)?)
    })
    .label("Mark as read")
    .idempotent(true)
    .estimate(Estimate::Instant)
}

fn archive(desk: Desk) -> Action {
    Action::new("archive", move |call: Invocation<()>| -> Result<(), ActionError> {
        Ok(desk.archive(&actor(&desk, &call.session)?, id("message", call.node_id())?)?)
    })
    .label("Archive")
    .description("Takes the message out of the inbox.")
    .estimate(Estimate::Instant)
}

fn reply(desk: Desk) -> Action {
    Action::new("reply", move |call: Invocation<Reply>| -> Result<Outcome, ActionError> {
        let person = actor(&desk, &call.session)?;
        let delivery = desk.reply(&person, id("message", call.node_id())?, &call.params.text)?;
        Ok(Outcome::data(json!({ "delivered": delivery == Delivery::Inbox })))
    })
    .label("Reply")
    .description("A colleague who has a desk here gets the answer at once; for anybody else it is only noted.")
    .estimate(Estimate::Fast)
}
