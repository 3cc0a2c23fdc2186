//! The binary: its start line, its options, and how it stops.

use std::process::Stdio;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::consumer::Consumer;
use crate::running::{Running, soon};

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conformance"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Asks a process to stop.
async fn terminate(process: &Child) {
    let id = process.id().expect("a running process").to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
}

#[tokio::test]
async fn it_prints_its_address_and_replies_to_everything_before_it_stops() {
    let mut process = command().args(["--listen", "127.0.0.1:0"]).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let line = soon("the start line", lines.next_line()).await.unwrap().unwrap();
    let address = line.strip_prefix("listening on http://").expect("the address").parse().unwrap();
    let (mut alice, mut bob) = (Consumer::connect(address, "alice").await, Consumer::connect(address, "bob").await);
    for (consumer, ms) in [(&mut alice, 200), (&mut bob, 600_000)] {
        consumer
            .send(&json!({"type": "invoke", "id": "s", "path": "/ctl", "action": "sleep", "params": {"ms": ms}}))
            .await;
        // Messages of a connection are processed in order, so the call has begun when this reply is received.
        consumer.query(&json!({"path": "/me"})).await;
    }
    terminate(&process).await;
    let received = alice.receive_until(|message| message["id"] == "s").await;
    assert_eq!(received.last().unwrap()["status"], "ok", "this call could finish in time");
    let received = bob.receive_until(|message| message["id"] == "s").await;
    assert_eq!(received.last().unwrap()["error"]["code"], "internal", "this call could not finish in time");
    assert_eq!((alice.closed().await, bob.closed().await), (1001, 1001));
    let status = soon("the exit", process.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(lines.next_line().await.unwrap(), None, "only one line is printed");
}

#[tokio::test]
async fn stopping_takes_less_than_five_seconds_even_if_nobody_reads() {
    let app = Running::start().await;
    let mut alice = app.subscribed("alice").await;
    let call = json!({"type": "invoke", "id": "s", "path": "/ctl", "action": "sleep", "params": {"ms": 600_000}});
    alice.send(&call).await;
    tokio::time::timeout(std::time::Duration::from_secs(5), app.app.stop()).await.expect("to stop in time").unwrap();
}
