//! Random frames of a consumer.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::app::{App, fuzz, serve};
use crate::json::json_value;
use crate::mutation::{mutated, mutation};
use crate::node_rules::check_node;

fn message() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({"type": "subscribe", "id": "s", "path": "/todos", "depth": 2, "max_nodes": 5,
               "filter": {"types": ["item"], "min_salience": 0.5}, "window": [0, 5]}),
        json!({"type": "subscribe", "id": 7, "resume": {"epoch": "x", "version": 3}}),
        json!({"type": "query", "id": "q", "path": "/app/todos/t1", "depth": -1, "window": [1, 1]}),
        json!({"type": "query", "id": 1.5, "path": "deep", "depth": 1, "max_nodes": 1}),
        json!({"type": "invoke", "id": "i", "path": "/todos", "action": "add", "params": {"title": "x", "tags": ["y"]}}),
        json!({"type": "invoke", "id": 3, "path": "/todos/t2", "action": "open", "params": null}),
        json!({"type": "unsubscribe", "id": "s"}),
        json!({"type": "connect"}),
        json!({"type": "pause", "id": "p"}),
        json!({"type": "hello", "id": "h", "provider": {"id": "x"}}),
        json!({"type": "batch", "messages": [{"type": "query", "id": "b"}, {"type": "dance", "id": 2}, {"type": "subscribe", "id": "s"}]}),
    ])
}

#[derive(Debug, Clone)]
enum RawFrame {
    Text(String),
    Binary(Vec<u8>),
}

fn frame() -> impl Strategy<Value = RawFrame> {
    let mutated_message =
        (message(), prop::collection::vec(mutation(), 0..4)).prop_map(|(m, changes)| mutated(m, &changes).to_string());
    let mutated_text = (message(), any::<prop::sample::Index>(), any::<char>()).prop_map(|(message, at, character)| {
        let mut characters: Vec<char> = message.to_string().chars().collect();
        let at = at.index(characters.len());
        characters[at] = character;
        characters.into_iter().collect()
    });
    prop_oneof![
        8 => mutated_message.prop_map(RawFrame::Text),
        3 => mutated_text.prop_map(RawFrame::Text),
        2 => json_value().prop_map(|value| RawFrame::Text(value.to_string())),
        2 => any::<String>().prop_map(RawFrame::Text),
        1 => prop::collection::vec(any::<u8>(), 0..64).prop_map(RawFrame::Binary),
    ]
}

/// How many replies a frame gets; `None` if that depends on the messages of a batch.
fn expected_replies(text: &str) -> Option<usize> {
    let Ok(Value::Object(keys)) = serde_json::from_str(text) else { return Some(1) };
    let has_id = matches!(keys.get("id"), Some(Value::String(_) | Value::Number(_)));
    match keys.get("type").and_then(Value::as_str) {
        Some("unsubscribe") if has_id => Some(0),
        Some("batch") => None,
        _ => Some(1),
    }
}

#[test]
fn any_frame_gets_its_replies_and_affects_no_other_session() {
    // Ids repeat, so repeated ids must not keep calls from running.
    let app = App::new(|config| config.limits.call_ids_per_connection = 0);
    serve(&app.engine);
    let mut witness = app.consumer("witness");
    app.runtime.block_on(witness.subscribe("/"));
    let mut hostile = app.consumer("hostile");
    fuzz(&prop::collection::vec(frame(), 1..8), |frames| {
        for frame in frames {
            let expected = match &frame {
                RawFrame::Text(text) => {
                    hostile.connection().receive(text);
                    expected_replies(text)
                }
                RawFrame::Binary(bytes) => {
                    hostile.connection().receive_binary(bytes);
                    std::str::from_utf8(bytes).map_or(Some(1), expected_replies)
                }
            };
            let replies = app.take_messages(hostile.connection());
            for message in &replies {
                let kind = message["type"].as_str().unwrap_or_default();
                assert!(
                    ["hello", "snapshot", "error", "result"].contains(&kind),
                    "the reply to {frame:?} is {message}"
                );
                assert!(!message.to_string().contains("witness"), "data of another session: {message}");
                assert!(message.get("id").is_none_or(|id| id.is_string() || id.is_number()), "{message}");
                if kind == "snapshot" {
                    check_node(&message["tree"], "");
                }
            }
            if let Some(expected) = expected {
                assert_eq!(replies.len(), expected, "the replies to {frame:?} are {replies:?}");
            }
        }
        app.check_faults();
    });
    app.runtime.block_on(witness.check_mirrors());
    hostile.send(&json!({"type": "query", "id": "last", "path": "/deep/a/leaf"}));
    assert_eq!(app.take_messages(hostile.connection())[0]["tree"]["properties"]["owner"], "hostile");
}
