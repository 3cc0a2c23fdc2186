//! The server of peers.

use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use grove_attest::{Member, MemoryMembers, Peers, SecretKey};
use grove_axum::opaque;
use grove_engine::{Config, Engine, RoomOptions, Session};
use tokio::net::TcpListener;

use super::server::print_url;
use crate::failure::Failure;
use crate::subject::house::House;

/// The name of the server in what is signed.
pub(crate) const AUDIENCE: &str = "bench";

/// How many peers one member has.
const PER_MEMBER: u32 = 50;

/// Nobody goes offline before the last of thousands has connected.
const OFFLINE_AFTER: Duration = Duration::from_secs(1_200);

/// The project of a peer.
pub(crate) fn project(peer: u32, per_project: u32) -> String {
    format!("project-{}", peer / per_project)
}

/// The key of the member for whom a peer acts.
pub(crate) fn member(peer: u32, per_project: u32) -> (String, SecretKey) {
    let (project, number) = (peer / per_project, peer % per_project / PER_MEMBER);
    let mut seed = [1; 32];
    seed[..4].copy_from_slice(&project.to_be_bytes());
    seed[4..8].copy_from_slice(&number.to_be_bytes());
    (format!("member-{project}-{number}"), SecretKey::from_seed(&seed))
}

fn config(sessions: u32) -> Config {
    let mut config = House::config(sessions);
    config.rooms.offline_after = OFFLINE_AFTER;
    config.rooms.left_after = OFFLINE_AFTER * 2;
    config
}

/// Serves until the process is killed. The first line on standard output is the URL.
pub(crate) async fn run(sessions: u32, per_project: u32) -> Result<(), Failure> {
    let rooms = RoomOptions::new().presence();
    let engine = Engine::builder("app", "App").config(config(sessions)).rooms(rooms).build();
    let peers = Peers::new(&engine, MemoryMembers::new(), AUDIENCE).map_err(|error| error.to_string())?;
    let peers = peers.max_peers(sessions as usize);
    for peer in (0..sessions).filter(|peer| (peer % per_project).is_multiple_of(PER_MEMBER)) {
        let (id, key) = member(peer, per_project);
        peers.add_member(&project(peer, per_project), Member::new(id, key.public_key()).right("write"))?;
    }
    let authenticator = Arc::new(peers.authenticator(opaque("session", |_| async { None::<Session> })));
    let app: axum::Router = grove_axum::router(engine, Arc::clone(&authenticator)).merge(peers.routes(authenticator));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    print_url(&listener)?;
    // Without TCP_NODELAY a socket is slow, but works.
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    Ok(axum::serve(listener, app).await?)
}
