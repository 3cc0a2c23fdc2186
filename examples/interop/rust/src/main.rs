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
struct Args {
    /// `ws://HOST:PORT/slop`
    #[arg(long)]
    url: String,
    /// Credential, sent as the query parameter `token`
    #[arg(long)]
    token: String,
    /// Which list of steps
    #[arg(long, value_parser = ["desk", "conformance"])]
    app: String,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Consumers on the same session
    #[arg(long, default_value_t = 4)]
    concurrent: usize,
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../steps.json"))]
    steps: PathBuf,
}

#[tokio::main]
async fn main() -> io::Result<ExitCode> {
    let args = Args::parse();
    let app = match Script::load(&args.steps, &args.app) {
        Ok(app) => app,
        Err(why) => {
            writeln!(io::stderr(), "{}: {why}", args.steps.display())?;
            return Ok(ExitCode::from(2));
        }
    };
    let run = Run::new(with_token(&args.url, &args.token), app);
    let outcome = run.all(args.rounds, args.concurrent).await;
    if let Err(failed) = &outcome {
        writeln!(io::stdout(), "MISMATCH {failed}")?;
    }
    writeln!(io::stdout(), "{} passed, {} failed", run.passed(), u8::from(outcome.is_err()))?;
    Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The consumer can send no header, so the credential travels in the query.
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
