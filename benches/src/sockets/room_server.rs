//! The server of one room: all its members have joined before they connect.

use std::time::Duration;

use axum::serve::ListenerExt as _;
use grove_axum::{Refusal, UpgradeRequest, authenticate_with};
use grove_engine::{Access, Config, Engine, NewRoom, RoomOptions};
use tokio::net::TcpListener;

use super::server::print_url;
use crate::failure::Failure;
use crate::subject::house::House;

/// The id of the room.
pub(crate) const ROOM: &str = "m";

/// Nobody goes offline before the last of thousands has connected.
const OFFLINE_AFTER: Duration = Duration::from_secs(1_200);

fn config(sessions: u32) -> Config {
    let mut config = House::config(sessions);
    config.rooms.offline_after = OFFLINE_AFTER;
    config.rooms.left_after = OFFLINE_AFTER * 2;
    config
}

/// Serves until the process is killed. The first line on standard output is the URL.
pub(crate) async fn run(sessions: u32) -> Result<(), Failure> {
    let engine = Engine::builder("app", "App").config(config(sessions)).rooms(RoomOptions::new()).build();
    let why = |error: grove_engine::ActionError| error.to_string();
    engine.rooms().create(&House::member(0), &NewRoom::new("Room").id(ROOM).access(Access::Project)).map_err(why)?;
    for u in 0..sessions {
        // Only who is connected can join. Lost connections leave nobody to whom each joining would have to be told.
        let lost = engine.connect(&House::member(u)).map_err(|error| error.to_string())?;
        engine.rooms().join(&House::member(u), ROOM).map_err(why)?;
        drop(lost);
    }
    let authenticator = authenticate_with(move |request: UpgradeRequest| {
        let member = request.query("token").and_then(|token| token.parse().ok()).filter(|u| *u < sessions);
        async move { member.map(House::member).ok_or_else(Refusal::unauthorized) }
    });
    let app: axum::Router = grove_axum::router(engine, authenticator);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    print_url(&listener)?;
    // Without TCP_NODELAY a socket is slow, but works.
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    Ok(axum::serve(listener, app).await?)
}
