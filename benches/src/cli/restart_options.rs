//! Options of `restart`.

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;

/// How many consumers act how often while the server is restarted.
#[derive(Args, Clone)]
pub(crate) struct RestartOptions {
    /// The `desk` binary to restart [default: the one next to this binary]
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// Number of WebSocket consumers
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub(crate) consumers: u32,
    /// Number of logins of each person
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub(crate) logins: u32,
    /// Actions per second of all consumers together
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) rate: u32,
    /// Seconds for which each server process is used before it is stopped
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Seed of the random choices
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

impl RestartOptions {
    pub(super) const DESCRIPTION: &str = "\
Starts the real `desk` on a database file and connects WebSocket consumers of several people and
logins, which all add and tick tasks. Twice the process is stopped with SIGTERM and another one takes
over its port and file. At the end every acknowledged action must be in the database exactly once,
and every consumer's copy must equal a fresh query. Build `desk` first:
cargo build --release -p desk -p grove-bench";

    /// The binary to restart.
    pub(crate) fn server(&self) -> Result<PathBuf, Failure> {
        let path = match &self.server {
            Some(path) => path.clone(),
            None => std::env::current_exe()?.with_file_name("desk"),
        };
        if !path.is_file() {
            let path = path.display();
            return Err(format!("there is no `desk` binary at {path}; build it or name another with --server").into());
        }
        Ok(path)
    }
}
