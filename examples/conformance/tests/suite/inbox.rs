//! The inbox shows three of its ten messages, and a query loads any of them.

use serde_json::{Value, json};

use crate::mirror::ids;
use crate::running::Running;

#[tokio::test]
async fn the_tree_contains_the_first_three_messages() {
    let app = Running::start().await;
    let consumer = app.subscribed("alice").await;
    let message =
        |at: u64| json!({"id": format!("m{at}"), "type": "item", "properties": {"subject": format!("s{at}")}});
    assert_eq!(
        consumer.at("/inbox"),
        json!({
            "id": "inbox", "type": "collection",
            "meta": {"summary": "10 messages", "salience": 0.8, "total_children": 10, "window": [0, 3]},
            "children": [message(0), message(1), message(2)],
        })
    );
}

#[tokio::test]
async fn every_window_within_the_list_can_be_queried() {
    let app = Running::start().await;
    let mut consumer = app.subscribed("alice").await;
    for from in 0..=10_u64 {
        for count in 0..=(10 - from) {
            let reply = consumer.query(&json!({"path": "/inbox", "depth": -1, "window": [from, count]})).await;
            let wanted: Vec<String> = (from..from + count).map(|at| format!("m{at}")).collect();
            assert_eq!(ids(&reply["tree"]), wanted, "[{from}, {count}]");
            assert_eq!(reply["tree"]["meta"]["total_children"], 10);
            assert_eq!(reply["tree"]["meta"]["window"], json!([from, count]));
            let messages = reply["tree"]["children"].as_array().into_iter().flatten();
            let subjects: Vec<Value> = messages.map(|item| item["properties"]["subject"].clone()).collect();
            assert_eq!(subjects, (from..from + count).map(|at| json!(format!("s{at}"))).collect::<Vec<_>>());
        }
    }
    consumer.check().await;
}

#[tokio::test]
async fn a_change_also_appears_in_a_window_and_only_for_this_session() {
    let app = Running::start().await;
    let (mut alice, mut bob) = (app.subscribed("alice").await, app.subscribed("bob").await);
    for at in [1, 5] {
        alice.drive_ok("set", json!({"node": format!("/inbox/m{at}"), "key": "subject", "value": "mine"})).await;
    }
    let window = json!({"path": "/inbox", "window": [1, 5]});
    let subjects = |reply: &Value| -> Vec<Value> {
        reply["tree"]["children"].as_array().unwrap().iter().map(|item| item["properties"]["subject"].clone()).collect()
    };
    assert_eq!(subjects(&alice.query(&window).await), ["mine", "s2", "s3", "s4", "mine"]);
    assert_eq!(subjects(&bob.query(&window).await), ["s1", "s2", "s3", "s4", "s5"]);
}
