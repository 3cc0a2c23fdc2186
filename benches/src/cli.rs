//! The command line.

pub(crate) mod benchmark_command;
pub(crate) mod cliffs_options;
pub(crate) mod cluster_options;
pub(crate) mod conditions;
pub(crate) mod disturb_options;
pub(crate) mod internal_command;
pub(crate) mod output_options;
pub(crate) mod peer_options;
pub(crate) mod peers_options;
pub(crate) mod restart_options;
pub(crate) mod rooms_options;
pub(crate) mod runs_options;
pub(crate) mod serve_options;
pub(crate) mod soak_options;
pub(crate) mod storage_options;

use clap::{Parser, Subcommand};

use self::benchmark_command::BenchmarkCommand;
use self::cliffs_options::CliffsOptions;
use self::disturb_options::DisturbOptions;
use self::internal_command::InternalCommand;
use self::restart_options::RestartOptions;
use self::soak_options::SoakOptions;

/// Measures what sessions cost in Grove, and verifies that the measured work really happened
#[derive(Parser)]
#[command(version, after_help = AFTER_HELP)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Benchmarks write JSON and a plot to target/bench and print a table.
Exit codes: 0 if every check passed, 1 if a check failed, 2 if the command line is wrong or a measurement failed to run.
A missed goal is printed and does not change the exit code, since machines differ.";

/// What is to be done.
#[derive(Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Benchmark(BenchmarkCommand),
    /// Restart the real `desk` twice under load; nothing acknowledged may be lost
    #[command(long_about = RestartOptions::DESCRIPTION)]
    Restart(RestartOptions),
    /// Random connects, stalls, kills, changes, tabs, expiries, revocations and restarts; every copy must stay exact
    #[command(long_about = SoakOptions::DESCRIPTION)]
    Soak(SoakOptions),
    /// A victim beside each attacker; its p99 may at most double
    #[command(long_about = DisturbOptions::DESCRIPTION)]
    Disturb(DisturbOptions),
    /// Inputs of several sizes; none may cost more than in proportion
    #[command(long_about = CliffsOptions::DESCRIPTION)]
    Cliffs(CliffsOptions),
    #[command(flatten)]
    Internal(InternalCommand),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::error::ErrorKind;

    use super::*;

    fn refusal(arguments: &str) -> Option<ErrorKind> {
        Options::try_parse_from(arguments.split(' ')).err().map(|error| error.kind())
    }

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn a_flag_that_a_subcommand_does_not_use_is_refused() {
        for name in Options::command().get_subcommands().map(clap::Command::get_name) {
            assert_eq!(refusal(&format!("grove-bench {name} --unknown")), Some(ErrorKind::UnknownArgument), "{name}");
        }
        for name in [
            "connect", "resume", "live", "slow", "churn", "rooms", "runs", "storage", "peers", "cluster", "smoke",
            "all",
        ] {
            assert_eq!(refusal(&format!("grove-bench {name} --peer")), Some(ErrorKind::UnknownArgument), "{name}");
        }
    }

    #[test]
    fn a_number_out_of_range_is_refused() {
        for arguments in
            ["memory --sessions 0", "memory --active 101", "resume --gap 0", "soak --minutes 0", "rooms --sessions 1"]
        {
            assert_eq!(refusal(&format!("grove-bench {arguments}")), Some(ErrorKind::ValueValidation), "{arguments}");
        }
    }

    #[test]
    fn every_subcommand_and_every_flag_has_a_help_text() {
        for command in Options::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments().filter(|argument| argument.get_id() != "help") {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
        }
    }
}
