use serde_json::json;

use crate::agent::{actions, at, children, code, property, summary, window};
use crate::running::Running;

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_holds_the_newest_messages_and_windows_show_the_others() {
    let running = Running::start().await;
    let tree = running.agent("alice").await.tree().await;
    let inbox = at(&tree, "/inbox").expect("the inbox");
    assert_eq!(summary(inbox), "180 messages, 12 unread");
    let meta = inbox.meta.as_ref().expect("meta");
    assert_eq!((children(inbox).len(), meta.total_children, meta.window), (25, Some(180), Some((0, 25))));
    let received: Vec<&str> = children(inbox).iter().map(|item| property(item, "received").as_str().unwrap()).collect();
    assert!(received.is_sorted_by(|newer, older| newer >= older), "{received:?}");

    let slice = window(&running.url("alice"), "/inbox", 100, 10).await;
    assert_eq!(slice["children"].as_array().map(Vec::len), Some(10));
    assert_eq!(slice["meta"]["window"], json!([100, 10]));
    assert_eq!(slice["meta"]["total_children"], json!(180));
    // Alice's messages are numbered from the oldest.
    assert_eq!(slice["children"][0]["id"], json!("m80"));
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_work_on_an_old_message_that_a_window_has_shown() {
    let running = Running::start().await;
    let alice = running.agent("alice").await;
    let slice = window(&running.url("alice"), "/inbox", 100, 10).await;
    let offered = slice["children"][0]["affordances"].as_array().expect("actions");
    assert_eq!(offered.iter().map(|offer| &offer["action"]).collect::<Vec<_>>(), ["archive", "reply"]);
    assert_eq!(alice.query("/inbox/m80").await.id, "m80");

    alice.invoke("/inbox/m80", "archive", json!({})).await.expect("an archived message");
    assert_eq!(summary(at(&alice.tree().await, "/inbox").unwrap()), "179 messages, 12 unread");
    let slice = window(&running.url("alice"), "/inbox", 100, 1).await;
    assert_eq!(slice["children"][0]["id"], json!("m79"));

    // What is archived, what is another's, and what is no message at all look the same.
    for path in ["/inbox/m80", "/inbox/m181", "/inbox/m079", "/inbox/x", "/inbox/m79/m79"] {
        assert_eq!(code(alice.invoke(path, "archive", json!({})).await), "not_found", "{path}");
    }
    assert_eq!(code(alice.invoke("/inbox/m79", "mark_read", json!({})).await), "not_found", "it has been read");
    let seen_by_a_viewer = window(&running.url("victor"), "/inbox", 100, 1).await;
    assert_eq!(seen_by_a_viewer["children"][0].get("affordances"), None);
    alice.mirror_is_exact().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_and_archiving_appear_on_both_sides() {
    let running = Running::start().await;
    let alice = running.agent("alice").await;
    let tree = alice.tree().await;
    let inbox = children(at(&tree, "/inbox").expect("the inbox"));
    let unread = inbox.iter().find(|item| *property(item, "unread") == json!(true)).expect("an unread message");
    assert_eq!(actions(unread), ["mark_read", "archive", "reply"]);

    alice.invoke(&format!("/inbox/{}", unread.id), "mark_read", json!({})).await.expect("a message read");
    let browser = running.browser("alice").await;
    assert!(browser.get("/").await.1.contains("11 unread"));
    browser.submit(&format!("/inbox/{}/archive", unread.id), "").await;
    let archived = |tree: &_| summary(at(tree, "/inbox").unwrap()) == "179 messages, 11 unread";
    let tree = alice.until("the archived message leaves the tree", archived).await;
    assert!(at(&tree, &format!("/inbox/{}", unread.id)).is_none());
    assert_eq!(browser.post(&format!("/inbox/{}/archive", unread.id), "").await.0, 404);
    alice.mirror_is_exact().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_arrives_in_the_colleagues_inbox_signed_and_live() {
    let running = Running::start().await;
    let (alice, amir) = (running.agent("alice").await, running.agent("amir").await);
    let tree = alice.tree().await;
    let inbox = children(at(&tree, "/inbox").expect("the inbox"));
    let message = inbox.iter().find(|item| *property(item, "from") == json!("Amir Haddad")).expect("one from amir");

    alice.invoke("/settings", "set_signature", json!({"text": "A."})).await.expect("a signature");
    let answered = alice.invoke(&format!("/inbox/{}", message.id), "reply", json!({"text": "Both of us."})).await;
    assert_eq!(answered.expect("a reply")["data"]["delivered"], json!(true));

    let arrived = |tree: &_| {
        let first = &children(at(tree, "/inbox").unwrap())[0];
        *property(first, "text") == json!("Both of us.\n\nA.") && *property(first, "from") == json!("Alice Moreau")
    };
    amir.until("the reply in amir's inbox", arrived).await;
    amir.mirror_is_exact().await;
    alice.mirror_is_exact().await;
}
