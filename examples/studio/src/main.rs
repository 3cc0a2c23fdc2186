//! Rooms in which people start agents, watch them work, steer them and stop them.
//!
//! ```text
//! cargo run -p studio
//! ```
//!
//! Then open the address that it prints, or follow `README.md` with `curl`. This file has the four parts that every server
//! with agents has:
//!
//! 1. **Agents** are registered by name. Each is an async function in a file of its own in `src/agents`.
//! 2. A **room** is where people run one agent. Rooms are created here at the start, and by anyone at any time.
//! 3. An **authenticator** decides who is asking. Here people just say who they are, so only this machine may ask; for
//!    users who log in see `examples/desk`.
//! 4. The **router** adds `/slop` for consumers such as the page, `/v1` for programs such as `curl`, and `/agents` for
//!    agents that run elsewhere, such as `proofread.py`.

mod agents;
mod inbox;
mod page;

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use agents::model::{self, Model};
use agents::{research, summarize};
use axum::Router;
use clap::Parser;
use grove_axum::{Authenticator, Drain, Refusal, Slop, UpgradeRequest};
use grove_axum::{anonymous, authenticate_with, serve, shutdown_signal};
use grove_engine::{Access, Engine, NewRoom, Presence, RoomOptions, Session, Storage};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

/// Rooms in which people start agents, watch them work, steer them and stop them.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, visible_alias = "addr", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    listen: String,
    /// Where rooms are kept; without it they end with the server
    #[arg(long, value_name = "DIR")]
    storage: Option<PathBuf>,
    /// How long an agent takes for a step, in ms, so that people can watch it
    #[arg(long, value_name = "MS", default_value = "150")]
    pace_ms: u64,
    #[command(flatten)]
    model: Model,
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is no one left to tell when this fails.
            let _ = writeln!(std::io::stderr(), "studio: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Box<dyn Error>> {
    // First of all: from here on a signal is a graceful shutdown.
    let stop = shutdown_signal();
    let storage = args.storage.map_or(Ok(Storage::memory()), Storage::open)?;
    let engine = Engine::builder("studio", "Studio").rooms(RoomOptions::new().storage(storage)).build();

    let pace = Duration::from_millis(args.pace_ms);
    engine.register_agent(summarize::agent(pace));
    engine.register_agent(research::agent(pace));
    open_room(&engine, "summarize", "Summaries")?;
    open_room(&engine, "research", "Research")?;
    if args.model.url.is_some() {
        engine.register_agent(model::agent(args.model)?);
        open_room(&engine, "model", "A model")?;
    }

    let routes = Slop::new(engine.clone(), authenticator()).rooms(engine.rooms()).router();
    let app: Router = page::routes().merge(routes);
    let listener = TcpListener::bind(&args.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}; give another address with --listen", args.listen))?;
    writeln!(std::io::stdout(), "listening on http://{}", listener.local_addr()?)?;
    Drain::new(engine).deadline(Duration::from_secs(5)).serve(stop, |stop| serve(listener, app, stop)).await?;
    Ok(())
}

/// A room for an agent, which everyone may use. With `--storage`, it may still be there from before.
fn open_room(engine: &Engine, agent: &str, title: &str) -> Result<(), Box<dyn Error>> {
    let studio = Session::new("studio").with_user("studio");
    if engine.rooms().get(&studio, agent).is_err() {
        let room = NewRoom::new(title).id(agent).agent(agent).access(Access::Project).replayable(true);
        engine.rooms().create(&studio, &room)?;
    }
    Ok(())
}

/// The token *is* the name, so everyone can be anyone: only on this machine, and only in an example.
fn authenticator() -> impl Authenticator {
    let local = anonymous();
    authenticate_with(move |request: UpgradeRequest| {
        let is_local = local.authenticate(request.clone());
        async move {
            is_local.await?;
            match request.credential("studio").as_deref() {
                Some(name @ ("ann" | "bob")) => {
                    Ok(Session::new(format!("session of {name}")).with_user(name).with_presence(Presence::new(name)))
                }
                // A program that may be an agent, and nobody in a room: see `proofread.py`.
                Some("proofread") => Ok(Session::new("proofread").with_permission("agent:proofread")),
                _ => Err(Refusal::unauthorized()),
            }
        }
    })
}
