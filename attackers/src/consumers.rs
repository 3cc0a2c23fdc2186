//! Hostile consumers.

use serde_json::{Value, json};

use crate::attacker::{Attacker, Strike};
use crate::stage::Stage;

/// All of them.
pub(crate) fn all() -> Vec<Attacker> {
    vec![
        Attacker::new("queries with 20,000 filter types", |stage| {
            let types: Vec<String> = (0..5_000).map(|n| format!("t{n}")).collect();
            repeated(stage, vec![query(&json!({"filter": {"types": types}}))])
        }),
        Attacker::new("queries with as many filter types as are accepted", |stage| {
            let types: Vec<String> = (0..64).map(|n| format!("{n}{}", "t".repeat(500))).collect();
            repeated(stage, vec![query(&json!({"filter": {"types": types}}))])
        }),
        Attacker::new("batches as large as a frame may be", |stage| {
            let queries: Vec<Value> = (0..1_000).map(|n| json!({"type": "query", "id": n, "path": "/note"})).collect();
            repeated(stage, vec![json!({"type": "batch", "messages": queries}).to_string()])
        }),
        Attacker::new("batches as large as a batch may be", |stage| {
            let queries: Vec<Value> = (0..50).map(|n| json!({"type": "query", "id": n, "depth": -1})).collect();
            repeated(stage, vec![json!({"type": "batch", "messages": queries}).to_string()])
        }),
        Attacker::new("JSON that is nested without end", |stage| {
            let brackets = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
            let params = format!("{}1{}", "{\"a\":".repeat(9_000), "}".repeat(9_000));
            let call = format!(r#"{{"type":"invoke","id":"i","path":"/note","action":"set","params":{params}}}"#);
            let path = query(&json!({"path": "/a".repeat(30_000)}));
            repeated(stage, vec![brackets, call, path])
        }),
        Attacker::new("frames over the limit", |stage| repeated(stage, vec!["x".repeat(1 << 20)])),
        Attacker::new("ids as long as a frame may be", |stage| {
            repeated(stage, vec![json!({"type": "query", "id": "i".repeat(60_000)}).to_string()])
        }),
        Attacker::new("mutilated messages", mutilated),
        Attacker::new("a flood of queries", |stage| repeated(stage, vec![query(&json!({"depth": -1})); 100])),
        Attacker::new("a flood of calls", |stage| {
            let call = |n: usize| json!({"type": "invoke", "id": n, "path": "/note", "action": "set", "params": {"n": n}});
            each(stage, move |strike| (0..50).map(|n| call(strike * 50 + n).to_string()).collect())
        }),
        Attacker::new("subscriptions without end", |stage| {
            let subscribe = |n: usize| json!({"type": "subscribe", "id": n, "path": "/", "depth": -1});
            each(stage, move |strike| (0..20).map(|n| subscribe(strike * 20 + n).to_string()).collect())
        }),
        Attacker::new("readers that read nothing", slow_readers),
        Attacker::new("connections that come and go", |stage| {
            let mut peers: Vec<_> = (0..10).map(|n| stage.consumer(&format!("m{n}"))).collect();
            Box::new(move |_| {
                for peer in &mut peers {
                    peer.reconnect();
                    peer.send_text(&json!({"type": "subscribe", "id": "s", "path": "/", "depth": -1}).to_string());
                }
            })
        }),
        Attacker::new("a flood of events", event_flood),
    ]
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
    let seeds = [
        r#"{"type":"subscribe","id":"s","path":"/note","depth":1,"filter":{"types":["group"]},"window":[0,5]}"#,
        r#"{"type":"invoke","id":"i","path":"/note","action":"set","params":{"a":[1,2,{"b":null}]}}"#,
        r#"{"type":"batch","messages":[{"type":"query","id":1},{"type":"unsubscribe","id":"s"}]}"#,
        "\u{0}\u{1}{}[]\"\\",
    ];
    let mut state = 1_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut peer = stage.consumer("m");
    Box::new(move |_| {
        for _ in 0..100 {
            let mut frame = String::new();
            for character in seeds[random(seeds.len())].chars() {
                match random(40) {
                    0 => {}
                    1 => frame.extend([character, character]),
                    2 => frame.push(['"', '{', '}', ',', ':', '\\', '\u{fffd}', '9', '-'][random(9)]),
                    _ => frame.push(character),
                }
            }
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
