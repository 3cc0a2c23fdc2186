//! Hostile consumers.

use serde_json::{Value, json};

use crate::attacker::{Attacker, Strike};
use crate::mutilated_frames::MutilatedFrames;
use crate::stage::Stage;

/// All of them.
pub(crate) fn all() -> Vec<Attacker> {
    vec![
        Attacker::new("queries with 5,000 filter types", |stage| repeated(stage, vec![typed_query(5_000, 5)])),
        Attacker::new("queries with as many filter types as are accepted", |stage| {
            repeated(stage, vec![typed_query(64, 500); 10])
        }),
        Attacker::new("batches as large as a frame may be", |stage| repeated(stage, vec![batch(1_000, "/note")])),
        Attacker::new("batches as large as a batch may be", |stage| repeated(stage, vec![batch(50, "/")])),
        Attacker::new("JSON that is nested without end", nested),
        Attacker::new("frames over the limit", |stage| repeated(stage, vec!["x".repeat(1 << 20)])),
        Attacker::new("ids as long as a frame may be", |stage| {
            repeated(stage, vec![json!({"type": "query", "id": "i".repeat(60_000)}).to_string()])
        }),
        Attacker::new("mutilated messages", mutilated),
        Attacker::new("a flood of queries", |stage| repeated(stage, vec![query(&json!({"depth": -1})); 100])),
        Attacker::new("a flood of calls", |stage| {
            let call = |n: usize| {
                let params = json!({"n": n});
                json!({"type": "invoke", "id": n, "path": "/note", "action": "set", "params": params}).to_string()
            };
            each(stage, move |strike| (0..50).map(|n| call(strike * 50 + n)).collect())
        }),
        Attacker::new("subscriptions without end", |stage| {
            let subscribe = |n: usize| json!({"type": "subscribe", "id": n, "path": "/", "depth": -1}).to_string();
            each(stage, move |strike| (0..20).map(|n| subscribe(strike * 20 + n)).collect())
        }),
        Attacker::new("readers that read nothing", slow_readers),
        Attacker::new("connections that come and go", connections_that_come_and_go),
        Attacker::new("a flood of events", event_flood),
    ]
}

/// A query with this many filter types, each of this many bytes.
fn typed_query(types: usize, bytes: usize) -> String {
    let types: Vec<String> = (0..types).map(|n| format!("{n:t>bytes$}")).collect();
    query(&json!({"filter": {"types": types}}))
}

fn batch(messages: usize, path: &str) -> String {
    let query = |n: usize| json!({"type": "query", "id": n, "path": path, "depth": -1});
    json!({"type": "batch", "messages": (0..messages).map(query).collect::<Vec<_>>()}).to_string()
}

fn nested(stage: &Stage) -> Strike {
    let brackets = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let params = format!("{}1{}", "{\"a\":".repeat(9_000), "}".repeat(9_000));
    let call = format!(r#"{{"type":"invoke","id":"i","path":"/note","action":"set","params":{params}}}"#);
    repeated(stage, vec![brackets, call, query(&json!({"path": "/a".repeat(30_000)}))])
}

fn connections_that_come_and_go(stage: &Stage) -> Strike {
    let mut peers: Vec<_> = (0..10).map(|n| stage.consumer(&format!("m{n}"))).collect();
    Box::new(move |_| {
        for peer in &mut peers {
            peer.reconnect();
            peer.send(&json!({"type": "subscribe", "id": "s", "path": "/", "depth": -1}));
        }
    })
}

fn query(fields: &Value) -> String {
    let mut message = json!({"type": "query", "id": "q"});
    message.as_object_mut().into_iter().for_each(|keys| keys.extend(fields.as_object().cloned().unwrap_or_default()));
    message.to_string()
}

/// One consumer that sends the same frames at each strike.
fn repeated(stage: &Stage, frames: Vec<String>) -> Strike {
    each(stage, move |_| frames.clone())
}

/// One consumer that sends other frames at each strike.
fn each(stage: &Stage, frames: impl Fn(usize) -> Vec<String> + Send + 'static) -> Strike {
    let mut peer = stage.consumer("m");
    Box::new(move |strike| {
        for frame in frames(strike) {
            peer.send_text(&frame);
        }
        peer.read();
    })
}

/// Valid frames with some of their characters dropped, doubled or replaced.
fn mutilated(stage: &Stage) -> Strike {
    let mut frames = MutilatedFrames::new("/note", "set");
    let mut peer = stage.consumer("m");
    Box::new(move |_| {
        for frame in frames.by_ref().take(100) {
            peer.send_text(&frame);
        }
        peer.read();
    })
}

/// They ask for the whole tree again and again and take nothing.
fn slow_readers(stage: &Stage) -> Strike {
    let mut peers: Vec<_> = (0..4).map(|n| stage.consumer(&format!("m{n}"))).collect();
    Box::new(move |_| {
        for peer in &mut peers {
            (0..10).for_each(|_| peer.send_text(&query(&json!({"depth": -1}))));
            peer.come_back_if_aborted();
        }
    })
}

/// Its action tells the connections of its own user a hundred things; one of them reads nothing.
fn event_flood(stage: &Stage) -> Strike {
    let (mut caller, silent) = (stage.consumer("m"), stage.consumer("m"));
    Box::new(move |strike| {
        let _keep = &silent;
        caller.send(&json!({"type": "invoke", "id": strike, "path": "/note", "action": "shout"}));
        caller.read();
    })
}
