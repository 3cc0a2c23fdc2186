//! Plays one case: its own app, its peers and its steps. At the end every mirror must be exact.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Parser;
use conformance::{Options, Running, start};
use serde_json::{Value, json};

use crate::case::{Act, Case, Operation};
use crate::mirror::{at, ids};
use crate::pattern::{Names, check, fill};
use crate::peer::{Peer, Received, Transport};
use crate::web;

/// The position in a case, for failure messages.
struct Position<'c> {
    case: &'c Case,
    transport: Transport,
    step: usize,
}

impl Position<'_> {
    fn expect(&self, expected: &Value, actual: &Value, names: &mut Names) {
        if let Err(why) = check(expected, actual, names) {
            self.fail(&format!("at {why}\n  expected {expected}\n  received {actual}"));
        }
    }

    fn fail(&self, why: &str) -> ! {
        let Self { case, transport, step } = self;
        panic!("{} \"{}\", step {step}, {transport:?}: {why}", case.rule, case.name)
    }
}

pub(crate) async fn play(case: &Case, transport: Transport, arguments: &[&str]) {
    let mut line = vec!["conformance", "--listen", "127.0.0.1:0"];
    line.extend(arguments);
    if case.args.is_empty() {
        line.extend(["--debounce-ms", "5"]);
    }
    line.extend(case.args.iter().map(String::as_str));
    let app = start(&Options::parse_from(line)).await.unwrap();
    let mut peers = BTreeMap::new();
    for (name, options) in case.peers.iter().filter(|(_, options)| !options.later) {
        peers.insert(name.clone(), Peer::connect(&app, transport, options).await);
    }
    let mut names = Names::new();
    let mut position = Position { case, transport, step: 0 };
    for step in &case.steps {
        position.step += 1;
        act(&position, &app, &mut peers, &mut names, &step.peer, &step.act).await;
    }
    for peer in peers.values_mut() {
        peer.check_mirrors().await;
    }
    drop(peers);
    app.stop().await.unwrap();
}

/// Does one step: on the app, as a message of the peer, or as a check of what the peer receives.
async fn act(
    position: &Position<'_>,
    app: &Running,
    peers: &mut BTreeMap<String, Peer>,
    names: &mut Names,
    name: &str,
    act: &Act,
) {
    match act {
        Act::Do(Operation::Open) => {
            let peer = Peer::connect(app, position.transport, &position.case.peers[name]).await;
            peers.insert(name.to_owned(), peer);
        }
        Act::Do(Operation::Leave) => drop(peers.remove(name)),
        Act::Wait(ms) => tokio::time::sleep(Duration::from_millis(*ms)).await,
        Act::Http { .. } | Act::Upgrade { .. } => request(position, app, names, act).await,
        Act::Send(_) | Act::Raw(_) | Act::Repeat { .. } | Act::Binary(_) | Act::BinaryText(_) => {
            send(peer(position, peers, name), names, act).await;
        }
        Act::Closed(code) => {
            let peer = peer(position, peers, name);
            let received = loop {
                if let Received::Closed(received) = peer.receive().await {
                    break received;
                }
            };
            position.expect(&json!(code), &json!(received), names);
            peers.remove(name);
        }
        Act::Expect(_) | Act::Unordered(_) | Act::Until(_) | Act::Never { .. } => {
            receive(position, peer(position, peers, name), names, act).await;
        }
        Act::Quiet(ms) => peer(position, peers, name).quiet(*ms).await,
        Act::Mirror { .. } | Act::Shows { .. } => inspect(position, peer(position, peers, name), names, act).await,
        Act::Do(Operation::Exact) => peer(position, peers, name).check_mirrors().await,
    }
}

fn peer<'p>(position: &Position<'_>, peers: &'p mut BTreeMap<String, Peer>, name: &str) -> &'p mut Peer {
    peers.get_mut(name).unwrap_or_else(|| position.fail("there is no such peer"))
}

/// An HTTP request, or an attempt to connect a WebSocket.
async fn request(position: &Position<'_>, app: &Running, names: &mut Names, act: &Act) {
    match act {
        Act::Http { method, path, headers, body, status, is } => {
            let body = body.as_ref().map_or_else(String::new, |body| fill(body, names).to_string());
            let method = method.as_deref().unwrap_or(if body.is_empty() { "GET" } else { "POST" });
            let (code, head, json) = web::request(app.address(), method, path, headers, &body).await;
            position.expect(&json!(status), &json!(code), names);
            if let Some(is) = is {
                assert!(head.contains("content-type: application/json"), "{head}");
                position.expect(is, &json, names);
            }
        }
        Act::Upgrade { path, headers, status } => {
            let code = web::upgrade(app.address(), path, headers).await;
            position.expect(&json!(status), &json!(code), names);
        }
        other => unreachable!("not a request: {other:?}"),
    }
}

async fn send(peer: &mut Peer, names: &Names, act: &Act) {
    match act {
        Act::Send(message) => peer.send(&fill(message, names).to_string()).await,
        Act::Raw(text) => peer.send(text).await,
        Act::Repeat { before, text, times, after } => {
            peer.send(&format!("{before}{}{after}", text.repeat(*times))).await;
        }
        Act::Binary(bytes) => peer.send_binary(bytes).await,
        Act::BinaryText(message) => peer.send_binary(message.to_string().as_bytes()).await,
        other => unreachable!("not a message: {other:?}"),
    }
}

/// Checks the next messages of a peer.
async fn receive(position: &Position<'_>, peer: &mut Peer, names: &mut Names, act: &Act) {
    match act {
        Act::Expect(expected) => match peer.receive().await {
            Received::Message(message) => position.expect(expected, &message, names),
            Received::Closed(code) => position.fail(&format!("closed with {code}")),
        },
        Act::Unordered(expected) => {
            let mut expected = expected.clone();
            while !expected.is_empty() {
                let message = peer.message().await;
                let found = expected.iter().position(|one| check(one, &message, &mut names.clone()).is_ok());
                let found = found.unwrap_or_else(|| position.fail(&format!("{message} is none of {expected:?}")));
                position.expect(&expected.remove(found), &message, names);
            }
        }
        Act::Until(expected) => loop {
            let message = peer.message().await;
            if check(expected, &message, &mut names.clone()).is_ok() {
                return position.expect(expected, &message, names);
            }
        },
        Act::Never { never, until } => loop {
            let message = peer.message().await;
            if check(never, &message, &mut names.clone()).is_ok() {
                position.fail(&format!("{message} must never be received"));
            }
            if check(until, &message, &mut names.clone()).is_ok() {
                return position.expect(until, &message, names);
            }
        },
        other => unreachable!("not a check of messages: {other:?}"),
    }
}

/// Checks what a peer's mirror or a fresh query shows.
async fn inspect(position: &Position<'_>, peer: &mut Peer, names: &mut Names, act: &Act) {
    match act {
        Act::Mirror { subscription, at: path, is } => {
            let tree = peer.mirror(subscription);
            let found = if tree.is_null() { Value::Null } else { at(&tree, path) };
            position.expect(is, &found, names);
        }
        Act::Shows { path, is } => {
            let reply = peer.query(&json!({"path": path})).await;
            if let Some(expected) = is.as_array() {
                position.expect(&json!(expected), &json!(ids(&reply["tree"])), names);
            } else {
                position.expect(is, reply.get("tree").unwrap_or(&Value::Null), names);
            }
        }
        other => unreachable!("not a check of a tree: {other:?}"),
    }
}
