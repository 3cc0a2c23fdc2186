//! A process that is killed and started again.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::running::soon;

/// The app with a directory of its own, which is removed in the end.
pub(crate) struct Server {
    directory: PathBuf,
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let directory = std::env::temp_dir().join(format!("grove-crash-{}", std::process::id()));
        let (process, address) = start(&directory).await;
        Self { directory, process, address }
    }

    /// With what the one before has kept.
    pub(crate) async fn start_again(&mut self) {
        (self.process, self.address) = start(&self.directory).await;
    }

    /// From outside, or by itself.
    pub(crate) async fn kill(&mut self, from_outside: bool) {
        if from_outside {
            self.process.kill().await.unwrap();
        } else {
            ask(self.address, "POST", "/control/crash", &Value::Null).await;
            soon("the end of the process", self.process.wait()).await.unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.start_kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

async fn start(directory: &std::path::Path) -> (Child, SocketAddr) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conformance"));
    command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut process = command.arg("--storage").arg(directory).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let line = soon("the start line", lines.next_line()).await.unwrap().unwrap();
    (process, line.strip_prefix("listening on http://").unwrap().parse().unwrap())
}

/// The status and the body of a response; `None` if the process died meanwhile.
pub(crate) async fn ask(address: SocketAddr, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
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

/// The events of a room after a number, up to another.
pub(crate) async fn read_log(address: SocketAddr, room: &str, since: u64, last: u64) -> Vec<Value> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "host: localhost\r\nauthorization: Bearer alice-a-1";
    let request = format!("GET /v1/rooms/{room}/events?since={since} HTTP/1.1\r\n{head}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut events: Vec<Value> = Vec::new();
    while events.last().is_none_or(|event| event["seq"].as_u64() < Some(last)) {
        let line = soon("an event", lines.next_line()).await.unwrap().expect("the stream goes on");
        events.extend(line.strip_prefix("data: ").map(|data| serde_json::from_str(data).unwrap()));
    }
    events
}
