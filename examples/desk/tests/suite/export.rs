use serde_json::json;

use crate::agent::{at, children, property};
use crate::running::Running;

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_accepted_at_once_and_runs_to_its_end() {
    let running = Running::start().await;
    let alice = running.agent("alice").await;

    let answer = alice.invoke("/tasks", "export", json!({})).await.expect("an answer");
    assert_eq!(answer["status"], "accepted");
    let work = format!("/tasks/{}", answer["data"]["taskId"].as_str().expect("a task id"));
    let under_way = |tree: &_| at(tree, &work).is_some_and(|node| property(node, "progress").as_f64() > Some(0.2));
    alice.until("progress", under_way).await;
    let ended = |tree: &_| at(tree, &work).is_none_or(|node| *property(node, "status") == json!("done"));
    alice.until("the end of the export", ended).await;

    let browser = running.browser("alice").await;
    let (_, section) = browser.get("/sections/tasks").await;
    assert!(section.contains("<a href=\"/exports/e1\">14 tasks</a>"), "{section}");
    let (status, csv) = browser.get("/exports/e1").await;
    assert!(status.is_success());
    assert_eq!(csv.lines().count(), 1 + 14);
    assert!(csv.contains("\"Call back the customer about the broken vase\""), "{csv}");
    assert_eq!(running.browser("amir").await.get("/exports/e1").await.0, 404);
    alice.mirror_is_exact().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_can_be_cancelled() {
    let running = Running::start().await;
    let alice = running.agent("alice").await;
    let answer = alice.invoke("/tasks", "export", json!({})).await.expect("an answer");
    let work = format!("/tasks/{}", answer["data"]["taskId"].as_str().expect("a task id"));
    alice.until("the task", |tree| at(tree, &work).is_some()).await;
    alice.invoke(&work, "cancel", json!({})).await.expect("a cancellation");
    let ended = |tree: &_| at(tree, &work).is_none_or(|node| *property(node, "status") == json!("cancelled"));
    let tree = alice.until("the end of the export", ended).await;
    assert!(!children(at(&tree, "/tasks").expect("tasks")).is_empty());
    assert!(!running.browser("alice").await.get("/").await.1.contains("Last export"));
}
