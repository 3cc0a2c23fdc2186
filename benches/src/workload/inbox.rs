//! `inbox-101`: 90 todos whose titles name the user, a context, six announcements, and a collapsed settings page.

use std::sync::Arc;

use grove_engine::{Action, Descriptor, Engine, Invocation, Item, Session, SessionProvider};
use serde_json::{Value, json};
use slop_ai::SlopServer;

use super::population::{Content, Population, user};

const TODOS: u32 = 90;
const NOTES: u32 = 6;
const SUMMARY: &str = "90 todos, 60 open";
const SETTINGS: &str = "Account, notifications, security";

/// The actions of the application, declared once.
struct Actions {
    add: Action,
    item: [Action; 3],
}

impl Actions {
    fn declare() -> Self {
        // Invoking them does nothing; they are declared because affordances are part of a tree.
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

pub(super) fn register(engine: &Engine, population: &Arc<Population>) {
    let actions = Actions::declare();
    let data = Arc::clone(population);
    engine.register("todos", move |session: &Session| todos(data.content(session), &actions));
    let data = Arc::clone(population);
    engine.register("context", move |session: &Session| context(data.content(session).owner));
    let data = Arc::clone(population);
    engine.register("announcements", move |_: &Session| announcements(data.shared()));
    engine.register("settings", |_: &Session| settings());
}

pub(super) fn factory(population: &Arc<Population>) -> impl Fn(&Session) -> SessionProvider + use<> {
    let (actions, population) = (Arc::new(Actions::declare()), Arc::clone(population));
    move |session| {
        let (actions, shared) = (Arc::clone(&actions), Arc::clone(&population));
        let (todos_of, context_of) = (population.content_reader(session), population.content_reader(session));
        SessionProvider::new()
            .register("todos", move || todos(todos_of(), &actions))
            .register("context", move || context(context_of().owner))
            .register("announcements", move || announcements(shared.shared()))
            .register("settings", settings)
    }
}

fn context(owner: u32) -> Descriptor {
    Descriptor::context()
        .prop("user", user(owner))
        .prop("role", "member")
        .prop("permissions", ["read", "write"])
        .prop("locale", "en")
}

fn settings() -> Descriptor {
    Descriptor::view().summary(SETTINGS)
}

fn todos(content: Content, actions: &Actions) -> Descriptor {
    Descriptor::collection()
        .prop("label", "Todos")
        .prop("count", TODOS)
        .prop("rev", content.revision)
        .summary(SUMMARY)
        .action(&actions.add)
        .items((0..TODOS).map(|i| todo(i, content, actions)))
}

fn todo(i: u32, Content { owner, revision }: Content, actions: &Actions) -> Item {
    Item::new(format!("todo-{i}"))
        .prop("title", title(i, owner))
        .prop("done", done(i, revision))
        .prop("due", due(i))
        .prop("priority", i % 5)
        .prop("tags", tags(i))
        .salience(0.5)
        .actions(&actions.item)
}

fn announcements(shared: u32) -> Descriptor {
    let note = |i| Item::new(format!("note-{i}")).prop("message", message(i, shared)).prop("severity", "info");
    Descriptor::collection().prop("label", "Announcements").items((0..NOTES).map(note))
}

fn title(i: u32, owner: u32) -> String {
    format!("Task {i} of user {owner}: review the quarterly report")
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

pub(super) fn register_with_peer(server: &SlopServer, population: &Arc<Population>, u: u32) {
    let data = Arc::clone(population);
    server.register_fn("todos", move || todos_for_peer(data.content_of(u)));
    let data = Arc::clone(population);
    server.register_fn("context", move || context_for_peer(data.content_of(u).owner));
    let data = Arc::clone(population);
    server.register_fn("announcements", move || announcements_for_peer(data.shared()));
    server.register("settings", json!({"type": "view", "summary": SETTINGS}));
}

fn context_for_peer(owner: u32) -> Value {
    let permissions = ["read", "write"];
    json!({
        "type": "context",
        "props": {"user": user(owner), "role": "member", "permissions": permissions, "locale": "en"},
    })
}

fn announcements_for_peer(shared: u32) -> Value {
    let note = |i| json!({"id": format!("note-{i}"), "props": {"message": message(i, shared), "severity": "info"}});
    json!({
        "type": "collection",
        "props": {"label": "Announcements"},
        "items": (0..NOTES).map(note).collect::<Vec<_>>(),
    })
}

fn todos_for_peer(content: Content) -> Value {
    json!({
        "type": "collection",
        "props": {"label": "Todos", "count": TODOS, "rev": content.revision},
        "summary": SUMMARY,
        "actions": {"add": {"params": {"title": "string", "due": "string"}}},
        "items": (0..TODOS).map(|i| todo_for_peer(i, content)).collect::<Vec<_>>(),
    })
}

fn todo_for_peer(i: u32, Content { owner, revision }: Content) -> Value {
    json!({
        "id": format!("todo-{i}"),
        "props": {
            "title": title(i, owner), "done": done(i, revision), "due": due(i), "priority": i % 5, "tags": tags(i),
        },
        "meta": {"salience": 0.5},
        "actions": {"toggle": {}, "rename": {"params": {"title": "string"}}, "delete": {"dangerous": true}},
    })
}
