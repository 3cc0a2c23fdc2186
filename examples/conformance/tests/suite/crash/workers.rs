//! Clients that do something again and again until the process is dead.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::Chance;
use super::server::ask;

/// What was acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    /// The numbers of messages, by text.
    pub(crate) messages: BTreeMap<String, u64>,
    /// The versions and values of the memory, by key.
    pub(crate) memory: BTreeMap<String, (u64, Value)>,
    /// The runs, and whether they have a delivery.
    pub(crate) runs: BTreeMap<String, bool>,
    /// Those of them that were cancelled.
    pub(crate) cancelled: Vec<String>,
    /// Those that were to be cancelled, whether that was acknowledged or not.
    pub(crate) perhaps_cancelled: BTreeSet<String>,
}

/// Works in a room until the process is dead.
pub(crate) async fn work(
    address: SocketAddr,
    (room, agent): (String, &'static str),
    name: String,
    mut chance: Chance,
) -> Acknowledged {
    let mut acknowledged = Acknowledged::default();
    let path = format!("/v1/rooms/{room}");
    for number in 0.. {
        let text = format!("{name}-{number}");
        let is_alive = match chance.below(8) {
            0..4 => say(address, &path, text, &mut acknowledged).await,
            4..6 => put(address, &path, (&name, number), &mut acknowledged).await,
            6 => run(address, &path, (agent, text, &mut chance), &mut acknowledged).await,
            _ => cancel(address, &path, &mut acknowledged).await,
        };
        if is_alive.is_none() {
            break;
        }
    }
    acknowledged
}

async fn say(address: SocketAddr, path: &str, text: String, acknowledged: &mut Acknowledged) -> Option<()> {
    let (status, said) = ask(address, "POST", &format!("{path}/messages"), &json!({"text": text})).await?;
    if status == 201 {
        acknowledged.messages.insert(text, said["seq"].as_u64().unwrap());
    }
    Some(())
}

async fn put(
    address: SocketAddr,
    path: &str,
    (name, number): (&str, u64),
    acknowledged: &mut Acknowledged,
) -> Option<()> {
    // Only this worker writes it.
    let (key, value) = (format!("{name}-{}", number % 3), json!({"n": number}));
    let (status, put) = ask(address, "PUT", &format!("{path}/memory/{key}"), &json!({"value": value})).await?;
    if status == 200 {
        acknowledged.memory.insert(key, (put["version"].as_u64().unwrap(), value));
    }
    Some(())
}

async fn run(
    address: SocketAddr,
    path: &str,
    (agent, text, chance): (&str, String, &mut Chance),
    acknowledged: &mut Acknowledged,
) -> Option<()> {
    let input = if agent == "once" { json!({"key": text}) } else { json!({"n": 3, "ms": chance.below(20)}) };
    let mut new = json!({"input": input, "call_id": text});
    let is_delivered = chance.below(2) == 0;
    if is_delivered {
        new["delivery"] = json!({"window_ms": 60_000, "max_attempts": 100});
    }
    let (status, started) = ask(address, "POST", &format!("{path}/runs"), &new).await?;
    if status == 202 {
        acknowledged.runs.insert(started["run"].as_str().unwrap().to_owned(), is_delivered);
    }
    Some(())
}

/// Cancels the run that was started last.
async fn cancel(address: SocketAddr, path: &str, acknowledged: &mut Acknowledged) -> Option<()> {
    let Some(run) = acknowledged.runs.keys().next_back().cloned() else { return Some(()) };
    acknowledged.perhaps_cancelled.insert(run.clone());
    let (status, _) = ask(address, "DELETE", &format!("{path}/runs/{run}"), &Value::Null).await?;
    if status == 202 {
        acknowledged.cancelled.push(run);
    }
    Some(())
}
