//! Runs over HTTP (rooms 7).

use std::sync::Arc;

use grove_engine::testing::ManualClock;
use grove_engine::{Agent, Config, Engine, RoomOptions, RunContext, Storage, Store};
use serde_json::{Value, json};

use crate::refusing_store::RefusingStore;
use crate::rooms_server::{serving, slop};
use crate::server::Server;

/// An agent that returns what is sent to it, and one that streams.
fn register(engine: &Engine) {
    engine.register_agent(Agent::new("ask", |run: RunContext, _: Value| async move {
        Ok(json!({"got": run.next_input().await}))
    }));
    engine.register_agent(Agent::new("writer", |run: RunContext, input: Value| async move {
        for word in ["one ", "two"] {
            run.chunk(word);
            tokio::task::yield_now().await;
        }
        Ok(json!({"of": input}))
    }));
}

/// A room of ann's, open to the project, with this agent.
async fn room_with(server: &Server, agent: &str) -> String {
    register(&server.engine);
    let (status, created) =
        server.asks("ann", "POST", "/v1/rooms", &json!({"agent": agent, "access": "project"})).await;
    assert_eq!(status, 201, "{created}");
    format!("/v1/rooms/{}", created["room"]["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_run_is_started_shown_given_an_input_and_returns_its_result() {
    let (server, _) = serving().await;
    let room = room_with(&server, "ask").await;
    let (status, started) = server.asks("bob", "POST", &format!("{room}/runs"), &json!({"input": 1})).await;
    assert_eq!(status, 202, "{started}");
    let run = format!("{room}/runs/{}", started["run"].as_str().unwrap());
    let (status, shown) = server.gets("ann", &run).await;
    assert_eq!((status, &shown["run"]["status"], &shown["run"]["by"]), (200, &json!("running"), &json!("bob")));
    assert_eq!(server.asks("ann", "POST", &format!("{run}/input"), &json!({"data": [7]})).await, (202, json!({})));
    while server.gets("ann", &run).await.1["run"]["status"] == "running" {}
    let (_, shown) = server.gets("ann", &run).await;
    assert_eq!((&shown["run"]["status"], &shown["run"]["result"]), (&json!("done"), &json!({"got": [7]})));
    assert_eq!(server.asks("ann", "POST", &format!("{run}/input"), &json!({"data": 1})).await.0, 409);
    assert_eq!(server.asks("ann", "DELETE", &run, &Value::Null).await.0, 409);
    let (_, shown) = server.gets("ann", &room).await;
    assert_eq!(shown["room"]["last_outcome"], "done");
}

#[tokio::test]
async fn a_run_is_cancelled_by_who_started_it_or_the_owner() {
    let (server, _) = serving().await;
    let room = room_with(&server, "ask").await;
    let (_, started) = server.asks("ann", "POST", &format!("{room}/runs"), &json!({"input": 1})).await;
    let run = format!("{room}/runs/{}", started["run"].as_str().unwrap());
    assert_eq!(server.asks("bob", "DELETE", &run, &Value::Null).await.0, 403);
    assert_eq!(server.asks("eve", "DELETE", &run, &Value::Null).await.0, 404);
    assert_eq!(server.asks("ann", "DELETE", &run, &Value::Null).await, (202, json!({})));
    while server.gets("ann", &run).await.1["run"]["status"] == "running" {}
    assert_eq!(server.gets("ann", &run).await.1["run"]["status"], "cancelled");
    assert_eq!(server.gets("ann", &format!("{room}/runs/r_unknown")).await.0, 404);
}

/// The head of a request for a stream of a run's events.
fn streaming(room: &str, body: &str) -> String {
    format!(
        "POST {room}/runs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer bob\r\n\
         accept: text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn a_stream_of_a_run_begins_when_that_it_was_started_is_durable() {
    let (store, clock) = (RefusingStore::new(), ManualClock::new());
    let storage = Storage::new(Arc::clone(&store) as Arc<dyn Store>);
    let builder = Engine::builder("desk", "Desk").config(Config::immediate()).clock(clock.clone());
    let engine = builder.rooms(RoomOptions::new().storage(storage)).build();
    register(&engine);
    let server = Server::of(engine.clone(), slop(&engine, &clock).router()).await;
    let new = json!({"agent": "writer", "access": "project", "replayable": true});
    let (_, created) = server.asks("ann", "POST", "/v1/rooms", &new).await;
    let room = format!("/v1/rooms/{}", created["room"]["id"].as_str().unwrap());
    let request = streaming(&room, r#"{"input": "x"}"#);
    assert_eq!(server.raw(request.clone()).await.0, 200);
    store.refuse();
    let mut refused = Box::pin(server.raw(request));
    let (status, body) = loop {
        tokio::select! {
            biased;
            response = &mut refused => break response,
            () = tokio::task::yield_now() => clock.advance(100),
        }
    };
    assert_eq!(status, 429, "{body}");
    assert!(body.contains("is not durable yet") && !body.contains("run.started"), "{body}");
}

#[tokio::test]
async fn a_run_streams_its_events_until_its_end() {
    let (server, _) = serving().await;
    let room = room_with(&server, "writer").await;
    let body = json!({"input": "x", "call_id": "c"}).to_string();
    let (status, all) = server.raw(streaming(&room, &body)).await;
    assert_eq!(status, 200);
    let kinds: Vec<_> = all.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"run.started"), Some(&"run.done")), "{all}");
    let data: Vec<Value> = all
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let text: String = data.iter().filter_map(|event| event["body"]["text"].as_str()).collect();
    assert_eq!((text.as_str(), &data.last().unwrap()["body"]["result"]), ("one two", &json!({"of": "x"})));
    // The same call again: it is over, and so is the stream.
    let (status, again) = server.raw(streaming(&room, &body)).await;
    assert_eq!((status, again.contains("event: ")), (200, false), "{again}");
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_with_its_status() {
    let (server, _) = serving().await;
    let room = room_with(&server, "ask").await;
    let runs = format!("{room}/runs");
    for (user, body, expected) in [
        ("bob", json!({}), 400),
        ("bob", json!({"input": 1, "delivery": {"window_ms": 1}}), 400),
        ("bob", json!({"input": 1, "more": 1}), 400),
        ("bob", json!({"input": 1, "delivery": {"fallback": "nobody"}}), 422),
        ("bob", json!({"input": "x".repeat(70_000)}), 413),
        ("eve", json!({"input": 1}), 404),
        ("nobody", json!({"input": 1}), 404),
        ("", json!({"input": 1}), 401),
    ] {
        let (status, refused) = server.asks(user, "POST", &runs, &body).await;
        assert_eq!(status, expected, "{user}: {refused}");
    }
    let (status, refused) = server.asks("ann", "POST", "/v1/rooms", &json!({"agent": "nobody"})).await;
    assert_eq!((status, &refused["error"]["code"]), (422, &json!("unknown_agent")));
}
