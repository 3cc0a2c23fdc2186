//! What is kept in rooms, over HTTP (rooms 7).

use serde_json::{Value, json};

use crate::rooms_server::{serving, session_of};
use crate::server::Server;

/// The status, the `ETag` and the body of the response to a request of ann's with these header lines.
async fn asks(server: &Server, method: &str, target: &str, headers: &str, body: &Value) -> (u16, String, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let length = body.len();
    let headers = format!("host: localhost\r\nconnection: close\r\nauthorization: Bearer ann\r\n{headers}");
    let request = format!("{method} {target} HTTP/1.1\r\n{headers}content-length: {length}\r\n\r\n{body}");
    let (status, all) = server.raw(request).await;
    let (head, body) = all.split_once("\r\n\r\n").unwrap_or_default();
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap_or_default();
    (status, tag.to_owned(), serde_json::from_str(body).unwrap_or_default())
}

#[tokio::test]
async fn entries_are_kept_read_listed_and_removed() {
    let (server, _) = serving().await;
    let room = server.open_room().await;
    let mut stream = server.events("bob", &room, "", "").await;
    stream.next().await.unwrap();
    let trace = "tx-123e4567-e89b-12d3-a456-426614174000";
    let at = |key: &str| format!("{room}/memory/{key}");
    let put = json!({"value": {"n": [1, null]}});
    let (status, tag, kept) = asks(&server, "PUT", &at("a%20b"), &format!("trace-id: {trace}\r\n"), &put).await;
    assert_eq!((status, tag.as_str(), kept), (200, "\"1\"", json!({"version": 1})));
    let event = stream.next().await.unwrap().data;
    assert_eq!((&event["kind"], &event["body"]), (&json!("memory.changed"), &json!({"key": "a b"})));
    assert_eq!((&event["trace_id"], &event["actor"]["user"]), (&json!(trace), &json!("ann")));
    for key in ["b1", "b2", "c"] {
        assert_eq!(server.asks("bob", "PUT", &at(key), &json!({"value": key})).await.0, 200);
    }
    let (status, tag, entry) = asks(&server, "GET", &at("a%20b"), "", &Value::Null).await;
    assert_eq!((status, tag.as_str()), (200, "\"1\""));
    assert_eq!(entry, json!({"key": "a b", "value": {"n": [1, null]}, "version": 1}));
    let listed = |query: &str| {
        let (server, target) = (&server, format!("{room}/memory{query}"));
        async move {
            let (status, page) = server.gets("ann", &target).await;
            assert_eq!(status, 200, "{page}");
            let keys =
                page["entries"].as_array().unwrap().iter().map(|entry| entry["key"].as_str().unwrap().to_owned());
            (keys.collect::<Vec<_>>().join(","), page["next"].clone())
        }
    };
    assert_eq!(listed("").await, ("a b,b1,b2,c".to_owned(), Value::Null));
    assert_eq!(listed("?prefix=b").await, ("b1,b2".to_owned(), Value::Null));
    assert_eq!(listed("?limit=2").await, ("a b,b1".to_owned(), json!("b1")));
    assert_eq!(listed("?limit=2&after=b1").await, ("b2,c".to_owned(), Value::Null));
    assert_eq!(asks(&server, "DELETE", &at("b1"), "", &Value::Null).await, (200, String::new(), json!({})));
    assert_eq!(server.gets("ann", &at("b1")).await.0, 404);
    assert_eq!(server.asks("ann", "DELETE", &at("b1"), &Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_change_takes_place_only_on_the_entry_that_it_names() {
    let (server, _) = serving().await;
    let target = format!("{}/memory/k", server.open_room().await);
    let put = async |headers: &str| {
        let (status, tag, body) = asks(&server, "PUT", &target, headers, &json!({"value": 1})).await;
        (status, if status == 200 { json!(tag) } else { body["error"]["code"].clone() })
    };
    let conflict = || (409, json!("conflict"));
    assert_eq!(put("if-match: *\r\n").await, conflict());
    assert_eq!(put("if-none-match: *\r\n").await, (200, json!("\"1\"")));
    assert_eq!(put("if-none-match: *\r\n").await, conflict());
    assert_eq!(put("if-match: \"1\"\r\n").await, (200, json!("\"2\"")));
    assert_eq!(put("if-match: \"1\"\r\n").await, conflict());
    assert_eq!(put("if-match: \"x\"\r\n").await, conflict());
    assert_eq!(put("if-match: 2\r\n").await, (200, json!("\"3\"")));
    assert_eq!(put("if-match: \"1\", \"3\"\r\n").await, (400, json!("invalid_params")));
    assert_eq!(asks(&server, "DELETE", &target, "if-match: \"2\"\r\n", &Value::Null).await.0, 409);
    assert_eq!(asks(&server, "DELETE", &target, "if-match: \"3\"\r\n", &Value::Null).await.0, 200);
}

#[tokio::test]
async fn what_cannot_be_kept_has_the_status_of_the_contract() {
    let (server, _) = serving().await;
    let room = server.open_room().await;
    let at = |key: &str| format!("{room}/memory/{key}");
    let (_, observed) =
        server.asks("ann", "POST", "/v1/rooms", &json!({"access": "observe", "memory": {"k": 1}})).await;
    let observed = format!("/v1/rooms/{}/memory/k", observed["room"]["id"].as_str().unwrap());
    let long = json!({"value": "x".repeat(262_144)});
    for (user, method, target, body, status, code) in [
        ("ann", "PUT", at("meta"), json!({"value": 1}), 400, "invalid_params"),
        ("ann", "PUT", at("a%2Fb"), json!({"value": 1}), 400, "invalid_params"),
        ("ann", "PUT", at("%ff"), json!({"value": 1}), 404, "not_found"),
        ("ann", "PUT", at("k"), json!({}), 400, "invalid_params"),
        ("ann", "PUT", at("k"), json!({"value": 1, "version": 1}), 400, "invalid_params"),
        ("ann", "PUT", at(&"k".repeat(257)), json!({"value": 1}), 413, "invalid_params"),
        ("ann", "PUT", at("k"), long, 413, "invalid_params"),
        ("ann", "GET", at("none"), Value::Null, 404, "not_found"),
        ("ann", "GET", format!("{room}/memory?limit=x"), Value::Null, 400, "invalid_params"),
        ("bob", "PUT", observed.clone(), json!({"value": 1}), 403, "unauthorized"),
        ("bob", "DELETE", observed.clone(), Value::Null, 403, "unauthorized"),
    ] {
        let (got, refused) = server.asks(user, method, &target, &body).await;
        assert_eq!((got, &refused["error"]["code"]), (status, &json!(code)), "{user} {method} {target}: {refused}");
    }
    assert_eq!(server.gets("bob", &observed).await, (200, json!({"key": "k", "value": 1, "version": 1})));
    let half = json!({"value": "x".repeat(140_000)});
    assert_eq!(server.asks("ann", "PUT", &at("first"), &half).await.0, 200);
    let (status, full) = server.asks("ann", "PUT", &at("second"), &half).await;
    assert_eq!((status, &full["error"]["code"]), (429, &json!("busy")));
    server.asks("ann", "DELETE", &room, &Value::Null).await;
    for method in ["GET", "DELETE"] {
        let (status, ended) = server.asks("ann", method, &at("first"), &Value::Null).await;
        assert_eq!((status, &ended["error"]["code"]), (409, &json!("conflict")), "{method}");
    }
}

#[tokio::test]
async fn a_room_is_created_with_what_it_keeps_and_its_children_read_it() {
    let (server, _) = serving().await;
    let (_, created) = server.asks("ann", "POST", "/v1/rooms", &json!({"memory": {"goal": {"by": "may"}}})).await;
    let parent = created["room"]["id"].clone();
    let child = json!({"parent": parent, "inherit": ["memory"], "memory": {"own": 1}});
    let (_, child) = server.asks("ann", "POST", "/v1/rooms", &child).await;
    let path = format!("/v1/rooms/{}/memory", child["room"]["id"].as_str().unwrap());
    let (_, listed) = server.gets("ann", &path).await;
    let entries =
        json!([{"key": "goal", "value": {"by": "may"}, "version": 0}, {"key": "own", "value": 1, "version": 1}]);
    assert_eq!(listed, json!({"entries": entries, "next": null}));
    // The tag of what is inherited stands for "the child has none of its own".
    let (_, tag, _) = asks(&server, "GET", &format!("{path}/goal"), "", &Value::Null).await;
    let put = |tag: String| {
        let (server, path) = (&server, format!("{path}/goal"));
        async move { asks(server, "PUT", &path, &format!("if-match: {tag}\r\n"), &json!({"value": 2})).await.0 }
    };
    assert_eq!((put(tag.clone()).await, put(tag).await), (200, 409));
    let memory = server.engine.rooms().memory(&session_of("ann"), parent.as_str().unwrap()).unwrap();
    assert_eq!(memory.get("goal").unwrap().value, json!({"by": "may"}));
}
