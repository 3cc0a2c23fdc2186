//! Starts the app: `cargo run --release -p conformance -- --listen 127.0.0.1:PORT`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use conformance::{Options, start};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> io::Result<ExitCode> {
    let options = Options::parse();
    log_to_stderr();
    // Before the start line: whoever has read it may stop the app.
    let stop = asked_to_stop()?;
    let running = match start(&options).await {
        Ok(running) => running,
        Err(error) => {
            writeln!(io::stderr(), "cannot listen on {}: {error}", options.listen)?;
            return Ok(ExitCode::FAILURE);
        }
    };
    writeln!(io::stdout(), "listening on http://{}", running.address())?;
    io::stdout().flush()?;
    stop.await;
    running.stop().await?;
    Ok(ExitCode::SUCCESS)
}

/// Warnings by default: standard output holds the start line and nothing else.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
}

/// Ends when SIGTERM or an interrupt arrives; either counts from now on.
#[cfg(unix)]
fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    })
}

/// Ends when an interrupt arrives.
#[cfg(not(unix))]
fn asked_to_stop() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a handler the app runs until it is ended from outside.
        let _ = tokio::signal::ctrl_c().await;
    })
}
