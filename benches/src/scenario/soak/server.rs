//! The server of a soak.

mod application;
mod commands;
mod data;
mod house;

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::serve::ListenerExt as _;
use grove_axum::{Drain, Refusal, UpgradeRequest, authenticate_with, shutdown_signal};
use grove_engine::{Config, Engine, Session};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use self::data::Data;
use super::scale::{GROUPS, TABS, USERS};
use super::session_token::SessionToken;
use crate::failure::Failure;

const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
const DRAIN_SPREAD: Duration = Duration::from_millis(500);

/// Serves until SIGTERM. The first line on standard output is the address.
pub(crate) async fn run(listen: &str, storage: Option<&Path>) -> Result<(), Failure> {
    let signal = shutdown_signal();
    let data = Arc::new(Data::new());
    let engine = Engine::builder("soak", "Soak").config(config()).rooms(house::options(storage)?).build();
    application::register(&engine, &data);
    house::furnish(&engine)?;
    let authenticator = authenticate_with(|request: UpgradeRequest| {
        let token = request.query("token").and_then(|token| SessionToken::decode(&token));
        async move { token.map(session_of).ok_or_else(Refusal::unauthorized) }
    });
    let app: axum::Router = grove_axum::router(engine.clone(), authenticator);
    let listener = TcpListener::bind(listen).await?;
    commands::print(&listener.local_addr()?.to_string())?;
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    let (commanded, runtime) = (engine.clone(), Handle::current());
    std::thread::spawn(move || commands::run(&commanded, &data, &runtime));
    Drain::new(engine)
        .deadline(DRAIN_DEADLINE)
        .spread(DRAIN_SPREAD)
        .batch(TABS)
        .serve(signal, |stop| axum::serve(listener, app).with_graceful_shutdown(stop))
        .await?;
    Ok(())
}

/// Short times and low limits, so that timeouts and evictions happen often.
fn config() -> Config {
    let mut config = Config::default();
    config.limits.messages_per_second = NonZeroU32::new(2_000);
    config.times.ping_interval = Duration::from_secs(2);
    config.times.silence_timeout = Duration::from_secs(5);
    config.times.resume_window = Duration::from_secs(3);
    config.times.idle_tree = Duration::from_secs(1);
    config.times.idle_session = Duration::from_secs(4);
    config.memory.idle_trees = 8;
    config.limits.sessions = 2 * USERS as usize;
    config.times.expiry_warning = Duration::from_secs(1);
    config.times.tab_call_timeout = Duration::from_secs(2);
    config.rooms.offline_after = Duration::from_secs(3);
    config.rooms.left_after = Duration::from_secs(6);
    config.rooms.ended_room_retention = Duration::from_secs(1);
    config
}

fn session_of(token: SessionToken) -> Session {
    let session = Session::new(token.session_id())
        .with_user(token.user_name())
        .with_attribute("group", (token.user % GROUPS).to_string());
    match token.expires_ms {
        0 => session,
        at => session.with_expiry(UNIX_EPOCH + Duration::from_millis(at)),
    }
}
