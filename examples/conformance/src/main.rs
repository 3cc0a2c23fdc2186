//! Starts the app: `cargo run --release -p conformance -- --listen 127.0.0.1:PORT`.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use conformance::{Options, start};
use grove_axum::shutdown_signal;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    log_to_stderr();
    match run(&options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is no one left to tell when this fails.
            let _ = writeln!(io::stderr(), "conformance: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    // Before the start line: whoever has read it may stop the app.
    let stop = shutdown_signal();
    let running = start(options).await.map_err(|error| format!("cannot start on {}: {error}", options.listen))?;
    writeln!(io::stdout(), "listening on http://{}", running.address())?;
    io::stdout().flush()?;
    stop.await;
    Ok(running.stop().await?)
}

/// Warnings by default: standard output holds the start line and nothing else.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
}
