//! `inbox-101`: 90 todos whose titles name the user, a context, six announcements, and a settings page that is not open.

use std::sync::Arc;

use grove_engine::{Action, Descriptor, Engine, Invocation, Item, Session, SessionProvider};
use serde_json::{Value, json};
use slop_ai::SlopServer;

use super::population::{Face, Population, user};

const TODOS: u32 = 90;
const NOTES: u32 = 6;
const SUMMARY: &str = "90 todos, 60 open";
const SETTINGS: &str = "Account, notifications, security";

/// What can be done with todos, declared once.
struct Actions {
    add: Action,
    item: [Action; 3],
}

impl Actions {
    fn declare() -> Self {
        // Nobody invokes them here; they are part of what a tree is.
        let action = |name: &str| Action::new(name, |_: Invocation| ());
        Self {
            add: action("add").params(json!({"title": "string", "due": "string"})),
            item: [
                action("toggle"),
                action("rename").params(json!({"title": "string"})),
                action("delete").dangerous(true),
            ],
        }
    }
}

pub(crate) fn register(engine: &Engine, population: &Arc<Population>) {
    let actions = Actions::declare();
    let people = Arc::clone(population);
    engine.register("todos", move |session: &Session| todos(people.face(session), &actions));
    let people = Arc::clone(population);
    engine.register("context", move |session: &Session| context(people.face(session).k));
    let people = Arc::clone(population);
    engine.register("announcements", move |_: &Session| announcements(people.shared()));
    engine.register("settings", |_: &Session| settings());
}

pub(crate) fn factory(population: &Arc<Population>) -> impl Fn(&Session) -> SessionProvider + use<> {
    let (actions, people) = (Arc::new(Actions::declare()), Arc::clone(population));
    move |session| {
        let (actions, shared) = (Arc::clone(&actions), Arc::clone(&people));
        let (todos_of, context_of) = (people.faces(session), people.faces(session));
        SessionProvider::new()
            .register("todos", move || todos(todos_of(), &actions))
            .register("context", move || context(context_of().k))
            .register("announcements", move || announcements(shared.shared()))
            .register("settings", settings)
    }
}

fn context(k: u32) -> Descriptor {
    Descriptor::context()
        .prop("user", user(k))
        .prop("role", "member")
        .prop("permissions", ["read", "write"])
        .prop("locale", "en")
}

fn settings() -> Descriptor {
    Descriptor::view().summary(SETTINGS)
}

fn todos(face: Face, actions: &Actions) -> Descriptor {
    Descriptor::collection()
        .prop("label", "Todos")
        .prop("count", TODOS)
        .prop("rev", face.revision)
        .summary(SUMMARY)
        .action(&actions.add)
        .items((0..TODOS).map(|i| {
            Item::new(format!("todo-{i}"))
                .prop("title", title(i, face.k))
                .prop("done", done(i, face.revision))
                .prop("due", due(i))
                .prop("priority", i % 5)
                .prop("tags", tags(i))
                .salience(0.5)
                .actions(&actions.item)
        }))
}

fn announcements(shared: u32) -> Descriptor {
    let note = |i| Item::new(format!("note-{i}")).prop("message", message(i, shared)).prop("severity", "info");
    Descriptor::collection().prop("label", "Announcements").items((0..NOTES).map(note))
}

fn title(i: u32, k: u32) -> String {
    format!("Task {i} of user {k}: review the quarterly report")
}

const fn done(i: u32, revision: u32) -> bool {
    i.is_multiple_of(3) || (i == 7 && revision % 2 == 1)
}

fn due(i: u32) -> String {
    format!("2026-12-{:02}", i % 28 + 1)
}

const fn tags(i: u32) -> [&'static str; 2] {
    ["work", if i.is_multiple_of(2) { "home" } else { "urgent" }]
}

fn message(i: u32, shared: u32) -> String {
    format!("Announcement {i} rev {}", if i == 0 { shared } else { 0 })
}

pub(crate) fn register_at_peer(server: &SlopServer, population: &Arc<Population>, u: u32) {
    let people = Arc::clone(population);
    server.register_fn("todos", move || todos_for_peer(people.face_of(u)));
    let people = Arc::clone(population);
    server.register_fn("context", move || {
        json!({
            "type": "context",
            "props": {
                "user": user(people.face_of(u).k), "role": "member", "permissions": ["read", "write"], "locale": "en",
            },
        })
    });
    let people = Arc::clone(population);
    server.register_fn("announcements", move || {
        let shared = people.shared();
        let note = |i| json!({"id": format!("note-{i}"), "props": {"message": message(i, shared), "severity": "info"}});
        json!({
            "type": "collection",
            "props": {"label": "Announcements"},
            "items": (0..NOTES).map(note).collect::<Vec<_>>(),
        })
    });
    server.register("settings", json!({"type": "view", "summary": SETTINGS}));
}

fn todos_for_peer(Face { k, revision }: Face) -> Value {
    let item = |i| {
        json!({
            "id": format!("todo-{i}"),
            "props": {
                "title": title(i, k), "done": done(i, revision), "due": due(i), "priority": i % 5, "tags": tags(i),
            },
            "meta": {"salience": 0.5},
            "actions": {"toggle": {}, "rename": {"params": {"title": "string"}}, "delete": {"dangerous": true}},
        })
    };
    json!({
        "type": "collection",
        "props": {"label": "Todos", "count": TODOS, "rev": revision},
        "summary": SUMMARY,
        "actions": {"add": {"params": {"title": "string", "due": "string"}}},
        "items": (0..TODOS).map(item).collect::<Vec<_>>(),
    })
}
