//! A server that answers like a model's, as a script says.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// How it answers one request.
pub(crate) enum Answer {
    /// With this status and these pieces of a body, each sent by itself; then the connection is closed.
    Pieces(u16, Vec<Vec<u8>>),
    /// With the beginning of an answer, and nothing more until the client is gone.
    Silence(&'static str),
}

impl Answer {
    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self::Pieces(status, vec![body.as_bytes().to_vec()])
    }

    /// An answer that is whole, in the format of the large providers.
    pub(crate) fn whole(words: &[&str]) -> Self {
        Self::text(200, &(events(words) + "data: [DONE]\n\n"))
    }
}

/// Pieces of text as server-sent events.
pub(crate) fn events(words: &[&str]) -> String {
    let event = |word: &&str| format!("data: {}\n\n", serde_json::json!({"choices": [{"delta": {"content": word}}]}));
    words.iter().map(event).collect()
}

/// What a request was.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Value,
}

pub(crate) struct FakeModel {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    /// A client has gone while it was silent.
    pub(crate) gone: Arc<Notify>,
}

impl FakeModel {
    /// Answers one request after the other, and no more.
    pub(crate) async fn start(script: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/v1/chat/completions", listener.local_addr().expect("an address"));
        let (requests, gone) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let (seen, left) = (Arc::clone(&requests), Arc::clone(&gone));
        tokio::spawn(async move {
            for answer in script {
                let (stream, _) = listener.accept().await.expect("a connection");
                let mut stream = BufReader::new(stream);
                let request = read(&mut stream).await;
                seen.lock().expect("the requests").push(request);
                give(stream.into_inner(), answer, &left).await;
            }
        });
        Self { url, requests, gone }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("the requests").clone()
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Request {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.expect("a line");
        if line.trim().is_empty() {
            break;
        }
        let line = line.to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.expect("a body");
    Request { head, body: serde_json::from_slice(&body).expect("JSON") }
}

async fn give(mut stream: TcpStream, answer: Answer, gone: &Notify) {
    let head =
        |status| format!("HTTP/1.1 {status} It is so\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n");
    match answer {
        Answer::Pieces(status, pieces) => {
            stream.write_all(head(status).as_bytes()).await.expect("a head");
            for piece in pieces {
                stream.write_all(&piece).await.expect("a piece");
                stream.flush().await.expect("a piece");
                tokio::task::yield_now().await;
            }
        }
        Answer::Silence(beginning) => {
            stream.write_all(format!("{}{beginning}", head(200)).as_bytes()).await.expect("a beginning");
            // The client says no more, so whatever is read is its end.
            let _ = stream.read(&mut [0]).await;
            gone.notify_one();
        }
    }
}
