//! The command line.

use clap::{CommandFactory, Parser};

use crate::commands::Command;

const AFTER: &str = "\
Exit codes: 0 done; 1 something on this machine failed; 2 wrong usage; 3 the server or the daemon refuses; 4 it cannot be \
reached; 5 there is no such peer. `grove launch` ends with the status of its command, or 128 and the number of the signal \
that ended it; 125 if the session cannot be launched, 126 if the command cannot be run, 127 if there is none.";

/// Sessions that are present in a Grove server, each with its own key.
#[derive(Debug, Parser)]
#[command(name = "grove", version, after_help = AFTER)]
pub(crate) struct Options {
    /// Print JSON: results on standard output, errors and notes on standard error, one per line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the program can do, for shells.
pub(crate) fn program() -> clap::Command {
    Options::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        program().debug_assert();
    }
}
