//! The program.

use std::process::ExitCode;

fn main() -> ExitCode {
    grove_cli::main()
}
