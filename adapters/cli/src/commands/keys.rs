//! `grove keys`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use grove_attest::SecretKey;
use serde_json::json;

use crate::failure::Failure;
use crate::output::Output;
use crate::settings::read_key;

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make a new secret key, in a file that only its owner can read, and print its public key
    New {
        /// The new file; nothing is overwritten
        file: PathBuf,
    },
    /// Print the public key of a secret key
    Show {
        /// The file
        file: PathBuf,
    },
}

impl Keys {
    pub(crate) fn run(self, output: &Output) -> Result<ExitCode, Failure> {
        let (file, key) = match self {
            Self::New { file } => {
                let failed = |why: &dyn std::fmt::Display| {
                    Failure::failed(format!("cannot make a key in {}: {why}", file.display()))
                };
                let key = SecretKey::generate().map_err(|error| failed(&error))?;
                key.write_new(&file).map_err(|error| {
                    let failure = failed(&error);
                    if file.exists() { failure.advice("give another file: no key is overwritten") } else { failure }
                })?;
                (file, key)
            }
            Self::Show { file } => {
                let key = read_key(&file)?;
                (file, key)
            }
        };
        let public = key.public_key().to_string();
        output.result(&json!({"public_key": public, "file": file}), || public.clone());
        Ok(ExitCode::SUCCESS)
    }
}
