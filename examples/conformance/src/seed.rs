//! The fixed tree: the initial content of every session.

use grove_engine::ContentRef;

use crate::node::{Node, Offer};

/// How many messages the inbox has.
const MESSAGES: usize = 10;

/// How many of them the tree shows.
const MESSAGES_SHOWN: usize = 3;

/// The content of `/doc`.
pub(crate) const DOC: &str = "hello";

/// Returns the registered paths whose nodes belong to a session, with their initial nodes.
pub(crate) fn session_nodes(read_only: bool) -> [(&'static str, Node); 9] {
    [
        ("ctl", Node::new("ctl", "status").prop("label", "Control").offer([Offer::Driver])),
        ("deep/a/leaf", Node::item("leaf").prop("v", 1)),
        ("doc", doc()),
        ("inbox", inbox()),
        ("mix", mix()),
        ("mix/a1", Node::new("a1", "status").prop("n", 3)),
        ("prio", prio()),
        ("todos", todos(read_only)),
        ("tree", tree()),
    ]
}

/// `/deep/a`, when it is registered.
pub(crate) fn late() -> Node {
    Node::new("a", "group").prop("late", true)
}

fn doc() -> Node {
    let content = ContentRef::text("text/plain", "five").size(DOC.len() as u64);
    Node::new("doc", "document").prop("title", "Doc").content(content).offer([Offer::ReadContent])
}

fn inbox() -> Node {
    let messages = (0..MESSAGES).map(|at| Node::item(&format!("m{at}")).prop("subject", format!("s{at}")));
    Node::new("inbox", "collection")
        .meta("summary", format!("{MESSAGES} messages"))
        .meta("salience", 0.8)
        .with(messages)
        .showing(MESSAGES_SHOWN)
}

fn mix() -> Node {
    Node::new("mix", "collection")
        .prop("label", "Mix")
        .with([Node::item("i1").prop("n", 1), Node::new("c1", "note").prop("n", 2)])
}

fn prio() -> Node {
    Node::new("prio", "group").with([
        Node::item("hi").meta("salience", 0.9),
        Node::item("lo").meta("salience", 0.1).with([Node::item("lo1").meta("salience", 0.9)]),
        Node::new("plain", "note"),
    ])
}

fn todos(read_only: bool) -> Node {
    let first = todo("t1", "milk", false, read_only);
    let second = todo("t2", "code", true, read_only).with([Node::item("sub").prop("x", 1)]);
    let list = Node::new("todos", "collection").prop("count", 2).with([first, second]);
    if read_only { list } else { list.offer([Offer::Add, Offer::Clear]) }
}

/// One todo.
pub(crate) fn todo(id: &str, title: &str, done: bool, read_only: bool) -> Node {
    let todo = Node::item(id).prop("title", title).prop("done", done);
    if read_only { todo } else { todo.offer([Offer::Toggle, Offer::Delete]) }
}

/// `/tree`, for tests of node budgets.
fn tree() -> Node {
    let inbox = Node::new("inbox", "collection").prop("n", 3).meta("salience", 0.8).plain("clear").with([
        Node::item("m1").prop("s", "x").plain("open").with([Node::item("a1"), Node::item("a2")]),
        Node::item("m2").prop("s", "y").meta("salience", 0.2).with([
            Node::item("b1"),
            Node::item("b2"),
            Node::new("b3", "group").with([Node::item("b31")]),
        ]),
        Node::item("m3").prop("s", "z").plain("open"),
    ]);
    let pinned = Node::new("t1", "status")
        .meta("salience", 0)
        .meta("pinned", true)
        .with([Node::item("p1"), Node::new("p2", "group").with([Node::item("p21")])]);
    let tasks = Node::new("tasks", "group").with([pinned]);
    Node::new("tree", "group").with([inbox, tasks, Node::new("clock", "status").prop("t", 1)])
}
