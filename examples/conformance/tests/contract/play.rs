//! Plays one case: an app of its own, its peers, its steps; at the end every mirror must be exact.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Parser;
use conformance::{Options, Running, start};
use serde_json::{Value, json};

use crate::case::{Act, Case, Deed};
use crate::mirror::{at, ids};
use crate::pattern::{self, Names, check, fill};
use crate::peer::{Heard, Peer, Way};
use crate::web;

/// Where a case is, for whoever reads why it failed.
struct Stage<'c> {
    case: &'c Case,
    way: Way,
    step: usize,
}

impl Stage<'_> {
    fn want(&self, wanted: &Value, actual: &Value, names: &mut Names) {
        if let Err(why) = check(wanted, actual, names) {
            self.fail(&format!("at {why}\n  wanted {wanted}\n  heard  {actual}"));
        }
    }

    fn fail(&self, why: &str) -> ! {
        let Self { case, way, step } = self;
        panic!("{} \"{}\", step {step}, {way:?}: {why}", case.rule, case.name)
    }
}

pub(crate) async fn play(case: &Case, way: Way, arguments: &[&str]) {
    let mut line = vec!["conformance", "--listen", "127.0.0.1:0"];
    line.extend(arguments);
    if case.args.is_empty() {
        line.extend(["--debounce-ms", "5"]);
    }
    line.extend(case.args.iter().map(String::as_str));
    let app = start(&Options::parse_from(line)).await.unwrap();
    let mut peers = BTreeMap::new();
    for (name, who) in case.peers.iter().filter(|(_, who)| !who.later) {
        peers.insert(name.clone(), Peer::connect(&app, way, who).await);
    }
    let mut names = Names::new();
    let mut stage = Stage { case, way, step: 0 };
    for step in &case.steps {
        stage.step += 1;
        act(&stage, &app, &mut peers, &mut names, &step.peer, &step.act).await;
    }
    for peer in peers.values_mut() {
        peer.check_mirrors().await;
    }
    drop(peers);
    app.stop().await.unwrap();
}

async fn act(
    stage: &Stage<'_>,
    app: &Running,
    peers: &mut BTreeMap<String, Peer>,
    names: &mut Names,
    name: &str,
    act: &Act,
) {
    match act {
        Act::Do(Deed::Open) => {
            let peer = Peer::connect(app, stage.way, &stage.case.peers[name]).await;
            peers.insert(name.to_owned(), peer);
            return;
        }
        Act::Do(Deed::Leave) => {
            peers.remove(name);
            return;
        }
        Act::Wait(ms) => return tokio::time::sleep(Duration::from_millis(*ms)).await,
        Act::Http { method, path, headers, body, status, is } => {
            let body = body.as_ref().map_or_else(String::new, |body| fill(body, names).to_string());
            let method = method.as_deref().unwrap_or(if body.is_empty() { "GET" } else { "POST" });
            let (code, head, answer) = web::request(app.address(), method, path, headers, &body).await;
            stage.want(&json!(status), &json!(code), names);
            if let Some(is) = is {
                assert!(head.contains("content-type: application/json"), "{head}");
                stage.want(is, &answer, names);
            }
            return;
        }
        Act::Upgrade { path, headers, status } => {
            let code = web::upgrade(app.address(), path, headers).await;
            return stage.want(&json!(status), &json!(code), names);
        }
        _ => {}
    }
    let peer = peers.get_mut(name).unwrap_or_else(|| stage.fail("there is no such peer"));
    match act {
        Act::Send(message) => peer.say(&fill(message, names).to_string()).await,
        Act::Raw(text) => peer.say(text).await,
        Act::Repeat { before, text, times, after } => {
            peer.say(&format!("{before}{}{after}", text.repeat(*times))).await;
        }
        Act::Binary(bytes) => peer.say_binary(bytes).await,
        Act::BinaryText(message) => peer.say_binary(message.to_string().as_bytes()).await,
        Act::Expect(wanted) => match peer.hear().await {
            Heard::Message(message) => stage.want(wanted, &message, names),
            Heard::Closed(code) => stage.fail(&format!("closed with {code}")),
        },
        Act::Unordered(wanted) => {
            let mut wanted = wanted.clone();
            while !wanted.is_empty() {
                let message = peer.message().await;
                let found = wanted.iter().position(|one| check(one, &message, &mut names.clone()).is_ok());
                let found = found.unwrap_or_else(|| stage.fail(&format!("{message} is none of {wanted:?}")));
                stage.want(&wanted.remove(found), &message, names);
            }
        }
        Act::Until(wanted) => loop {
            let message = peer.message().await;
            if pattern::check(wanted, &message, &mut names.clone()).is_ok() {
                return stage.want(wanted, &message, names);
            }
        },
        Act::Never { never, until } => loop {
            let message = peer.message().await;
            if check(never, &message, &mut names.clone()).is_ok() {
                stage.fail(&format!("{message} was never to come"));
            }
            if check(until, &message, &mut names.clone()).is_ok() {
                return stage.want(until, &message, names);
            }
        },
        Act::Quiet(ms) => peer.quiet(*ms).await,
        Act::Closed(code) => loop {
            if let Heard::Closed(heard) = peer.hear().await {
                stage.want(&json!(code), &json!(heard), names);
                peers.remove(name);
                return;
            }
        },
        Act::Mirror { subscription, at: path, is } => {
            let tree = peer.mirror(subscription);
            let found = if tree.is_null() { Value::Null } else { at(&tree, path) };
            stage.want(is, &found, names);
        }
        Act::Shows { path, is } => {
            let answer = peer.query(&json!({"path": path})).await;
            if let Some(wanted) = is.as_array() {
                stage.want(&json!(wanted), &json!(ids(&answer["tree"])), names);
            } else {
                stage.want(is, answer.get("tree").unwrap_or(&Value::Null), names);
            }
        }
        Act::Do(Deed::Exact) => peer.check_mirrors().await,
        Act::Do(Deed::Open | Deed::Leave) | Act::Wait(_) | Act::Http { .. } | Act::Upgrade { .. } => {}
    }
}
