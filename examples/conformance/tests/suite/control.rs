//! The HTTP routes under `/control`, and discovery.

use serde_json::{Value, json};

use crate::running::Running;

#[tokio::test]
async fn a_refresh_returns_the_number_of_matching_sessions() {
    let app = Running::start().await;
    assert_eq!(app.refresh(&json!({"all": true})).await, 0);
    let mut consumers = Vec::new();
    for token in ["alice-1", "alice-2", "bob", "zoe"] {
        consumers.push(app.subscribed(token).await);
    }
    for (body, matched) in [
        (json!({"session": "alice-1"}), 1),
        (json!({"session": "alice"}), 0),
        (json!({"user": "alice"}), 2),
        (json!({"user": "alice-1"}), 0),
        (json!({"org": "acme"}), 3),
        (json!({"org": "globex"}), 1),
        (json!({"org": "other"}), 0),
        (json!({"all": true}), 4),
        (json!({"where_prefix": "alice-"}), 2),
        (json!({"where_prefix": ""}), 4),
        (json!({"where_prefix": "x"}), 0),
    ] {
        assert_eq!(app.refresh(&body).await, matched, "{body}");
    }
}

#[tokio::test]
async fn a_malformed_body_gets_status_400_and_the_reason() {
    let app = Running::start().await;
    for (path, bodies) in [
        (
            "/control/refresh",
            &[
                "",
                "nonsense",
                "{}",
                "[]",
                "null",
                r#"{"all": false}"#,
                r#"{"session": 1}"#,
                r#"{"who": "x"}"#,
                r#"{"session": "a", "user": "b"}"#,
                r#"{"session": null}"#,
            ][..],
        ),
        ("/control/stamp", &["", "{", "{}", r#"{"n": "1"}"#, r#"{"n": null}"#, "7"][..]),
        ("/control/revoke", &["", "{}", r#"{"session": 1}"#, r#"["session"]"#][..]),
    ] {
        for body in bodies {
            let response = app.post(path, body).await;
            assert_eq!(response.status, 400, "{path} {body}");
            assert!(response.json["error"]["message"].is_string(), "{path} {body}: {response:?}");
        }
    }
}

#[tokio::test]
async fn stats_have_exactly_the_documented_keys() {
    let app = Running::start().await;
    let mut alice = app.subscribed("alice").await;
    alice.subscribe("/todos", 1).await;
    let second = app.consumer("alice").await;
    let stats = app.stats().await;
    let keys: Vec<&str> = stats.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "sessions",
            "trees",
            "connections",
            "subscriptions",
            "tabs",
            "tree_bytes",
            "outbox_bytes",
            "evaluations",
            "commits"
        ]
    );
    for (key, count) in
        [("sessions", 1), ("trees", 1), ("connections", 2), ("subscriptions", 2), ("tabs", 0), ("commits", 1)]
    {
        assert_eq!(stats[key], count, "{key}");
    }
    assert!(stats["tree_bytes"].as_u64().unwrap() > 0);
    for path in
        ["/board", "/ctl", "/deep/a/leaf", "/doc", "/inbox", "/me", "/mix", "/mix/a1", "/org", "/prio", "/todos"]
    {
        assert_eq!(stats["evaluations"][path], 1, "{path}");
    }
    second.leave().await;
    app.until("one connection", |stats| stats["connections"] == 1).await;
}

#[tokio::test]
async fn a_revoked_session_is_closed_and_its_token_refused() {
    let app = Running::start().await;
    let (mut one, mut two, mut other) =
        (app.subscribed("alice-1").await, app.consumer("alice-1").await, app.subscribed("alice-2").await);
    assert_eq!(app.post("/control/revoke", r#"{"session": "alice-1"}"#).await.status, 200);
    assert_eq!((one.closed().await, two.closed().await), (1008, 1008));
    assert_eq!(app.upgrade("?token=alice-1", &[]).await, 401);
    other.drive_ok("set", json!({"node": "/todos/t1", "key": "title", "value": "still here"})).await;
    assert_eq!(app.post("/control/revoke", r#"{"session": "never-seen"}"#).await.status, 200);
    assert_eq!(app.upgrade("?token=never-seen", &[]).await, 401);
}

#[tokio::test]
async fn discovery_describes_the_app() {
    let app = Running::start().await;
    let found = app.get("/.well-known/slop").await.json;
    let of = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    assert_eq!((of("id"), of("name"), of("slop_version")), ("app".into(), "Conf App".into(), "0.1".into()));
    assert_eq!(found["transport"], json!({"type": "ws", "url": format!("ws://{}/slop", app.address)}));
    assert!(found["capabilities"].as_array().unwrap().contains(&Value::from("state")));
}
