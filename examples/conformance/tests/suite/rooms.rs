//! The app with rooms, and what people do in them.

use serde_json::{Value, json};

use crate::consumer::Consumer;
use crate::mirror;
use crate::running::{Running, soon};

/// Starts the app with rooms, and with these options.
pub(crate) async fn start(options: &[&str]) -> Running {
    Running::with(&[&["--rooms", "--debounce-ms", "5"], options].concat()).await
}

/// The path of a room.
pub(crate) fn at(room: &str) -> String {
    format!("/rooms/{room}")
}

/// Creates a room. Returns its id.
pub(crate) async fn create(owner: &mut Consumer, room: Value) -> String {
    let created = owner.invoke("/rooms", "create", room).await;
    created.result["data"]["room"].as_str().unwrap_or_else(|| panic!("{}", created.result)).to_owned()
}

/// Creates a room in which every user of the project is a member.
pub(crate) async fn create_open(owner: &mut Consumer) -> String {
    create(owner, json!({"title": "Board", "access": "project"})).await
}

/// Connects a consumer and subscribes it to a room, which joins its session.
pub(crate) async fn join(app: &Running, token: &str, room: &str) -> Consumer {
    let mut consumer = app.consumer(token).await;
    consumer.subscribe(&at(room), -1).await;
    consumer
}

/// The id of the participant that a consumer's session became. It is told of itself first.
pub(crate) async fn own_id(consumer: &mut Consumer) -> Value {
    consumer.event(is("participant.joined")).await["body"]["participant"].clone()
}

/// Says a text. Returns the data of the result.
pub(crate) async fn say(consumer: &mut Consumer, room: &str, text: &str) -> Value {
    let said = consumer.invoke(&at(room), "say", json!({"text": text})).await;
    assert_eq!(said.result["status"], "ok", "{}", said.result);
    said.result["data"].clone()
}

/// The code of the error with which a call is refused; `none` if it is done.
pub(crate) async fn refused(consumer: &mut Consumer, path: &str, action: &str, params: Value) -> String {
    consumer.invoke(path, action, params).await.code().to_owned()
}

/// Whether an event is of this kind.
pub(crate) fn is(kind: &str) -> impl Fn(&Value) -> bool {
    move |event| event["kind"] == kind
}

/// Whether an event is about this user.
pub(crate) fn is_about(kind: &str, user: &str) -> impl Fn(&Value) -> bool {
    move |event| event["kind"] == kind && event["body"]["user"] == user
}

/// The kinds of events.
pub(crate) fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["kind"].as_str().unwrap_or_default()).collect()
}

/// Asserts that every event with a number follows the one before it.
pub(crate) fn assert_contiguous(events: &[Value]) {
    let numbered: Vec<u64> = events.iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert!(numbered.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbered:?}");
}

/// The names of the actions of a node.
pub(crate) fn actions(node: &Value) -> Vec<&str> {
    node["affordances"].as_array().into_iter().flatten().filter_map(|offer| offer["action"].as_str()).collect()
}

/// The properties of the participants in the room to which a consumer subscribed first.
pub(crate) fn participants(consumer: &Consumer) -> Vec<Value> {
    let list = consumer.at("/participants");
    mirror::ids(&list).iter().map(|id| mirror::at(&list, id)["properties"].clone()).collect()
}

/// Waits until the counts of rooms are as wanted. Returns them.
pub(crate) async fn counted(app: &Running, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let reached = async {
        loop {
            let counts = app.get("/control/rooms").await.json;
            if wanted(&counts) {
                return counts;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    soon(what, reached).await
}

/// The entries of the audit log from a number on.
pub(crate) async fn audit(app: &Running, since: u64) -> (u64, Vec<Value>) {
    let log = app.get(&format!("/control/audit?since={since}")).await.json;
    (log["next"].as_u64().unwrap(), log["events"].as_array().unwrap().clone())
}
