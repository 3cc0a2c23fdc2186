//! `grove completions`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use clap_complete::{Shell, generate};

use crate::failure::Failure;

#[derive(Debug, Args)]
#[command(after_help = "For bash: grove completions bash > ~/.local/share/bash-completion/completions/grove")]
pub(crate) struct Completions {
    /// For which shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, mut program: clap::Command) -> Result<ExitCode, Failure> {
        let mut script = Vec::new();
        generate(self.shell, &mut program, "grove", &mut script);
        io::stdout().write_all(&script).map_err(Failure::failed)?;
        Ok(ExitCode::SUCCESS)
    }
}
