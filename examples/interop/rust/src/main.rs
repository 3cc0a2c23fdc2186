//! Drives a SLOP server with the published Rust crate `slop-ai` 0.2.0, unmodified.
//!
//! The script of actions is `examples/interop/steps.json`; `examples/interop/python` runs the same one on the published Python
//! package. After every action each mirror must equal a fresh query of the same path and depth. The first
//! difference is printed and ends the run with exit code 1.
//!
//! ```text
//! interop --url ws://127.0.0.1:3000/slop --token TOKEN --app desk --rounds 3 --concurrent 4
//! ```

mod compare;
mod peer;
mod run;
mod script;
mod slow_link;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::run::Run;
use crate::script::Script;

/// Drives a SLOP server with the published Rust crate.
#[derive(Parser)]
#[command(version, after_help = "Exit code 0 means success, 1 a difference, 2 wrong usage.")]
struct Args {
    /// The provider's URL, such as ws://127.0.0.1:3000/slop
    #[arg(long)]
    url: String,
    /// The credential, sent as the query parameter `token`
    #[arg(long)]
    token: String,
    /// Which list of steps
    #[arg(long, value_parser = ["desk", "conformance"])]
    app: String,
    /// How often all steps are performed
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// How many consumers share the session
    #[arg(long, value_name = "N", default_value_t = 4)]
    concurrent: usize,
    /// The file with the steps
    #[arg(long, value_name = "PATH", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../steps.json"))]
    steps: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let script = match Script::load(&args.steps, &args.app) {
        Ok(script) => script,
        Err(why) => {
            // There is no one left to tell when this fails.
            let _ =
                writeln!(io::stderr(), "interop: cannot use {}: {why}; give a file with --steps", args.steps.display());
            return ExitCode::from(2);
        }
    };
    let run = Run::new(with_token(&args.url, &args.token), script);
    let outcome = run.all(args.rounds, args.concurrent).await;
    let difference = outcome.as_ref().err().map(|failed| format!("MISMATCH {failed}\n")).unwrap_or_default();
    let total = format!("{difference}{} passed, {} failed", run.passed(), u8::from(outcome.is_err()));
    let printed = writeln!(io::stdout(), "{total}");
    if outcome.is_ok() && printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A consumer cannot set headers, so the credential is in the query.
fn with_token(url: &str, token: &str) -> String {
    let mut url = format!("{url}{}token=", if url.contains('?') { '&' } else { '?' });
    for byte in token.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}
