//! Hostile traffic affects only its sender, whether it comes from another session or from the same one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{SinkExt, StreamExt};
use grove_engine::Event;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::consumer::upgrade;
use crate::running::{Running, soon};

/// The number of frames from each of six connections.
const FRAMES: usize = 2_000;

/// Frames that a peer must never send, or sends only to do harm; within the size limit.
fn hostile_frame(at: usize) -> Message {
    let text = match at % 20 {
        0 => String::new(),
        1 => "nonsense".to_owned(),
        2 => "[".repeat(5_000),
        3 => format!("{}1{}", r#"{"a":"#.repeat(2_000), "}".repeat(2_000)),
        4 => json!({"type": "query", "id": at, "path": "x".repeat(60_000)}).to_string(),
        5 => json!({"type": "subscribe", "id": at, "path": "/a".repeat(3_000), "depth": at}).to_string(),
        6 => json!({"type": "subscribe", "id": "s", "depth": "2", "window": [1], "max_nodes": {}}).to_string(),
        7 => json!({"type": "invoke", "id": at, "path": 5, "action": []}).to_string(),
        8 => json!({"type": "invoke", "path": "/todos", "action": "clear"}).to_string(),
        9 => json!({"type": "batch", "messages": vec![json!({"type": "dance", "id": at}); 50]}).to_string(),
        10 => json!({"type": "batch", "messages": [[], 5, null, {"type": "batch", "messages": []}]}).to_string(),
        11 => json!({"type": "snapshot", "id": "sub-1", "version": 1, "tree": {"id": "app", "type": "root"}}).to_string(),
        12 => json!({"type": "patch", "subscription": "sub-1", "version": 9, "seq": 1, "ops": [{"op": "remove", "path": "/todos"}]}).to_string(),
        13 => json!({"type": "unsubscribe", "id": "sub-1"}).to_string(),
        14 => json!({"type": "query", "id": -1.5e300, "path": "/me", "max_nodes": i64::MIN, "window": [u64::MAX, u64::MAX]}).to_string(),
        15 => json!({"type": "query", "id": at, "path": "/inbox", "window": [0, u64::MAX], "filter": {"min_salience": -1e308}}).to_string(),
        16 => json!({"type": "invoke", "id": at, "path": "/ctl", "action": "typed", "params": {"n": "x".repeat(9_000)}}).to_string(),
        17 => "{\"type\":\"query\",\"id\":\"\\ud800\"}".to_owned(),
        18 => return Message::binary(vec![0xff, 0xc0, 0x80, (at % 256) as u8]),
        _ => return Message::binary(json!({"type": "hello", "id": at}).to_string().into_bytes()),
    };
    Message::text(text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_thousand_hostile_frames_close_nothing_and_leave_every_mirror_exact() {
    let app = Running::start().await;
    let panics = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&panics);
    app.app.engine().observe(move |event| {
        if matches!(event, Event::Panicked { .. } | Event::SourceFailed { .. }) {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let mut witnesses = Vec::new();
    for token in ["alice-1", "alice-1", "zoe-1"] {
        witnesses.push(app.subscribed(token).await);
    }
    let attacks = ["mallory-1", "mallory-1", "mallory-2", "alice-1", "alice-1", "alice-1"].map(|token| {
        let url = format!("ws://{}/slop?token={token}", app.address);
        tokio::spawn(async move {
            let (mut out, mut back) = upgrade(&url, &[]).await.expect("to be accepted").split();
            let reading = tokio::spawn(async move {
                let mut foreign = 0;
                while let Some(Ok(message)) = back.next().await {
                    match message {
                        Message::Text(text) => {
                            foreign +=
                                usize::from(text.contains("zoe") || (token != "alice-1" && text.contains("alice")));
                            if text.contains("\"the-end\"") {
                                return foreign;
                            }
                        }
                        Message::Ping(_) => {}
                        other => panic!("{token} was closed: {other:?}"),
                    }
                }
                panic!("{token} lost its connection");
            });
            for at in 0..FRAMES {
                out.send(hostile_frame(at)).await.unwrap();
            }
            out.send(Message::text(r#"{"type":"query","id":"the-end","path":"/me"}"#)).await.unwrap();
            soon("the last reply", reading).await.unwrap()
        })
    });
    for at in 0..40 {
        witnesses[0].drive_ok("set", json!({"node": "/todos/t1", "key": "title", "value": at})).await;
        witnesses[2].drive_ok("set", json!({"node": "/doc", "key": "title", "value": at})).await;
        witnesses[2].drive_ok("board", json!({"text": at.to_string()})).await;
    }
    let mut foreign = 0;
    for attack in attacks {
        foreign += attack.await.unwrap();
    }
    assert_eq!(foreign, 0, "data of another session was received");
    let last = json!({"title": 39, "done": false});
    witnesses[1].until(|tree| crate::mirror::at(tree, "/todos/t1")["properties"] == last).await;
    witnesses[0].until(|tree| crate::mirror::at(tree, "/board/b1")["properties"]["text"] == "39").await;
    witnesses[1].until(|tree| crate::mirror::at(tree, "/board/b1")["properties"]["text"] == "39").await;
    for witness in &mut witnesses {
        witness.check().await;
        assert_eq!(crate::mirror::ids(&witness.at("/todos")), ["t1", "t2"], "a call without an id is not run");
    }
    assert_eq!(panics.load(Ordering::SeqCst), 0, "the engine or the app panicked");
}
