//! The agent in Python: at the other end of a WebSocket that a test holds, what it says is in the words of the contract
//! (rooms 6); and at the studio.

use std::process::Stdio;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::{WebSocketStream, accept_async};

use crate::studio::{Studio, within_deadline};

/// The server's end of its connection.
struct Peer(WebSocketStream<TcpStream>);

impl Peer {
    async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = within_deadline(listener.accept()).await.expect("a connection");
        let mut peer = Self(within_deadline(accept_async(stream)).await.expect("a handshake"));
        let ready = peer.hear().await;
        assert_eq!((&ready["type"], &ready["agent"]), (&json!("ready"), &json!("proofread")));
        assert_eq!((&ready["concurrency"], &ready["input_schema"]["required"]), (&json!(1), &json!(["text"])));
        peer.say(&json!({"type": "welcome", "agent": "proofread"})).await;
        peer
    }

    async fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.expect("it is there");
    }

    async fn hear(&mut self) -> Value {
        loop {
            let message = within_deadline(self.0.next()).await.expect("a message").expect("a frame");
            if let Message::Text(text) = message {
                return serde_json::from_str(&text).expect("JSON");
            }
            assert!(message.is_pong(), "{message}");
        }
    }

    async fn dispatch(&mut self, run: &str, text: &str) {
        let more = json!({"agent": "proofread", "room": "m_1", "project": "", "actor": {"user": "ann"}, "trace_id": "tx-1",
            "memory": {}, "history": []});
        let mut dispatch = json!({"type": "dispatch", "run": run, "attempt": 2, "input": {"text": text}});
        dispatch.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        self.say(&dispatch).await;
    }
}

fn command(url: &str) -> Command {
    let mut python = Command::new("python3");
    python.args(["-B", concat!(env!("CARGO_MANIFEST_DIR"), "/proofread.py"), url]).kill_on_drop(true);
    python.stdout(Stdio::null()).stderr(Stdio::null());
    python
}

fn start_at(listener: &TcpListener) -> Child {
    let address = listener.local_addr().expect("an address");
    command(&format!("ws://{address}/agents?token=proofread")).spawn().expect("Python starts")
}

/// Starts it, and waits until it is the agent.
pub(crate) async fn start(url: &str) -> Child {
    let mut child = command(url).stdout(Stdio::piped()).spawn().expect("Python starts");
    let mut lines = BufReader::new(child.stdout.as_mut().expect("its output")).lines();
    let line = within_deadline(lines.next_line()).await.expect("output").expect("a line");
    assert_eq!(line, "connected as proofread");
    child
}

#[tokio::test]
async fn it_says_what_it_does_in_the_words_of_the_contract() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let _program = start_at(&listener);
    let mut peer = Peer::accept(&listener).await;
    peer.dispatch("r_1", "It is is wrong. So it is").await;
    let about = |kind: &str| json!({"type": kind, "run": "r_1", "attempt": 2});
    assert_eq!(peer.hear().await, about("ack"));
    for (kind, field, value) in [
        ("chunk", "text", json!("Sentence 1: “is” twice.\n")),
        ("progress", "progress", json!(0.5)),
        ("chunk", "text", json!("Sentence 2: there is no full stop.\n")),
        ("progress", "progress", json!(1.0)),
        ("result", "output", json!({"sentences": 2, "remarks": 2})),
    ] {
        let mut expected = about(kind);
        expected[field] = value;
        assert_eq!(peer.hear().await, expected);
    }
}

#[tokio::test]
async fn it_stops_when_it_is_told_to_and_takes_the_next_run() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let _program = start_at(&listener);
    let mut peer = Peer::accept(&listener).await;
    // Longer than any frame with a short length, and in parts.
    let text = "Good. ".repeat(20_000);
    let dispatch = json!({"type": "dispatch", "run": "r_1", "attempt": 1, "input": {"text": text}}).to_string();
    let (first, second) = dispatch.split_at(70_000);
    for (part, code, is_last) in [(first, Data::Text, false), (second, Data::Continue, true)] {
        let frame = Frame::message(part.as_bytes().to_vec(), OpCode::Data(code), is_last);
        peer.0.send(Message::Frame(frame)).await.expect("it is there");
        peer.0.send(Message::Ping(vec![1].into())).await.expect("it is there");
    }
    assert_eq!(peer.hear().await["type"], "ack");
    assert_eq!(peer.hear().await["type"], "progress");
    peer.say(&json!({"type": "input", "run": "r_1", "attempt": 1, "data": 1})).await;
    peer.say(&json!({"type": "cancel", "run": "r_1", "attempt": 1})).await;
    let ends = async {
        loop {
            let message = peer.hear().await;
            if message["type"] == "result" {
                return message;
            }
        }
    };
    assert_eq!(within_deadline(ends).await["run"], "r_1");
    peer.dispatch("r_2", "").await;
    assert_eq!(peer.hear().await["type"], "ack");
    assert_eq!(peer.hear().await["output"], json!({"sentences": 0, "remarks": 0}));
}

#[tokio::test]
async fn it_comes_again_after_a_loss() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let _program = start_at(&listener);
    drop(Peer::accept(&listener).await);
    let mut peer = Peer::accept(&listener).await;
    within_deadline(peer.0.close(None)).await.expect("a close");
    let mut peer = Peer::accept(&listener).await;
    peer.dispatch("r_1", "Here again.").await;
    assert_eq!(peer.hear().await["type"], "ack");
}

/// A room of ann's with a run of the agent, of which it has told how far it is.
async fn running(studio: &Studio, text: &str) -> String {
    let room = json!({"agent": "proofread", "access": "project"});
    let (status, created) = studio.ask("ann", "POST /v1/rooms", &room).await;
    assert_eq!(status, 201, "{created}");
    let room = format!("/v1/rooms/{}", created["room"]["id"].as_str().expect("an id"));
    let (status, started) = studio.ask("ann", &format!("POST {room}/runs"), &json!({"input": {"text": text}})).await;
    assert_eq!(status, 202, "{started}");
    let run = format!("{room}/runs/{}", started["run"].as_str().expect("an id"));
    within_deadline(async { while studio.get("ann", &run).await["run"]["progress"].is_null() {} }).await;
    run
}

async fn ended(studio: &Studio, run: &str) -> Value {
    within_deadline(async {
        loop {
            let shown = studio.get("bob", run).await["run"].clone();
            if !["queued", "running"].contains(&shown["status"].as_str().expect("a status")) {
                return shown;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_run_whose_program_ends_goes_on_with_the_next_one() {
    let studio = Studio::start(&[]).await;
    let url = format!("ws://{}/agents?token=proofread", studio.address);
    let (status, refused) = studio.ask("ann", "POST /v1/rooms", &json!({"agent": "proofread"})).await;
    assert_eq!((status, &refused["error"]["code"]), (422, &json!("unknown_agent")), "nobody is there");
    let mut first = start(&url).await;
    let run = running(&studio, &"Good. ".repeat(30)).await;
    first.kill().await.expect("it ends");
    let _second = start(&url).await;
    let run = ended(&studio, &run).await;
    assert_eq!((&run["status"], &run["attempt"]), (&json!("done"), &json!(2)), "{run}");
    assert_eq!(run["result"], json!({"sentences": 30, "remarks": 0}));
}

#[tokio::test]
async fn a_cancelled_run_stops_in_the_program_and_a_wrong_input_does_not_get_there() {
    let studio = Studio::start(&[]).await;
    let url = format!("ws://{}/agents?token=proofread", studio.address);
    let _program = start(&url).await;
    let run = running(&studio, &"Good. ".repeat(10_000)).await;
    let room = run.split("/runs/").next().expect("a room");
    let (status, refused) = studio.ask("ann", &format!("POST {room}/runs"), &json!({"input": {"text": 1}})).await;
    assert_eq!((status, &refused["error"]["code"]), (400, &json!("invalid_params")), "{refused}");
    assert_eq!(studio.ask("ann", &format!("DELETE {run}"), &Value::Null).await.0, 202);
    assert_eq!(ended(&studio, &run).await["status"], "cancelled");
    let next = running(&studio, "Here again.").await;
    assert_eq!(ended(&studio, &next).await["status"], "done", "it has time for the next one");
}

#[tokio::test]
async fn nobody_else_may_be_the_agent() {
    let studio = Studio::start(&[]).await;
    for token in ["ann", "nobody"] {
        let url = format!("ws://{}/agents?token={token}", studio.address);
        let mut child = command(&url).stderr(Stdio::piped()).spawn().expect("Python starts");
        let mut lines = BufReader::new(child.stderr.take().expect("its errors")).lines();
        let line = within_deadline(lines.next_line()).await.expect("output").expect("a line");
        assert!(line.starts_with("refused: ") || line.contains("401"), "{line}");
    }
}
