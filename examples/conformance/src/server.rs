//! The app on a port, until it is stopped.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use grove_attest::{Members, MemoryMembers, Peers, StoredMembers};
use grove_axum::{Authenticator, Slop, serve};
use grove_engine::{Engine, Provider, Storage};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::app::App;
use crate::bus::Bus;
use crate::control;
use crate::members;
use crate::noted::Noted;
use crate::options::Options;
use crate::tokens::authenticator;

/// How long a stop waits for running calls. Together with the engine's and HTTP's time after that, it takes at most 5 s.
const CALLS_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a stop waits for HTTP requests after that.
const HTTP_TIMEOUT: Duration = Duration::from_millis(500);

/// The app, accepting connections.
#[derive(Debug)]
pub struct Running {
    app: Arc<App>,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<io::Result<()>>,
}

/// Starts the app in this process.
///
/// # Errors
/// When the address cannot be listened on, the storage cannot be opened, or the servers of NATS are named wrongly.
///
/// # Panics
/// If an allowed origin is not one.
pub async fn start(options: &Options) -> io::Result<Running> {
    let listener = TcpListener::bind(&options.listen).await?;
    let address = listener.local_addr()?;
    let storage = options.storage.as_ref().map_or(Ok(Storage::memory()), Storage::open).map_err(io::Error::other)?;
    let noted = options.storage.as_deref().map_or(Ok(Noted::default()), Noted::open)?;
    let app = App::new(options, (storage, noted), Bus::connect(options).await?);
    let peers = options.peers.then(|| peers(options, &app)).transpose()?;
    let endpoint = match app.providers.clone() {
        Some(providers) => slop(options, (&app, peers.as_ref()), providers),
        None => slop(options, (&app, peers.as_ref()), app.engine.clone()),
    };
    let routes = endpoint.merge(control::routes(Arc::clone(&app)));
    let routes = peers.iter().fold(routes, |routes, peers| routes.merge(members::routes(peers)));
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, routes, async { drop(stopped.await) }));
    Ok(Running { app, address, stop, server })
}

/// The endpoint and the discovery document of any provider, and the rooms over HTTP.
fn slop(options: &Options, (app, peers): (&App, Option<&Peers>), provider: impl Provider) -> Router {
    let ttl = options.session_ttl_ms.map(Duration::from_millis);
    let by_token = authenticator(ttl, options.has_rooms());
    let authenticator: Arc<dyn Authenticator> = match peers {
        Some(peers) => Arc::new(peers.authenticator(by_token)),
        None => Arc::new(by_token),
    };
    let peers = peers.map(|peers| peers.routes(Arc::clone(&authenticator)));
    let slop = Slop::new(provider, authenticator);
    let slop = options.allow_origin.iter().fold(slop, |slop, origin| slop.allow_origin(origin));
    let slop = if options.has_rooms() { slop.rooms(app.engine.rooms()) } else { slop };
    peers.into_iter().fold(slop.router(), Router::merge)
}

/// Peers of members that tests add; they are kept where rooms are.
fn peers(options: &Options, app: &App) -> io::Result<Peers> {
    let members: Box<dyn Members> = match &options.storage {
        Some(directory) => Box::new(StoredMembers::open(directory).map_err(io::Error::other)?),
        None => Box::new(MemoryMembers::new()),
    };
    let peers = Peers::new(&app.engine, members, options.audience.as_str());
    Ok(peers.map_err(io::Error::other)?.max_peers(options.max_peers))
}

impl Running {
    /// The address of the listener.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The engine, for connections without a socket.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.app.engine
    }

    /// Stops: completes the calls in flight, closes all sockets, and returns within 5 s.
    ///
    /// # Errors
    /// When serving had failed before.
    pub async fn stop(self) -> io::Result<()> {
        let Self { app, stop, mut server, .. } = self;
        app.engine.shutdown(CALLS_TIMEOUT).await;
        // If it has failed already, there is no receiver.
        let _ = stop.send(());
        match timeout(HTTP_TIMEOUT, &mut server).await {
            Ok(ended) => ended.map_err(io::Error::other)?,
            Err(_) => {
                server.abort();
                Ok(())
            }
        }
    }
}
