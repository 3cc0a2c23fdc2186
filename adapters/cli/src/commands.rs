//! The commands, each in its own file. A new one is a file with its arguments and `run`, a variant here, and an arm.

mod completions;
mod daemon;
mod inbox;
mod keys;
mod launch;
mod peers;
mod send;

use std::process::ExitCode;

use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Output;

/// What the program does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make keys
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Hold the links of this user's sessions to a server
    Daemon(daemon::Daemon),
    /// Run a command as a session that others see and can write to
    Launch(launch::Launch),
    /// List who is there
    Peers(peers::Peers),
    /// Send a message to another peer
    Send(send::Send),
    /// Read the messages for this session, or for the member
    Inbox(inbox::Inbox),
    /// Print what makes a shell complete the arguments of this program
    Completions(completions::Completions),
}

impl Command {
    /// Runs the command; `program` describes the whole command line.
    ///
    /// # Errors
    /// Says what was tried, what is wrong, and what to do.
    pub(crate) fn run(self, output: &Output, program: fn() -> clap::Command) -> Result<ExitCode, Failure> {
        match self {
            Self::Keys(keys) => keys.run(output),
            Self::Daemon(daemon) => in_runtime(true, daemon.run(output)),
            Self::Launch(launch) => in_runtime(false, launch.run(output)),
            Self::Peers(peers) => in_runtime(false, peers.run(output)),
            Self::Send(send) => in_runtime(false, send.run(output)),
            Self::Inbox(inbox) => in_runtime(false, inbox.run(output)),
            Self::Completions(completions) => completions.run(program()),
        }
    }
}

/// Most commands wait for one thing at a time and need no threads.
fn in_runtime<F: Future<Output = Result<ExitCode, Failure>>>(has_threads: bool, run: F) -> Result<ExitCode, Failure> {
    let mut builder = match has_threads {
        true => tokio::runtime::Builder::new_multi_thread(),
        false => tokio::runtime::Builder::new_current_thread(),
    };
    builder.enable_all().build().map_err(Failure::failed)?.block_on(run)
}
