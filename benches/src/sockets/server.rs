//! The server: a workload behind `grove-axum`, and one more session through which the client gives commands.
//!
//! Commands are actions like any other. Their node is registered for that session alone, so the consumers' trees are
//! exactly those of the workload.

use std::io::Write as _;
use std::num::NonZeroU32;
use std::sync::Arc;

use axum::serve::ListenerExt as _;
use grove_axum::{Refusal, UpgradeRequest, authenticate_with};
use grove_engine::{Action, ActionError, Config, Descriptor, Engine, Invocation, Outcome, Scope, Session, Source};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;

use super::server_usage::ServerUsage;
use crate::cli::serve_options::ServeOptions;
use crate::failure::Failure;
use crate::measure::stopwatch::time_of_day_us;
use crate::subject::grove::generous_config;
use crate::workload::Workload;
use crate::workload::population::{Population, user};

/// The token and the session of the client that gives commands, and the path of their node.
pub(super) const CONTROL: &str = "control";

/// The rate limiter is active, at a rate that no consumer reaches.
const MESSAGES_PER_SECOND: u32 = 100_000;

/// Parameters of `change_private`.
#[derive(Deserialize, schemars::JsonSchema)]
struct ChangePrivate {
    user: u32,
}

/// Serves until the process is killed. The first line on standard output is the URL.
pub(crate) async fn run(options: ServeOptions) -> Result<(), Failure> {
    let population = Arc::new(Population::new(options.sessions, options.likeness));
    let engine = Engine::builder("app", "App").config(config(options.sessions)).build();
    options.workload.register(&engine, &population);
    register_control(&engine, options.workload, &population)?;
    let authenticator = authenticate_with(move |request: UpgradeRequest| {
        let session = request.query("token").and_then(|token| session_of(&token, &population));
        async move { session.ok_or_else(Refusal::unauthorized) }
    });
    let app: axum::Router = grove_axum::router(engine, authenticator);
    let listener = TcpListener::bind(&options.listen).await?;
    print_url(&listener)?;
    // Without TCP_NODELAY a socket is slow, but works.
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    Ok(axum::serve(listener, app).await?)
}

/// The delays of hello and of the first patch, and a rate limiter, are as an application has them.
fn config(sessions: u32) -> Config {
    let (mut config, defaults) = (generous_config(sessions), Config::default());
    config.times.hello_delay = defaults.times.hello_delay;
    config.times.first_patch_delay = defaults.times.first_patch_delay;
    config.limits.messages_per_second = NonZeroU32::new(MESSAGES_PER_SECOND);
    config
}

pub(super) fn print_url(listener: &TcpListener) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ws://{}/slop", listener.local_addr()?)?;
    out.flush()?;
    Ok(())
}

fn session_of(token: &str, population: &Population) -> Option<Session> {
    match token {
        CONTROL => Some(Session::new(CONTROL)),
        number => Some(population.session(number.parse().ok().filter(|u| *u < population.sessions())?)),
    }
}

fn register_control(engine: &Engine, workload: Workload, population: &Arc<Population>) -> Result<(), Failure> {
    let change_shared = change_shared(engine, workload, population);
    let change_private = change_private(engine, workload, population);
    let usage = usage(engine);
    engine.open_session(&Session::new(CONTROL)).map_err(|error| error.to_string())?;
    let source = Source::new(move |_: &Session| {
        Descriptor::new("control").action(&change_shared).action(&change_private).action(&usage)
    });
    engine.register_for(CONTROL, CONTROL, source).map_err(|error| error.to_string())?;
    Ok(())
}

fn change_shared(engine: &Engine, workload: Workload, population: &Arc<Population>) -> Action {
    let (population, engine) = (Arc::clone(population), engine.clone());
    Action::new("change_shared", move |_: Invocation| {
        let at_us = time_of_day_us();
        population.change_shared();
        engine.refresh(Scope::all().paths([workload.shared_path()]));
        json!({"at_us": at_us})
    })
}

fn change_private(engine: &Engine, workload: Workload, population: &Arc<Population>) -> Action {
    let (population, engine) = (Arc::clone(population), engine.clone());
    Action::new("change_private", move |call: Invocation<ChangePrivate>| {
        let (at_us, u) = (time_of_day_us(), call.params.user);
        population.change_private(u);
        engine.refresh(Scope::user(user(u)).paths([workload.private_path()]));
        json!({"at_us": at_us})
    })
}

fn usage(engine: &Engine) -> Action {
    let engine = engine.clone();
    Action::new("usage", move |_: Invocation| {
        let usage = ServerUsage::of_this_process(engine.stats().evaluations);
        let usage = usage.and_then(|usage| Ok(serde_json::to_value(usage)?));
        usage.map(Outcome::data).map_err(|failure| ActionError::internal(failure.to_string()))
    })
}
