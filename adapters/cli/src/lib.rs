//! The program `grove`: sessions that are present in a Grove server, each with its own key (peers 4, 5).
//!
//! Each command is one file in `commands`. `daemon` is what holds the links, `launch` what stays beside a launched command;
//! both are commands like the others.

mod address;
mod failure;
mod output;
mod private_path;
mod process;
mod same_user;
mod token;
mod event_stream;
mod local;
mod settings;
mod speaker;
mod daemon;
mod launch;
mod commands;
mod options;

use std::process::ExitCode;

use clap::Parser;

/// Runs the program with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    let options = options::Options::parse();
    let output = output::Output::new(options.json);
    match options.command.run(&output, options::program) {
        Ok(code) => code,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.kind.code())
        }
    }
}
