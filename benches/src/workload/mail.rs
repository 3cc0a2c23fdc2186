//! `mail-500`: 20 of 340 threads with 24 messages each. Texts of 20 to 400 bytes that do not repeat, a tenth of the
//! messages with a content reference. It keeps a representation honest that lives on repetition.

use std::sync::Arc;

use grove_engine::{Action, ContentRef, Descriptor, Engine, Invocation, Item, Session, SessionProvider};
use serde_json::{Value, json};
use slop_ai::SlopServer;

use super::corpus::{mix, passage};
use super::population::{Face, Population, user};

const THREADS: u32 = 20;
const THREADS_IN_ALL: u32 = 340;
const MESSAGES: u32 = 24;
/// The message whose flag a private change turns.
const CHANGING: (u32, u32) = (7, 23);

/// What can be done with mail, declared once.
struct Actions {
    thread: [Action; 2],
    message: [Action; 1],
}

impl Actions {
    fn declare() -> Self {
        // Nobody invokes them here; they are part of what a tree is.
        let action = |name: &str| Action::new(name, |_: Invocation| ());
        Self {
            thread: [action("archive"), action("reply").params(json!({"text": "string"}))],
            message: [action("star")],
        }
    }
}

/// One message, however it is then said.
struct Message {
    id: String,
    from: String,
    at: u64,
    text: &'static str,
    unread: bool,
    /// Bytes of the attachment, where there is one.
    attached: Option<u64>,
}

impl Message {
    fn new(face: Face, thread: u32, number: u32) -> Self {
        let seed = u64::from(face.k) << 32 | u64::from(thread * MESSAGES + number);
        let random = mix(seed);
        Self {
            id: format!("m-{thread}-{number}"),
            from: format!("{}@example.org", random % 900),
            at: 1_790_000_000 + random % 4_000_000,
            text: passage(seed, 20 + (random >> 20) as usize % 381),
            unread: (thread, number) == CHANGING && face.revision % 2 == 1,
            attached: number.is_multiple_of(10).then_some(1_000 + random % 900_000),
        }
    }
}

fn subject(face: Face, thread: u32) -> &'static str {
    let seed = u64::from(face.k) << 32 | u64::from(1 << 31 | thread);
    passage(seed, 20 + mix(seed) as usize % 61)
}

fn messages(face: Face, thread: u32) -> impl Iterator<Item = Message> {
    (0..MESSAGES).map(move |number| Message::new(face, thread, number))
}

fn banner(shared: u32) -> String {
    format!("Maintenance {shared}")
}

pub(crate) fn register(engine: &Engine, population: &Arc<Population>) {
    let actions = Actions::declare();
    let people = Arc::clone(population);
    engine.register("mail", move |session: &Session| mail(people.face(session), &actions));
    let people = Arc::clone(population);
    engine.register("profile", move |session: &Session| profile(people.face(session).k));
    let people = Arc::clone(population);
    engine.register("banner", move |_: &Session| status(people.shared()));
}

pub(crate) fn factory(population: &Arc<Population>) -> impl Fn(&Session) -> SessionProvider + use<> {
    let (actions, people) = (Arc::new(Actions::declare()), Arc::clone(population));
    move |session| {
        let (actions, shared) = (Arc::clone(&actions), Arc::clone(&people));
        let (mail_of, profile_of) = (people.faces(session), people.faces(session));
        SessionProvider::new()
            .register("mail", move || mail(mail_of(), &actions))
            .register("profile", move || profile(profile_of().k))
            .register("banner", move || status(shared.shared()))
    }
}

fn profile(k: u32) -> Descriptor {
    Descriptor::context().prop("user", user(k))
}

fn status(shared: u32) -> Descriptor {
    Descriptor::status().prop("message", banner(shared))
}

fn mail(face: Face, actions: &Actions) -> Descriptor {
    let threads = (0..THREADS).map(|thread| {
        Item::new(format!("t-{thread}"))
            .prop("subject", subject(face, thread))
            .prop("messages", MESSAGES)
            .actions(&actions.thread)
            .items(messages(face, thread).map(|message| {
                let item = Item::new(message.id)
                    .prop("from", message.from)
                    .prop("at", message.at)
                    .prop("text", message.text)
                    .prop("unread", message.unread)
                    .actions(&actions.message);
                match message.attached {
                    Some(bytes) => item.content_ref(ContentRef::text("text/plain", "the attachment").size(bytes)),
                    None => item,
                }
            }))
    });
    Descriptor::collection().prop("label", "Mail").prop("rev", face.revision).window(0, THREADS_IN_ALL.into(), threads)
}

pub(crate) fn register_at_peer(server: &SlopServer, population: &Arc<Population>, u: u32) {
    let people = Arc::clone(population);
    server.register_fn("mail", move || mail_for_peer(people.face_of(u)));
    let people = Arc::clone(population);
    server.register_fn("profile", move || json!({"type": "context", "props": {"user": user(people.face_of(u).k)}}));
    let people = Arc::clone(population);
    server.register_fn("banner", move || json!({"type": "status", "props": {"message": banner(people.shared())}}));
}

/// The peer's items can have inline children but no items of their own, so messages are children here.
fn mail_for_peer(face: Face) -> Value {
    let message = |message: Message| {
        let mut shape = json!({
            "type": "item",
            "props": {"from": message.from, "at": message.at, "text": message.text, "unread": message.unread},
            "actions": {"star": {}},
        });
        if let Some(bytes) = message.attached {
            shape["content_ref"] =
                json!({"type": "text", "mime": "text/plain", "size": bytes, "summary": "the attachment"});
        }
        (message.id, shape)
    };
    let thread = |thread| {
        json!({
            "id": format!("t-{thread}"),
            "props": {"subject": subject(face, thread), "messages": MESSAGES},
            "actions": {"archive": {}, "reply": {"params": {"text": "string"}}},
            "children": messages(face, thread).map(message).collect::<serde_json::Map<_, _>>(),
        })
    };
    json!({
        "type": "collection",
        "props": {"label": "Mail", "rev": face.revision},
        "window": {"items": (0..THREADS).map(thread).collect::<Vec<_>>(), "total": THREADS_IN_ALL, "offset": 0},
    })
}
