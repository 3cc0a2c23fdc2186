//! The server's side: the workload over `grove-axum`, and one more session through which the client gives orders.
//!
//! The orders are SLOP actions like any other. Their node belongs to that session alone, so the consumers' trees are
//! those of the workload.

use std::io::Write as _;
use std::sync::Arc;

use axum::serve::ListenerExt as _;
use grove_axum::{Refusal, UpgradeRequest, authenticate_with};
use grove_engine::{Action, Descriptor, Engine, Invocation, Outcome, Scope, Session, Source};
use serde::Deserialize;
use serde_json::json;

use crate::options::Serving;
use crate::stopwatch::time_of_day_us;
use crate::subject::roomy;
use crate::workload::Workload;
use crate::workload::population::{Population, user};
use crate::{Failure, heap, process};

/// The token and the session of whoever gives orders.
pub(super) const ORDERS: &str = "orders";

/// What an order to change something private says.
#[derive(Deserialize, schemars::JsonSchema)]
struct Whose {
    user: u32,
}

/// Serves until it is killed. The first line on standard output is the address.
pub(crate) async fn run(serving: Serving) -> Result<(), Failure> {
    let population = Arc::new(Population::new(serving.sessions, serving.likeness));
    let mut config = roomy(serving.sessions);
    // As an application would have it.
    let usual = grove_engine::Config::default();
    (config.times.hello_delay, config.times.first_patch_delay) =
        (usual.times.hello_delay, usual.times.first_patch_delay);
    // The limiter is there and costs what it costs; whoever gives orders must not meet it.
    config.limits.messages_per_second = std::num::NonZeroU32::new(100_000);
    let engine = Engine::builder("app", "App").config(config).build();
    serving.workload.register(&engine, &population);
    take_orders(&engine, serving.workload, &population)?;
    let known = Arc::clone(&population);
    let authenticator = authenticate_with(move |request: UpgradeRequest| {
        let session = request.query("token").and_then(|token| session_of(&token, &known));
        async move { session.ok_or_else(Refusal::unauthorized) }
    });
    let app: axum::Router = grove_axum::router(engine, authenticator);
    let listener = tokio::net::TcpListener::bind(&serving.listen).await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "ws://{}/slop", listener.local_addr()?)?;
    out.flush()?;
    drop(out);
    // A socket that delays small writes is slow, not broken.
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    Ok(axum::serve(listener, app).await?)
}

fn session_of(token: &str, population: &Population) -> Option<Session> {
    match token {
        ORDERS => Some(Session::new(ORDERS)),
        number => Some(population.session(number.parse().ok().filter(|u| *u < population.sessions())?)),
    }
}

fn take_orders(engine: &Engine, workload: Workload, population: &Arc<Population>) -> Result<(), Failure> {
    let (people, all) = (Arc::clone(population), engine.clone());
    let change_shared = Action::new("change_shared", move |_: Invocation| {
        let at_us = time_of_day_us();
        let count = people.change_shared();
        all.refresh(Scope::all().paths([workload.shared_path()]));
        json!({"at_us": at_us, "count": count})
    });
    let (people, all) = (Arc::clone(population), engine.clone());
    let change_private = Action::new("change_private", move |call: Invocation<Whose>| {
        let (at_us, u) = (time_of_day_us(), call.params.user);
        people.change_one(u);
        all.refresh(Scope::user(user(u)).paths([workload.private_path()]));
        json!({"at_us": at_us, "count": 0})
    });
    let all = engine.clone();
    let usage = Action::new("usage", move |_: Invocation| usage(&all));
    engine.open_session(&Session::new(ORDERS)).map_err(|error| error.to_string())?;
    let source = Source::new(move |_: &Session| {
        Descriptor::new("control").action(&change_shared).action(&change_private).action(&usage)
    });
    engine.register_for(ORDERS, ORDERS, source).map_err(|error| error.to_string())?;
    Ok(())
}

fn usage(engine: &Engine) -> Result<Outcome, grove_engine::ActionError> {
    let failed = |failure: Failure| grove_engine::ActionError::internal(failure.to_string());
    Ok(Outcome::data(json!({
        "rss_bytes": process::rss_bytes().map_err(failed)?,
        "heap_bytes": heap::live().map_err(failed)?,
        "cpu_us": process::cpu_us(),
        "evaluations": engine.stats().evaluations,
    })))
}
