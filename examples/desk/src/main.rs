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
use tokio::net::{TcpListener, TcpStream};
use tracing_subscriber::EnvFilter;

/// How long a stop waits for what is under way.
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
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    log_to_stderr();
    let desk = Desk::open(&arguments.db).map_err(|error| open_failed(&arguments, &error))?;
    let listener = TcpListener::bind(&arguments.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", arguments.listen))?;
    let address = listener.local_addr()?;
    let sign_in = if address.ip().is_loopback() { SignIn::ByName } else { SignIn::ByToken };
    let midnight = tokio::spawn({
        let desk = desk.clone();
        async move { desk.turn_pages().await }
    });
    std::io::stdout().write_all(greeting(&desk, address, sign_in)?.as_bytes())?;
    std::io::stdout().flush()?;
    serve(listener, desk, sign_in).await?;
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

async fn serve(listener: TcpListener, desk: Desk, sign_in: SignIn) -> std::io::Result<()> {
    let app = app(desk.clone(), sign_in);
    let (stopped, stopping) = tokio::sync::oneshot::channel();
    let stop = async move {
        asked_to_stop().await;
        desk.close(PATIENCE).await;
        let _ = stopped.send(());
    };
    tokio::select! {
        ended = axum::serve(listener.tap_io(send_at_once), app).with_graceful_shutdown(stop) => ended,
        () = async { stopping.await.ok(); tokio::time::sleep(PATIENCE).await } => Ok(()),
    }
}

/// Otherwise a patch may wait for the acknowledgement of the one before it.
fn send_at_once(stream: &mut TcpStream) {
    // A stream that refuses is slower, not wrong.
    let _ = stream.set_nodelay(true);
}

async fn asked_to_stop() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .expect("a process may listen for SIGTERM");
        tokio::select! { _ = interrupt => {}, _ = terminate.recv() => {} }
    }
    #[cfg(not(unix))]
    interrupt.await.ok();
}
