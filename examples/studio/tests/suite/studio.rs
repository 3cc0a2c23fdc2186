//! The program, running.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use serde_json::Value;

/// Longer than anything here takes; only a failing test waits this long.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) async fn within_deadline<T>(something: impl Future<Output = T>) -> T {
    timeout(DEADLINE, something).await.expect("it should have happened by now")
}

pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_studio"));
    command.env("RUST_LOG", "error").env_remove("STUDIO_MODEL_URL").env_remove("STUDIO_MODEL_KEY");
    command
}

/// The program, until it is dropped.
pub(crate) struct Studio {
    child: Child,
    _lines: Lines<BufReader<ChildStdout>>,
    pub(crate) address: String,
}

impl Studio {
    /// Starts it on a free port with these arguments.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let mut command = command();
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        Self::spawn(command).await
    }

    pub(crate) async fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let line = within_deadline(lines.next_line()).await.expect("output").expect("a line");
        let address = line.strip_prefix("listening on http://").expect("where it listens").to_owned();
        Self { child, _lines: lines, address }
    }

    /// Stops it like a service manager.
    pub(crate) async fn stop(mut self) {
        let pid = self.child.id().expect("it runs").to_string();
        Command::new("kill").args(["-TERM", &pid]).status().await.expect("a signal");
        let status = within_deadline(self.child.wait()).await.expect("an end");
        assert!(status.success(), "{status}");
    }

    /// Asks in the name of somebody, and returns the status with the body.
    pub(crate) async fn ask(&self, name: &str, request: &str, body: &Value) -> (u16, Value) {
        let (status, body) = self.send(name, request, "application/json", body).await;
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    pub(crate) async fn get(&self, name: &str, path: &str) -> Value {
        self.ask(name, &format!("GET {path}"), &Value::Null).await.1
    }

    /// Starts a run in a room and follows it to its end: its events.
    pub(crate) async fn run(&self, room: &str, run: &Value) -> Vec<Value> {
        let request = format!("POST /v1/rooms/{room}/runs");
        let (status, body) = self.send("ann", &request, "text/event-stream", run).await;
        assert_eq!(status, 200, "{body}");
        let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str(data).expect("an event")).collect()
    }

    /// A request by hand, so that nothing between the test and the server makes it easier.
    async fn send(&self, name: &str, request: &str, accept: &str, body: &Value) -> (u16, String) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{request} HTTP/1.0\r\nhost: {}\r\nauthorization: Bearer {name}\r\naccept: {accept}\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        let exchange = async {
            let mut stream = TcpStream::connect(&self.address).await.expect("a connection");
            stream.write_all(request.as_bytes()).await.expect("a request");
            let mut response = String::new();
            stream.read_to_string(&mut response).await.expect("a response");
            response
        };
        let response = within_deadline(exchange).await;
        let (head, body) = response.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, body.to_owned())
    }
}
