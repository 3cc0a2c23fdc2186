//! Whatever a peer sends after its welcome: it is answered by a code of the contract, and the link stays (peers 3, 8).

use futures_util::SinkExt;
use grove_engine::Config;
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestCaseError, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::Message;

use crate::server::{Link, Server};

const CODES: [&str; 6] = ["malformed", "unknown_message_type", "not_found", "too_large", "busy", "capacity"];

const KINDS: [&str; 12] = [
    "pong",
    "peers",
    "sent",
    "message",
    "acked",
    "joined",
    "changed",
    "left",
    "error",
    "replaced",
    "welcome",
    "challenge",
];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,30}".prop_map(Value::from),
        Just(json!("x".repeat(20_000))),
        Just(json!("p_0123")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(".{0,8}", inner, 0..4).prop_map(|fields| json!(fields)),
        ]
    })
}

fn frame() -> impl Strategy<Value = Message> {
    let kinds =
        proptest::sample::select(vec!["ping", "list", "send", "ack", "card", "hello", "session_hello", "dance", ""]);
    let keys = proptest::sample::select(vec!["id", "to", "body", "message", "card", "name", "groups", "pid", "type"]);
    let fields = proptest::collection::vec((keys, value()), 0..5);
    let structured = (kinds, fields).prop_map(|(kind, fields): (&str, Vec<(&str, Value)>)| {
        let mut frame = json!({"type": kind});
        fields.into_iter().filter(|(_, value)| *value != json!("bye")).for_each(|(key, value)| frame[key] = value);
        frame.to_string()
    });
    let structured = structured.boxed();
    let broken = (structured.clone(), any::<proptest::sample::Index>(), any::<char>()).prop_map(|(text, at, other)| {
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len());
        chars[at] = other;
        chars.into_iter().collect::<String>()
    });
    prop_oneof![
        6 => structured.prop_map(Message::text),
        3 => broken.prop_map(Message::text),
        1 => ".{0,200}".prop_map(Message::text),
        1 => proptest::collection::vec(any::<u8>(), 0..200).prop_map(Message::binary),
        1 => proptest::collection::vec(any::<u8>(), 0..100).prop_map(|bytes| Message::Ping(bytes.into())),
    ]
}

async fn play(server: &Server, number: u8, frames: Vec<Message>) -> Result<(), TestCaseError> {
    let mut link: Link = server.session("ann", number).await;
    let said = frames.len();
    for message in frames {
        link.socket.send(message).await.unwrap();
    }
    // The last one is answered behind all others, so the link has survived them.
    link.send(json!({"type": "list", "id": "the end"})).await;
    let mut answers = 0;
    loop {
        let answer = link.next().await;
        let kind = answer["type"].as_str().unwrap_or_default();
        prop_assert!(KINDS[..9].contains(&kind), "{answer}");
        prop_assert!(kind != "error" || CODES[..5].contains(&answer["code"].as_str().unwrap()), "{answer}");
        prop_assert!(answers <= 2 * said + 8, "more answers than frames");
        answers += 1;
        if answer["id"] == "the end" {
            link.send(json!({"type": "bye"})).await;
            prop_assert_eq!(link.code().await, 1000);
            return Ok(());
        }
    }
}

#[test]
fn whatever_a_welcomed_peer_sends_is_answered_and_its_link_stays() {
    let runtime = Runtime::new().unwrap();
    let mut config = Config::default();
    config.limits.messages_per_second = None;
    let server = runtime.block_on(Server::with(config));
    let mut watcher = runtime.block_on(server.session("bob", 0));
    let mut runner = TestRunner::new(Cases::with_cases(60));
    let played =
        runner.run(&proptest::collection::vec(frame(), 1..60), |frames| runtime.block_on(play(&server, 1, frames)));
    played.unwrap();
    let rows = runtime.block_on(watcher.rows());
    assert_eq!(rows.len(), 1, "{rows:?}");
}
