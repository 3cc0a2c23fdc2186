//! Starts the desk: `cargo run --release -p desk`.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use desk::{Desk, DeskError, SignIn, app};
use grove_axum::{Drain, serve, shutdown_signal};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tracing_subscriber::EnvFilter;

/// How long a shutdown may take.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(5);

/// A work desk for several people and their AIs.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    listen: String,
    /// The SQLite file; created and filled if it does not exist
    #[arg(long, value_name = "PATH", default_value = "desk.db")]
    db: PathBuf,
    /// Trust the proxy in front, which must overwrite X-Forwarded-Proto and X-Forwarded-Host, and want tokens for logins
    #[arg(long)]
    behind_proxy: bool,
    /// Serve `/metrics` to everyone who reaches the address; on a loopback address without a proxy it is always served
    #[arg(long)]
    metrics: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    log_to_stderr();
    let result = Runtime::new().map_err(Into::into).and_then(|runtime| {
        let result = runtime.block_on(run(&args));
        // Does not wait for handlers that still block their threads.
        runtime.shutdown_background();
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is no one left to tell when this fails.
            let _ = writeln!(std::io::stderr(), "desk: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    // First of all: from here on a signal is a graceful shutdown.
    let signal = shutdown_signal();
    let desk = desk::open(&args.db).map_err(|error| open_failed(args, &error))?;
    let listener = TcpListener::bind(&args.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}; give another address with --listen", args.listen))?;
    let address = listener.local_addr()?;
    let is_private = address.ip().is_loopback() && !args.behind_proxy;
    let sign_in = if is_private { SignIn::ByName } else { SignIn::ByToken };
    let served = app(desk.clone(), sign_in, args.behind_proxy);
    let served = match args.metrics || is_private {
        true => served.merge(grove_axum::metrics(desk.engine().clone())),
        false => served,
    };
    std::io::stdout().write_all(greeting(&desk, address, sign_in)?.as_bytes())?;
    std::io::stdout().flush()?;
    let midnight = tokio::spawn({
        let desk = desk.clone();
        async move { desk.refresh_at_midnight().await }
    });
    let engine = desk.engine().clone();
    let stop = async move {
        signal.await;
        desk.end_page_streams();
    };
    let drain = Drain::new(engine).deadline(SHUTDOWN_DEADLINE);
    drain.serve(stop, |stop| serve(listener, served, stop)).await?;
    midnight.abort();
    Ok(())
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

fn open_failed(args: &Args, error: &DeskError) -> String {
    let cause = error.source().map(|cause| format!(" ({cause})")).unwrap_or_default();
    format!("cannot open {}: {error}{cause}", args.db.display())
}

/// The first lines. Tokens are secrets, so they are printed only where no one but this machine can use them.
fn greeting(desk: &Desk, address: SocketAddr, sign_in: SignIn) -> Result<String, Box<dyn Error>> {
    let mut text = format!("listening on http://{address}\n");
    for person in desk.people()? {
        writeln!(text, "person {} ({}, {}, {})", person.name, person.display, person.org, person.role.as_str())?;
    }
    match sign_in {
        SignIn::ByName => {
            for (name, token) in desk.development_tokens()? {
                writeln!(text, "token {name} {token}")?;
            }
        }
        SignIn::ByToken => writeln!(text, "tokens are in the table `logins` of the database file")?,
    }
    Ok(text)
}
