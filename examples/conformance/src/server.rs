//! The app on a port, until it is stopped.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use grove_axum::Slop;
use grove_engine::{Engine, Provider};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::app::App;
use crate::control;
use crate::options::Options;
use crate::tokens::authenticator;

/// How long a stop waits for calls that are running. With what the engine and HTTP take after that, it is over in 5 s.
const CALLS_PATIENCE: Duration = Duration::from_secs(3);

/// How long a stop waits for HTTP requests after that.
const HTTP_PATIENCE: Duration = Duration::from_millis(500);

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
/// When the address cannot be listened on.
///
/// # Panics
/// If an allowed origin is not one.
pub async fn start(options: &Options) -> io::Result<Running> {
    let listener = TcpListener::bind(&options.listen).await?;
    let address = listener.local_addr()?;
    let app = App::new(options);
    let endpoint = match app.providers.clone() {
        Some(providers) => slop(options, providers),
        None => slop(options, app.engine.clone()),
    };
    let routes = endpoint.merge(control::routes(Arc::clone(&app)));
    // A patch must not wait for the acknowledgement of the one before it. Where that cannot be had, it is only slower.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        axum::serve(listener, routes).with_graceful_shutdown(stopped).await
    });
    Ok(Running { app, address, stop, server })
}

/// The endpoint and the discovery document of any provider.
fn slop(options: &Options, provider: impl Provider) -> Router {
    let ttl = options.session_ttl_ms.map(Duration::from_millis);
    let slop = Slop::new(provider, authenticator(ttl));
    options.allow_origin.iter().fold(slop, |slop, origin| slop.allow_origin(origin)).router()
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The engine, for whoever wants to connect without a socket.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.app.engine
    }

    /// Stops: answers what is in flight, closes all sockets, and returns within 5 s.
    ///
    /// # Errors
    /// When serving had failed before.
    pub async fn stop(self) -> io::Result<()> {
        let Self { app, stop, mut server, .. } = self;
        app.engine.shutdown(CALLS_PATIENCE).await;
        // It may have failed already; then nobody hears this.
        let _ = stop.send(());
        match timeout(HTTP_PATIENCE, &mut server).await {
            Ok(ended) => ended.map_err(io::Error::other)?,
            Err(_) => {
                server.abort();
                Ok(())
            }
        }
    }
}
