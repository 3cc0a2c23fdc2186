//! The list of todos and its own actions.

use serde_json::json;

use crate::mirror::ids;
use crate::running::Running;

#[tokio::test]
async fn adding_appends_an_item_with_the_next_id_and_increments_the_count() {
    let app = Running::start().await;
    let mut consumer = app.subscribed("alice").await;
    for (id, count) in [("t3", 3), ("t4", 4)] {
        let done = consumer.invoke("/todos", "add", json!({"title": "tea"})).await;
        assert_eq!((&done.result["status"], &done.result["data"]), (&json!("ok"), &json!({"id": id})));
        consumer.check().await;
        let todos = consumer.at("/todos");
        assert_eq!(todos["properties"]["count"], count);
        assert_eq!(ids(&todos).last().unwrap(), id);
        assert_eq!(consumer.at(&format!("/todos/{id}"))["properties"], json!({"title": "tea", "done": false}));
    }
}

#[tokio::test]
async fn an_id_is_never_reused() {
    let app = Running::start().await;
    let mut consumer = app.subscribed("alice").await;
    consumer.drive_ok("insert", json!({"id": "t3", "index": 0})).await;
    let done = consumer.invoke("/todos", "add", json!({"title": "tea"})).await;
    assert_eq!(done.result["data"], json!({"id": "t4"}));
    consumer.invoke("/todos/t4", "delete", json!({})).await;
    let done = consumer.invoke("/todos", "add", json!({"title": "tea"})).await;
    assert_eq!(done.result["data"], json!({"id": "t5"}));
}

#[tokio::test]
async fn todos_can_be_toggled_deleted_and_cleared() {
    let app = Running::start().await;
    let mut consumer = app.subscribed("alice").await;
    for done in [true, false] {
        consumer.invoke("/todos/t1", "toggle", json!({})).await;
        assert_eq!(consumer.at("/todos/t1")["properties"], json!({"title": "milk", "done": done}));
    }
    consumer.invoke("/todos/t1", "delete", json!({})).await;
    assert_eq!(ids(&consumer.at("/todos")), ["t2"]);
    assert_eq!(consumer.invoke("/todos/t1", "delete", json!({})).await.code(), "not_found");
    consumer.invoke("/todos", "clear", json!({})).await;
    consumer.check().await;
    assert_eq!(ids(&consumer.at("/todos")), [""; 0]);
    assert_eq!(consumer.at("/todos")["properties"], json!({"count": 0}));
    let commits = app.commits().await;
    assert!(consumer.invoke("/todos", "clear", json!({})).await.before.is_empty());
    assert_eq!(app.commits().await, commits, "clearing an empty list changes nothing");
}

#[tokio::test]
async fn the_document_can_be_read() {
    let app = Running::start().await;
    let mut consumer = app.subscribed("alice").await;
    let done = consumer.invoke("/doc", "read_content", json!({})).await;
    assert_eq!(done.result["data"], json!({"content": "hello", "encoding": "utf-8"}));
}
