//! Agents elsewhere over `/agents` (rooms 6): what the socket adds. The rules of runs are tested in the engine.

use std::sync::Arc;

use axum::Router;
use grove_axum::Slop;
use grove_engine::testing::ManualClock;
use grove_engine::{Config, Engine, Event, RoomOptions, Storage, Store};
use serde_json::{Value, json};
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::Message;

use crate::refusing_store::RefusingStore;
use crate::rooms_server::{EventStream, engine, people, serving, slop};
use crate::server::{Peer, Server};

/// A program that has become this agent.
async fn linked(server: &Server, agent: &str) -> Peer {
    let mut peer = server.dial("/agents?token=bot", &[]).await.unwrap();
    peer.send(json!({"type": "ready", "agent": agent}).to_string()).await;
    assert_eq!(peer.receive().await, json!({"type": "welcome", "agent": agent}));
    peer
}

/// A room of ann's in which an agent runs.
async fn room_with(server: &Server, agent: &str) -> String {
    let (status, created) =
        server.asks("ann", "POST", "/v1/rooms", &json!({"agent": agent, "queue": "parallel"})).await;
    assert_eq!(status, 201, "{created}");
    format!("/v1/rooms/{}", created["room"]["id"].as_str().unwrap())
}

async fn run(server: &Server, room: &str, input: &Value) -> String {
    let (status, started) = server.asks("ann", "POST", &format!("{room}/runs"), &json!({"input": input})).await;
    assert_eq!(status, 202, "{started}");
    format!("{room}/runs/{}", started["run"].as_str().unwrap())
}

/// Says something about the attempt of a dispatch.
async fn about(peer: &mut Peer, dispatch: &Value, kind: &str, more: &Value) {
    let mut message = json!({"type": kind, "run": dispatch["run"], "attempt": dispatch["attempt"]});
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    peer.send(message.to_string()).await;
}

/// The next events about runs, up to the end of one.
async fn until_end(stream: &mut EventStream) -> Vec<(String, Value)> {
    let mut events = Vec::new();
    loop {
        let received = stream.next().await.expect("an event");
        let ends = ["run.done", "run.failed", "run.cancelled", "run.timed_out"].contains(&received.kind.as_str());
        if received.kind.starts_with("run.") {
            events.push((received.kind, received.data["body"].clone()));
        }
        if ends {
            return events;
        }
    }
}

fn kinds(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(kind, _)| kind.as_str()).collect()
}

#[tokio::test]
async fn a_program_that_connects_executes_runs_of_rooms() {
    let (server, _) = serving().await;
    let mut peer = linked(&server, "far").await;
    let room = room_with(&server, "far").await;
    let mut events = server.events("ann", &room, "", "").await;
    let path = run(&server, &room, &json!({"n": 1})).await;
    let dispatch = peer.receive().await;
    assert_eq!(
        (&dispatch["type"], &dispatch["input"], &dispatch["project"]),
        (&json!("dispatch"), &json!({"n": 1}), &json!("acme"))
    );
    about(&mut peer, &dispatch, "chunk", &json!({"text": "hello"})).await;
    about(&mut peer, &dispatch, "result", &json!({"output": {"n": 2}})).await;
    let events = until_end(&mut events).await;
    assert_eq!(kinds(&events), ["run.started", "run.chunk", "run.done"]);
    assert_eq!(events[2].1["result"], json!({"n": 2}));
    assert_eq!(server.gets("ann", &path).await.1["run"]["status"], "done");
}

#[tokio::test]
async fn only_who_is_authenticated_connects_and_pages_only_from_allowed_origins() {
    let (server, _) = serving().await;
    let status = async |target: &str, headers: &[(&'static str, &str)]| match server.dial(target, headers).await {
        Ok(_) => 101,
        Err(refused) => refused.status,
    };
    assert_eq!(status("/agents", &[]).await, 401);
    assert_eq!(status("/agents?token=stranger", &[]).await, 401);
    assert_eq!(status("/agents", &[("authorization", "Bearer bot")]).await, 101);
    assert_eq!(status("/agents", &[("cookie", "session=bot")]).await, 101);
    assert_eq!(status("/agents?token=bot", &[("origin", "https://evil.example")]).await, 403);
    let (status, body) = server.gets("bot", "/agents").await;
    assert_eq!((status, &body["error"]["code"]), (426, &json!("upgrade_required")));
}

#[tokio::test]
async fn a_session_without_the_permission_connects_and_is_no_agent() {
    let (server, _) = serving().await;
    let mut peer = server.dial("/agents?token=ann", &[]).await.unwrap();
    peer.send(json!({"type": "ready", "agent": "far"}).to_string()).await;
    let refused = peer.receive().await;
    assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!("unauthorized")));
    let (status, created) = server.asks("ann", "POST", "/v1/rooms", &json!({"agent": "far"})).await;
    assert_eq!((status, &created["error"]["code"]), (422, &json!("unknown_agent")));
}

#[tokio::test]
async fn a_run_whose_socket_is_reset_goes_to_another_one_and_ends_once() {
    let (server, _) = serving().await;
    let mut first = linked(&server, "far").await;
    let room = room_with(&server, "far").await;
    let mut events = server.events("ann", &room, "", "").await;
    run(&server, &room, &json!(1)).await;
    let dispatch = first.receive().await;
    about(&mut first, &dispatch, "chunk", &json!({"text": "half"})).await;
    let mut second = linked(&server, "far").await;
    let MaybeTlsStream::Plain(stream) = first.socket.get_ref() else { panic!("the tests use no TLS") };
    stream.set_zero_linger().unwrap();
    drop(first);
    let again = second.receive().await;
    assert_eq!((&again["run"], &again["attempt"]), (&dispatch["run"], &json!(2)));
    about(&mut second, &again, "result", &json!({"output": "done"})).await;
    let kinds_of = until_end(&mut events).await;
    assert_eq!(kinds(&kinds_of).last(), Some(&"run.done"));
    assert_eq!(kinds(&kinds_of).iter().filter(|kind| **kind == "run.redelivered").count(), 1);
}

#[tokio::test]
async fn what_a_socket_sends_that_cannot_be_used_is_refused_and_a_huge_message_ends_it() {
    let (server, _) = serving().await;
    let mut peer = linked(&server, "far").await;
    for nonsense in [Message::text("nonsense"), Message::text("[]"), Message::binary(vec![0xff])] {
        peer.send(nonsense).await;
        assert_eq!(peer.receive().await["code"], "bad_request");
    }
    peer.send(Message::binary(json!({"type": "ready", "agent": "far"}).to_string().into_bytes())).await;
    assert_eq!(peer.receive().await["type"], "welcome", "text in a binary frame is text");
    peer.send("x".repeat((1 << 20) + 1)).await;
    assert_eq!(u16::from(peer.receive_close().await.code), 1009);
}

#[tokio::test]
async fn a_socket_whose_session_is_revoked_is_closed() {
    let (server, _) = serving().await;
    let mut peer = linked(&server, "far").await;
    server.engine.revoke(grove_engine::Revocation::user("bot"));
    assert_eq!(u16::from(peer.receive_close().await.code), 1008);
    assert_eq!(server.dial("/agents?token=bot", &[]).await.unwrap_err().status, 401);
}

#[tokio::test]
async fn the_sockets_of_agents_are_closed_last_when_the_engine_shuts_down() {
    let (server, _) = serving().await;
    let mut peer = linked(&server, "far").await;
    let room = room_with(&server, "far").await;
    run(&server, &room, &json!(1)).await;
    let dispatch = peer.receive().await;
    let engine = server.engine.clone();
    let shutdown = tokio::spawn(async move { engine.shutdown(std::time::Duration::from_secs(5)).await });
    assert_eq!(server.dial("/agents?token=bot", &[]).await.map_or_else(|refused| refused.status, |_| 101), 503);
    about(&mut peer, &dispatch, "result", &json!({"output": "in time"})).await;
    assert_eq!(u16::from(peer.receive_close().await.code), 1001);
    drop(peer);
    shutdown.await.unwrap();
}

#[tokio::test]
async fn a_socket_that_reads_nothing_costs_a_bounded_amount_and_is_given_up() {
    let (engine, clock) = engine(|config| {
        config.sizes.outbox_bytes = 1 << 20;
        config.limits.connections_per_session = 1_000;
    });
    let app: Router = slop(&engine, &clock).router();
    let server = Server::of(engine, app).await;
    let deaf = linked(&server, "far").await;
    let room = room_with(&server, "far").await;
    let input = json!("x".repeat(60_000));
    // Whatever the kernel takes, and then what may wait.
    let mut started = 0;
    while server.engine.rooms().stats().agent_links == 1 {
        run(&server, &room, &input).await;
        assert!(server.engine.stats().outbox_bytes <= 2 << 20);
        started += 1;
        assert!(started < 500, "it was never given up");
        clock.advance(1_000);
    }
    drop(deaf);
}

#[tokio::test]
async fn the_route_is_beside_the_endpoint() {
    let (engine, clock) = engine(|_| {});
    let slop = Slop::new(engine.clone(), people(&clock)).rooms(engine.rooms()).path("/mail/slop");
    let server = Server::of(engine, slop.router()).await;
    assert_eq!(server.dial("/agents?token=bot", &[]).await.unwrap_err().status, 404);
    let mut peer = server.dial("/mail/agents?token=bot", &[]).await.unwrap();
    peer.send(json!({"type": "ready", "agent": "far"}).to_string()).await;
    assert_eq!(peer.receive().await["type"], "welcome");
}

/// Its storage takes nothing, and the link streams four times as much as may wait for that.
#[tokio::test]
async fn a_link_that_streams_faster_than_can_be_written_is_slowed_down_by_its_socket() {
    let (store, clock) = (RefusingStore::new(), ManualClock::new());
    let mut config = Config::immediate();
    config.rooms.unwritten_bytes = 256 << 10;
    let storage = Storage::new(Arc::clone(&store) as Arc<dyn Store>);
    let builder = Engine::builder("desk", "Desk").config(config).clock(clock.clone());
    let engine = builder.rooms(RoomOptions::new().storage(storage)).build();
    let server = Server::of(engine.clone(), slop(&engine, &clock).router()).await;
    let mut peer = linked(&server, "far").await;
    let new = json!({"agent": "far", "replayable": true});
    let (_, created) = server.asks("ann", "POST", "/v1/rooms", &new).await;
    let room = format!("/v1/rooms/{}", created["room"]["id"].as_str().unwrap());
    let path = run(&server, &room, &json!(1)).await;
    let dispatch = peer.receive().await;
    let (told, mut storage) = tokio::sync::mpsc::channel(16);
    engine.observe(move |event| match event {
        Event::StorageFailed { .. } => drop(told.try_send("failed")),
        Event::StorageRecovered { .. } => drop(told.try_send("recovered")),
        _ => {}
    });
    store.refuse();
    let streaming = tokio::spawn(async move {
        for _ in 0..128 {
            about(&mut peer, &dispatch, "chunk", &json!({"text": "x".repeat(8 << 10)})).await;
        }
        about(&mut peer, &dispatch, "result", &json!({"output": "all"})).await;
        peer
    });
    assert_eq!(storage.recv().await, Some("failed"));
    // Others of the server are served meanwhile.
    let mut other = linked(&server, "near").await;
    other.send(json!({"type": "nonsense"}).to_string()).await;
    assert_eq!(other.receive().await["code"], "bad_request");
    let (_, shown) = server.gets("ann", &path).await;
    assert_eq!(shown["run"]["status"], "running", "{shown}");
    store.accept();
    clock.advance(500);
    while storage.recv().await != Some("recovered") {}
    let _peer = streaming.await.unwrap();
    let shown = loop {
        let (_, shown) = server.gets("ann", &path).await;
        if shown["run"]["status"] != "running" {
            break shown;
        }
    };
    assert_eq!((&shown["run"]["status"], &shown["run"]["output_chars"]), (&json!("done"), &json!(1 << 20)), "{shown}");
}
