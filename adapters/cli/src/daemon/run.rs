//! A daemon, from its start to its end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::serve;
use grove_attest::Card;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::hooks::{Change, Hooks};
use super::identity::Identity;
use super::limits::Limits;
use super::listen::{SocketFile, listen};
use super::routes::{Owner, routes};
use super::sessions::Sessions;
use super::upstream::Upstream;
use crate::failure::Failure;
use crate::settings::Membership;

/// How long a stop waits for requests after all links have ended.
const REQUESTS: Duration = Duration::from_secs(1);

/// A daemon that runs.
#[derive(Debug)]
pub(crate) struct Running {
    sessions: Arc<Sessions>,
    socket: SocketFile,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
    reaper: JoinHandle<()>,
}

/// Starts a daemon. `is_presence_on` is false if sessions shall have no links of their own.
///
/// # Errors
/// If it cannot listen there.
pub(crate) fn start(
    (membership, card): (Membership, Card),
    socket: &Path,
    (limits, is_presence_on): (Limits, bool),
) -> Result<Running, Failure> {
    let (socket, listener) = listen(socket, limits.connections)?;
    let Membership { url, project, key, audience } = membership;
    let upstream = Arc::new(Upstream::new(url, project, audience));
    let member = Identity::Member { key, card };
    let hooks = Hooks::default().with(log);
    let sessions = Arc::new(Sessions::new((member, upstream), (limits.sessions, is_presence_on), hooks));
    let (stop, stopped) = oneshot::channel::<()>();
    let app = routes(Arc::clone(&sessions)).into_make_service_with_connect_info::<Owner>();
    let serving = serve(listener, app).with_graceful_shutdown(async { drop(stopped.await) });
    let server = tokio::spawn(async { serving.await });
    let reaper = tokio::spawn(reap(Arc::clone(&sessions), limits.reap_every));
    Ok(Running { sessions, socket, stop, server, reaper })
}

fn log(session_id: &str, change: Change) {
    match change {
        Change::Registered => tracing::info!(target: "grove", session_id, "registered"),
        Change::Removed(why) => tracing::info!(target: "grove", session_id, ?why, "removed"),
    }
}

async fn reap(sessions: Arc<Sessions>, every: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        sessions.reap().await;
    }
}

impl Running {
    pub(crate) fn socket(&self) -> &Path {
        self.socket.path()
    }

    /// Says farewell on all links, and removes the socket.
    pub(crate) async fn stop(self) {
        self.reaper.abort();
        self.sessions.close().await;
        // If serving has failed, there is no receiver.
        let _ = self.stop.send(());
        let mut server = self.server;
        if timeout(REQUESTS, &mut server).await.is_err() {
            server.abort();
        }
        drop(self.socket);
    }
}
