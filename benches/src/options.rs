//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::workload::{Likeness, Workload};

/// Asks Grove what sessions cost.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is asked.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Bytes per session, resident and live on the heap
    Memory {
        #[command(flatten)]
        asked: Asked,
        /// A provider for each session, made by a factory, instead of one for all
        #[arg(long)]
        per_session: bool,
    },
    /// Time per session from a change to the encoded frame, and how often anything ran
    Refresh {
        #[command(flatten)]
        asked: Asked,
        /// Which change; all three if it is left out
        #[arg(long)]
        change: Option<Change>,
    },
    /// A storm of connections, each with its first snapshot
    Connect(Asked),
    /// Everybody's socket is lost, things change, everybody comes back
    Resume {
        #[command(flatten)]
        asked: Asked,
        /// How many private changes everybody misses; 1 and 20 if it is left out
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
        gap: Option<u32>,
    },
    /// Real WebSocket consumers in this process, the server in its own
    Live {
        #[command(flatten)]
        asked: Asked,
        /// A `grove-bench` binary to start as server, or the URL of one that runs (`ws://HOST:PORT/slop`); this binary
        /// if it is left out
        #[arg(long, value_name = "PATH_OR_URL")]
        server: Option<String>,
    },
    /// What readers that read nothing cost the others
    Slow(Asked),
    /// What is left after consumers have come and gone
    Churn(Asked),
    /// Every question, small; exit code 1 if a mirror or a count is wrong
    Smoke(Shown),
    /// Every question
    All(Shown),
    /// Restarts the real `desk` under its consumers, twice; exit code 1 if anything acknowledged is lost
    Restart(Restarting),
    /// Random connects, stalls, kills, changes, tabs, expiries, revocations and restarts; exit code 1 if any copy is wrong
    Soak(Soaking),
    /// One measurement, in this process
    #[command(hide = true)]
    Cell {
        /// The cell as JSON
        cell: String,
    },
    /// The server of `live`
    #[command(hide = true)]
    Serve(Serving),
    /// The server of `soak`
    #[command(hide = true)]
    SoakServer {
        #[arg(long)]
        listen: String,
    },
}

/// What every question takes. Where nothing is said, a question goes through what it has in store.
#[derive(Args, Clone, Default)]
pub(crate) struct Asked {
    /// What the application shows; `inbox-101` if it is left out
    #[arg(long)]
    pub(crate) workload: Option<Workload>,
    /// How alike the sessions are
    #[arg(long)]
    pub(crate) likeness: Option<Likeness>,
    /// How many sessions are known
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) sessions: Option<u32>,
    /// How many of a hundred sessions have a subscribed consumer
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) active: Option<u32>,
    /// Also run `slop-ai` 0.2.0, one server per session, on the same workload
    #[arg(long)]
    pub(crate) peer: bool,
    /// How many sessions the peer gets at most; it takes about 0.8 MB for each
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    pub(crate) peer_sessions: u32,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// How the answer is shown.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct Shown {
    /// One JSON object on standard output, everything else on standard error
    #[arg(long)]
    pub(crate) json: bool,
}

/// What the server of `live` takes.
#[derive(Args, Clone)]
pub(crate) struct Serving {
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: String,
    #[arg(long)]
    pub(crate) workload: Workload,
    #[arg(long)]
    pub(crate) likeness: Likeness,
    #[arg(long)]
    pub(crate) sessions: u32,
}

/// What `restart` takes.
#[derive(Args, Clone)]
pub(crate) struct Restarting {
    /// The `desk` binary; the one beside this binary if it is left out
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub(crate) consumers: u32,
    /// How many logins each person has
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub(crate) logins: u32,
    /// Actions per second, of all consumers together
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) rate: u32,
    /// How long each process is used before it is ended
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

impl Restarting {
    /// The binary to be restarted.
    pub(crate) fn server(&self) -> std::io::Result<PathBuf> {
        match &self.server {
            Some(path) => Ok(path.clone()),
            None => Ok(std::env::current_exe()?.with_file_name("desk")),
        }
    }
}

/// What `soak` takes.
#[derive(Args, Clone, Copy)]
pub(crate) struct Soaking {
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=240))]
    pub(crate) minutes: u64,
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Whose data changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Change {
    /// Something of every session's own.
    Private,
    /// Something that all sessions show alike.
    Shared,
    /// Something of one user among all.
    Scoped,
}
