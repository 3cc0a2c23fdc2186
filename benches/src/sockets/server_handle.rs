//! The server as the client sees it: a process that was started or a given URL, and a socket for commands.

use std::process::Stdio;

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;

use super::server::CONTROL;
use super::server_usage::ServerUsage;
use crate::failure::Failure;
use crate::measure::allocator::AllocatorSettings;
use crate::plan::cell::Cell;
use crate::websocket::{Socket, dial};

/// A server and the socket through which it gets commands.
pub(crate) struct ServerHandle {
    url: String,
    control: Socket,
    /// Absent if the server was already running.
    child: Option<Child>,
    last_id: u64,
}

/// The result of a command that changes data.
#[derive(Deserialize)]
struct Changed {
    /// The time of day just before the refresh call.
    at_us: u64,
}

impl ServerHandle {
    /// Starts the server, unless the cell names a running one, and connects to it.
    pub(crate) async fn start(cell: &Cell) -> Result<Self, Failure> {
        let (url, child) = match &cell.server {
            Some(url) if url.starts_with("ws://") => (url.clone(), None),
            binary => {
                let sessions = cell.sessions.to_string();
                let workload = ["--workload", cell.workload.name(), "--likeness", cell.likeness.name()];
                let arguments = [&["serve", "--sessions", &sessions][..], &workload[..]].concat();
                let (url, child) = start_process(binary.as_deref(), &arguments).await?;
                (url, Some(child))
            }
        };
        let control = dial(&format!("{url}?token={CONTROL}")).await?;
        Ok(Self { url, control, child, last_id: 0 })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn usage(&mut self) -> Result<ServerUsage, Failure> {
        let commands = self.last_id;
        let mut usage: ServerUsage = serde_json::from_value(self.command("usage", &json!({})).await?)?;
        usage.commands = commands;
        Ok(usage)
    }

    /// Changes the shared data. Returns the time of day just before the refresh call, in us.
    pub(super) async fn change_shared(&mut self) -> Result<u64, Failure> {
        let changed: Changed = serde_json::from_value(self.command("change_shared", &json!({})).await?)?;
        Ok(changed.at_us)
    }

    /// Changes the private data of member `u`. Returns the time of day just before the refresh call, in us.
    pub(super) async fn change_private(&mut self, u: u32) -> Result<u64, Failure> {
        let changed: Changed = serde_json::from_value(self.command("change_private", &json!({"user": u})).await?)?;
        Ok(changed.at_us)
    }

    /// Invokes an action and waits for its data.
    async fn command(&mut self, action: &str, params: &Value) -> Result<Value, Failure> {
        self.last_id += 1;
        let id = self.last_id.to_string();
        let path = format!("/{CONTROL}");
        let invoke = json!({"type": "invoke", "id": id, "path": path, "action": action, "params": params});
        self.control.send(Message::text(invoke.to_string())).await?;
        while let Some(message) = self.control.next().await {
            let Message::Text(text) = message? else { continue };
            let mut result: Value = serde_json::from_str(&text)?;
            if result["type"] != "result" || result["id"] != *id {
                continue;
            }
            if result["status"] == "ok" {
                return Ok(result["data"].take());
            }
            return Err(format!("the server rejected `{action}`: {}", result["error"]).into());
        }
        Err(format!("the server closed the socket for commands during `{action}`").into())
    }

    /// Kills the server if it was started here.
    pub(crate) async fn stop(mut self) {
        if let Some(child) = &mut self.child {
            // An error means that it has ended already.
            let _ = child.kill().await;
        }
    }
}

/// Starts a server process, of this program unless another one is named, and reads its URL.
pub(crate) async fn start_process(binary: Option<&str>, arguments: &[&str]) -> Result<(String, Child), Failure> {
    let binary = binary.map_or_else(std::env::current_exe, |path| Ok(path.into()))?;
    let (variable, settings) = AllocatorSettings::FastDecay.variable();
    let mut child = Command::new(&binary)
        .args(arguments)
        .env(variable, settings)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot start the server {}: {error}", binary.display()))?;
    let out = child.stdout.take().ok_or("the server has no standard output")?;
    let url = BufReader::new(out).lines().next_line().await?;
    Ok((url.ok_or("the server ended before it printed its URL")?, child))
}
