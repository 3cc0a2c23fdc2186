//! Commands that the server takes as lines on standard input. Each gets a reply of one line.

use std::io::{BufRead as _, Write as _};
use std::sync::atomic::Ordering;

use grove_engine::{Engine, Revocation, Scope};
use tokio::runtime::Handle;

use super::data::Data;
use super::house;
use crate::failure::Failure;
use crate::measure::allocator;
use crate::process;
use crate::scenario::soak::soak_usage::SoakUsage;

/// Executes commands. At the end of the input the client is gone, and the process exits.
pub(super) fn run(engine: &Engine, data: &Data, runtime: &Handle) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if print(&execute(engine, data, runtime, &line)).is_err() {
            break;
        }
    }
    std::process::exit(1);
}

/// Prints a line.
pub(super) fn print(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn execute(engine: &Engine, data: &Data, runtime: &Handle, command: &str) -> String {
    match command.split(' ').collect::<Vec<_>>().as_slice() {
        ["change", "all"] => {
            data.all.fetch_add(1, Ordering::SeqCst);
            engine.refresh(Scope::all()).to_string()
        }
        ["change", "group", group] => {
            data.of_group(group).fetch_add(1, Ordering::SeqCst);
            engine.refresh(Scope::attribute("group", *group)).to_string()
        }
        ["change", "user", user] => {
            let user = format!("u{user}");
            data.of_user(&user).fetch_add(1, Ordering::SeqCst);
            engine.refresh(Scope::user(user)).to_string()
        }
        ["revoke", session] => engine.revoke(Revocation::session(*session)).to_string(),
        ["check"] => match runtime.block_on(house::check(engine)) {
            Ok(problems) => serde_json::json!(problems).to_string(),
            Err(failure) => serde_json::json!([failure.to_string()]).to_string(),
        },
        ["close"] => match runtime.block_on(house::close(engine)) {
            Ok(()) => "[]".to_owned(),
            Err(failure) => serde_json::json!([failure.to_string()]).to_string(),
        },
        ["usage"] => usage(engine).unwrap_or_else(|failure| failure.to_string()),
        _ => format!("unknown command `{command}`"),
    }
}

fn usage(engine: &Engine) -> Result<String, Failure> {
    let (stats, rooms) = (engine.stats(), engine.rooms().stats());
    Ok(serde_json::to_string(&SoakUsage {
        allocator: allocator::name(),
        rss_bytes: process::rss_bytes()?,
        heap_bytes: allocator::live_bytes()? as u64,
        dictionary_bytes: stats.dictionary_bytes,
        sessions: stats.sessions,
        trees: stats.trees,
        connections: stats.connections,
        subscriptions: stats.subscriptions,
        tabs: stats.tabs,
        tree_bytes: stats.tree_bytes,
        outbox_bytes: stats.outbox_bytes,
        rooms: rooms.rooms,
        participants: rooms.participants,
        leases: rooms.leases,
        runs: rooms.runs,
        unwritten_bytes: rooms.storage.unwritten_bytes,
    })?)
}
