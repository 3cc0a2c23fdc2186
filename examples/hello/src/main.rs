//! The smallest Grove server: one counter that an AI can see and increment. Start it, then look at it with the example
//! consumer from a second terminal:
//!
//! ```text
//! cargo run -p hello
//! cargo run -p agent -- tree
//! cargo run -p agent -- invoke /counter increment
//! ```
//!
//! It has the four parts that every Grove server has:
//!
//! 1. An **action** is declared once, outside of all descriptors. Its handler changes the state and need not notify
//!    anyone: when it returns, the caller's tree is rendered again, and the patch arrives before the result.
//! 2. A **descriptor** is a function from a session to a node. It runs again whenever its path is refreshed. Content that
//!    has not changed is not sent.
//! 3. An **authenticator** decides whose session a connection is. `anonymous()` accepts every peer on this machine, all
//!    as one session. For users who log in see `examples/desk`.
//! 4. The **router** adds `/slop` and `/.well-known/slop` to any axum application.
//!
//! With `--announce` it also writes a file to `~/.slop/providers`, where consumers on this machine look for providers,
//! and removes it when it is stopped.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use grove_axum::{LocalDescriptor, serve, shutdown_signal};
use grove_engine::{Action, Descriptor, Engine, Invocation, Provider, Session};
use tokio::net::TcpListener;

/// The smallest Grove server: one counter, no users.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    listen: String,
    /// Also write a descriptor file to ~/.slop/providers, where consumers on this machine look
    #[arg(long)]
    announce: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is no one left to tell when this fails.
            let _ = writeln!(std::io::stderr(), "hello: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let stop = shutdown_signal();
    let engine = engine();
    let listener = TcpListener::bind(&args.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}; give another address with --listen", args.listen))?;
    let address = listener.local_addr()?;
    let publish = || LocalDescriptor::publish(&engine.discovery(), &format!("ws://{address}/slop"));
    let announced = args.announce.then(publish).transpose();
    let announced = announced.map_err(|error| format!("cannot announce the server: {error}"))?;
    writeln!(std::io::stdout(), "listening on http://{address}")?;
    serve(listener, grove_axum::router(engine, grove_axum::anonymous()), stop).await?;
    drop(announced);
    Ok(())
}

fn engine() -> Engine {
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    let increment = Action::new("increment", move |_: Invocation<()>| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let engine = Engine::builder("hello", "Hello").build();
    engine.register("counter", move |_: &Session| {
        Descriptor::collection().prop("count", count.load(Ordering::Relaxed)).action(&increment)
    });
    engine
}
