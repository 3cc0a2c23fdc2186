//! `mail-500`: 20 of 340 threads with 24 messages each, texts of 20 to 400 bytes that do not repeat, and a content
//! reference in every tenth message. Texts like these gain nothing from deduplication.

mod message;

use std::sync::Arc;

use grove_engine::{Action, ContentRef, Descriptor, Engine, Invocation, Item, Session, SessionProvider};
use serde_json::{Map, Value, json};
use slop_ai::SlopServer;

use self::message::Message;
use super::corpus::{mix, passage};
use super::population::{Content, Population, user};

const THREADS: u32 = 20;
const THREADS_IN_ALL: u32 = 340;

/// The actions of the application, declared once.
struct Actions {
    thread: [Action; 2],
    message: [Action; 1],
}

impl Actions {
    fn declare() -> Self {
        // Invoking them does nothing; they are declared because affordances are part of a tree.
        let action = |name: &str| Action::new(name, |_: Invocation| ());
        Self {
            thread: [action("archive"), action("reply").params(json!({"text": "string"}))],
            message: [action("star")],
        }
    }
}

fn subject(content: Content, thread: u32) -> &'static str {
    let seed = u64::from(content.owner) << 32 | u64::from(1 << 31 | thread);
    passage(seed, 20 + mix(seed) as usize % 61)
}

fn banner(shared: u32) -> String {
    format!("Maintenance {shared}")
}

pub(super) fn register(engine: &Engine, population: &Arc<Population>) {
    let actions = Actions::declare();
    let data = Arc::clone(population);
    engine.register("mail", move |session: &Session| mail(data.content(session), &actions));
    let data = Arc::clone(population);
    engine.register("profile", move |session: &Session| profile(data.content(session).owner));
    let data = Arc::clone(population);
    engine.register("banner", move |_: &Session| status(data.shared()));
}

pub(super) fn factory(population: &Arc<Population>) -> impl Fn(&Session) -> SessionProvider + use<> {
    let (actions, population) = (Arc::new(Actions::declare()), Arc::clone(population));
    move |session| {
        let (actions, shared) = (Arc::clone(&actions), Arc::clone(&population));
        let (mail_of, profile_of) = (population.content_reader(session), population.content_reader(session));
        SessionProvider::new()
            .register("mail", move || mail(mail_of(), &actions))
            .register("profile", move || profile(profile_of().owner))
            .register("banner", move || status(shared.shared()))
    }
}

fn profile(owner: u32) -> Descriptor {
    Descriptor::context().prop("user", user(owner))
}

fn status(shared: u32) -> Descriptor {
    Descriptor::status().prop("message", banner(shared))
}

fn mail(content: Content, actions: &Actions) -> Descriptor {
    let threads = (0..THREADS).map(|thread| {
        Item::new(format!("t-{thread}"))
            .prop("subject", subject(content, thread))
            .prop("messages", Message::PER_THREAD)
            .actions(&actions.thread)
            .items(Message::of_thread(content, thread).map(|message| message_item(message, actions)))
    });
    Descriptor::collection().prop("label", "Mail").prop("rev", content.revision).window(
        0,
        THREADS_IN_ALL.into(),
        threads,
    )
}

fn message_item(message: Message, actions: &Actions) -> Item {
    let item = Item::new(message.id)
        .prop("from", message.from)
        .prop("at", message.at)
        .prop("text", message.text)
        .prop("unread", message.unread)
        .actions(&actions.message);
    match message.attachment_bytes {
        Some(bytes) => item.content_ref(ContentRef::text("text/plain", "the attachment").size(bytes)),
        None => item,
    }
}

pub(super) fn register_with_peer(server: &SlopServer, population: &Arc<Population>, u: u32) {
    let data = Arc::clone(population);
    server.register_fn("mail", move || mail_for_peer(data.content_of(u)));
    let data = Arc::clone(population);
    let profile = move || json!({"type": "context", "props": {"user": user(data.content_of(u).owner)}});
    server.register_fn("profile", profile);
    let data = Arc::clone(population);
    server.register_fn("banner", move || json!({"type": "status", "props": {"message": banner(data.shared())}}));
}

fn mail_for_peer(content: Content) -> Value {
    let threads: Vec<Value> = (0..THREADS).map(|thread| thread_for_peer(content, thread)).collect();
    json!({
        "type": "collection",
        "props": {"label": "Mail", "rev": content.revision},
        "window": {"items": threads, "total": THREADS_IN_ALL, "offset": 0},
    })
}

/// The peer's items may have inline children but no items of their own, so messages are children here.
fn thread_for_peer(content: Content, thread: u32) -> Value {
    json!({
        "id": format!("t-{thread}"),
        "props": {"subject": subject(content, thread), "messages": Message::PER_THREAD},
        "actions": {"archive": {}, "reply": {"params": {"text": "string"}}},
        "children": Message::of_thread(content, thread).map(message_for_peer).collect::<Map<_, _>>(),
    })
}

fn message_for_peer(message: Message) -> (String, Value) {
    let mut shape = json!({
        "type": "item",
        "props": {"from": message.from, "at": message.at, "text": message.text, "unread": message.unread},
        "actions": {"star": {}},
    });
    if let Some(bytes) = message.attachment_bytes {
        shape["content_ref"] =
            json!({"type": "text", "mime": "text/plain", "size": bytes, "summary": "the attachment"});
    }
    (message.id, shape)
}
