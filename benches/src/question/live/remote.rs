//! The server as the client sees it: a process that was started, or somebody's URL, and a socket for orders.

use std::collections::BTreeMap;
use std::process::Stdio;

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;

use super::crowd::{Socket, dial};
use super::server::ORDERS;
use crate::cell::Cell;
use crate::{Failure, heap};

/// The server and the way to give it orders.
pub(super) struct Remote {
    url: String,
    orders: Socket,
    /// Unless somebody else started it.
    child: Option<Child>,
    next_id: u64,
}

/// A change that the server made.
#[derive(Deserialize)]
pub(super) struct Made {
    /// The time of day just before the refresh call.
    pub(super) at_us: u64,
    /// The shared counter after it.
    pub(super) count: u32,
}

/// What the server has used so far.
#[derive(Deserialize)]
pub(super) struct Usage {
    pub(super) rss_bytes: u64,
    pub(super) heap_bytes: u64,
    pub(super) cpu_us: f64,
    evaluations: BTreeMap<String, u64>,
    /// How many orders were given before. Each renders the session that gave it.
    #[serde(skip)]
    orders: u64,
}

impl Usage {
    /// How often the source at `path` ran for the consumers and not for the session that gives orders.
    pub(super) fn runs_of(&self, path: &str) -> u64 {
        self.evaluations.get(&format!("/{path}")).copied().unwrap_or_default().saturating_sub(self.orders)
    }
}

impl Remote {
    /// Starts the server, unless the cell names one that runs, and connects to it.
    pub(super) async fn reach(cell: &Cell) -> Result<Self, Failure> {
        let (url, child) = match &cell.server {
            Some(url) if url.starts_with("ws://") => (url.clone(), None),
            binary => {
                let (url, child) = start(cell, binary.as_deref()).await?;
                (url, Some(child))
            }
        };
        let orders = dial(&url, ORDERS).await?;
        Ok(Self { url, orders, child, next_id: 0 })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) async fn usage(&mut self) -> Result<Usage, Failure> {
        let orders = self.next_id;
        let usage: Usage = serde_json::from_value(self.order("usage", &json!({})).await?)?;
        Ok(Usage { orders, ..usage })
    }

    pub(super) async fn change_shared(&mut self) -> Result<Made, Failure> {
        Ok(serde_json::from_value(self.order("change_shared", &json!({})).await?)?)
    }

    pub(super) async fn change_private(&mut self, u: u32) -> Result<Made, Failure> {
        Ok(serde_json::from_value(self.order("change_private", &json!({"user": u})).await?)?)
    }

    /// Invokes an action and waits for its data.
    async fn order(&mut self, action: &str, params: &Value) -> Result<Value, Failure> {
        self.next_id += 1;
        let id = self.next_id.to_string();
        let path = format!("/{ORDERS}");
        let invoke = json!({"type": "invoke", "id": id, "path": path, "action": action, "params": params});
        self.orders.send(Message::text(invoke.to_string())).await?;
        while let Some(message) = self.orders.next().await {
            let Message::Text(text) = message? else { continue };
            let mut answer: Value = serde_json::from_str(&text)?;
            if answer["type"] == "result" && answer["id"] == *id {
                if answer["status"] == "ok" {
                    return Ok(answer["data"].take());
                }
                return Err(format!("the server refused `{action}`: {}", answer["error"]).into());
            }
        }
        Err("the server closed the socket for orders".into())
    }

    /// Ends the server that was started.
    pub(super) async fn stop(mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself, which is as well.
            let _ = child.kill().await;
        }
    }
}

/// Starts a server process and reads where it listens.
async fn start(cell: &Cell, binary: Option<&str>) -> Result<(String, Child), Failure> {
    let binary = binary.map_or_else(std::env::current_exe, |path| Ok(path.into()))?;
    let mut child = Command::new(binary)
        .args(["serve", "--workload", cell.workload.name(), "--likeness", cell.likeness.name()])
        .args(["--sessions", &cell.sessions.to_string()])
        .env(heap::SETTINGS, heap::SETTLES)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let out = child.stdout.take().ok_or("the server has no standard output")?;
    let first = BufReader::new(out).lines().next_line().await?;
    Ok((first.ok_or("the server ended before it listened")?, child))
}
