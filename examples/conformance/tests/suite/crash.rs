//! What was acknowledged survives the death of the process (rooms 8).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::running::soon;

/// How often the process is killed; `GROVE_CRASH_ROUNDS=200` for the long run.
fn rounds() -> u64 {
    std::env::var("GROVE_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(6)
}

/// A directory that is removed in the end.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn start(directory: &Path) -> (Child, SocketAddr) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conformance"));
    command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut process = command.arg("--storage").arg(directory).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let line = soon("the start line", lines.next_line()).await.unwrap().unwrap();
    (process, line.strip_prefix("listening on http://").unwrap().parse().unwrap())
}

/// The status and the body of a response; `None` if the process died meanwhile.
async fn ask(address: SocketAddr, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let body = body.to_string();
    let head = format!("{method} {path} HTTP/1.0\r\nhost: localhost\r\nauthorization: Bearer alice-a-1\r\n");
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await.ok()?;
    let (head, body) = response.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, serde_json::from_str(body).ok()?))
}

/// The events of a room from the first to the one with this number.
async fn read_log(address: SocketAddr, room: &str, last: u64) -> Vec<Value> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "host: localhost\r\nauthorization: Bearer alice-a-1";
    let request = format!("GET /v1/rooms/{room}/events?since=0 HTTP/1.1\r\n{head}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut events: Vec<Value> = Vec::new();
    while events.last().is_none_or(|event| event["seq"] != last) {
        let line = soon("an event", lines.next_line()).await.unwrap().expect("the stream goes on");
        events.extend(line.strip_prefix("data: ").map(|data| serde_json::from_str(data).unwrap()));
    }
    events
}

/// Says something again and again until the process is dead. Returns the numbers of what was acknowledged, by text.
async fn talk(address: SocketAddr, room: String, round: u64, speaker: u64) -> BTreeMap<String, u64> {
    let mut acknowledged = BTreeMap::new();
    for number in 0.. {
        let text = format!("{round}-{speaker}-{number}");
        let path = format!("/v1/rooms/{room}/messages");
        match ask(address, "POST", &path, &json!({"text": text})).await {
            Some((201, said)) => drop(acknowledged.insert(text, said["seq"].as_u64().unwrap())),
            _ => break,
        }
    }
    acknowledged
}

fn check(events: &[Value], acknowledged: &BTreeMap<String, u64>) {
    let seqs: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "the numbers follow each other");
    let ids: BTreeSet<_> = events.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), events.len(), "nothing is there twice");
    assert!(events.iter().all(|event| event["epoch"] == events[0]["epoch"]), "no history was lost");
    for (text, seq) in acknowledged {
        let event = &events[usize::try_from(seq - 1).unwrap()];
        assert_eq!(&event["body"]["text"], text, "number {seq} was acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acknowledged_is_missing_however_often_the_process_is_killed() {
    let directory = Directory(std::env::temp_dir().join(format!("grove-crash-{}", std::process::id())));
    let (mut process, mut address) = start(&directory.0).await;
    let new = json!({"access": "project", "replayable": true});
    let (status, created) = ask(address, "POST", "/v1/rooms", &new).await.unwrap();
    assert_eq!(status, 201, "{created}");
    let room = created["room"]["id"].as_str().unwrap().to_owned();
    let mut acknowledged = BTreeMap::new();
    for round in 0..rounds() {
        let speakers: Vec<_> =
            (0..4).map(|speaker| tokio::spawn(talk(address, room.clone(), round, speaker))).collect();
        tokio::time::sleep(Duration::from_millis(20 + round * 37 % 150)).await;
        if round % 2 == 0 {
            process.kill().await.unwrap();
        } else {
            ask(address, "POST", "/control/crash", &Value::Null).await;
            soon("the end of the process", process.wait()).await.unwrap();
        }
        for speaker in speakers {
            acknowledged.extend(speaker.await.unwrap());
        }
        (process, address) = start(&directory.0).await;
        let path = format!("/v1/rooms/{room}/messages");
        let (_, said) = ask(address, "POST", &path, &json!({"text": format!("after {round}")})).await.unwrap();
        let events = read_log(address, &room, said["seq"].as_u64().unwrap()).await;
        check(&events, &acknowledged);
    }
    assert!(acknowledged.len() > usize::try_from(rounds()).unwrap(), "{} were acknowledged", acknowledged.len());
}
