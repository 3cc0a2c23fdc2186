//! Starts the desk: `cargo run --release -p desk`.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::serve::ListenerExt;
use clap::Parser;
use desk::{Desk, DeskError, SignIn, app};
use grove_axum::{Drain, shutdown_signal};
use tokio::net::{TcpListener, TcpStream};
use tracing_subscriber::EnvFilter;

/// How long it takes at most to stop in order.
const PATIENCE: Duration = Duration::from_secs(5);

/// A work desk for several people and their AIs.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    listen: String,
    /// The SQLite file; created and filled when it is not there.
    #[arg(long, value_name = "PATH", default_value = "desk.db")]
    db: PathBuf,
    /// Serve `/metrics` to whoever reaches the address; on a loopback address it is always served.
    #[arg(long)]
    metrics: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    log_to_stderr();
    // First of all: from here on a stop is an orderly one.
    let signal = shutdown_signal();
    let desk = Desk::open(&arguments.db).map_err(|error| open_failed(&arguments, &error))?;
    let listener = TcpListener::bind(&arguments.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", arguments.listen))?;
    let address = listener.local_addr()?;
    let sign_in = if address.ip().is_loopback() { SignIn::ByName } else { SignIn::ByToken };
    let served = app(desk.clone(), sign_in);
    let served = match arguments.metrics || address.ip().is_loopback() {
        true => served.merge(grove_axum::metrics(desk.engine().clone())),
        false => served,
    };
    let midnight = tokio::spawn({
        let desk = desk.clone();
        async move { desk.turn_pages().await }
    });
    std::io::stdout().write_all(greeting(&desk, address, sign_in)?.as_bytes())?;
    std::io::stdout().flush()?;
    let engine = desk.engine().clone();
    let asked_to_stop = async move {
        signal.await;
        desk.let_pages_go();
    };
    Drain::new(engine)
        .deadline(PATIENCE)
        .serve(asked_to_stop, |stop| axum::serve(listener.tap_io(send_at_once), served).with_graceful_shutdown(stop))
        .await?;
    midnight.abort();
    Ok(())
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

fn open_failed(arguments: &Arguments, error: &DeskError) -> String {
    let cause = error.source().map(|cause| format!(" ({cause})")).unwrap_or_default();
    format!("cannot open {}: {error}{cause}", arguments.db.display())
}

/// The first lines. Tokens are secrets, so they are printed only where nobody but this machine can use them.
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

/// Otherwise a patch may wait for the acknowledgement of the one before it.
fn send_at_once(stream: &mut TcpStream) {
    // A stream that refuses is slower, not wrong.
    let _ = stream.set_nodelay(true);
}
