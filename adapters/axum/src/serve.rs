//! Serves an application on a listener, with the settings that a server of long connections needs.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;
use tower_service::Service;

/// How long a client may take to send the head of a request. A client that sends half a request, or none, must not keep
/// its connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait after the system refuses to accept a connection, for example because too many files are open.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// Serves `app` on `listener` until `stop` completes and the requests in flight are finished.
///
/// It does what `axum::serve` with a graceful shutdown does, and also
///
/// - closes connections whose client does not send the head of a request within 10 seconds,
/// - sets `TCP_NODELAY`, since otherwise a patch may wait for the acknowledgement of the previous one,
/// - tells the application the peer's address, which [`anonymous`](crate::anonymous) needs,
/// - accepts WebSocket over HTTP/2, with the feature `http2`.
///
/// ```no_run
/// use grove_axum::{Drain, anonymous, serve, shutdown_signal};
/// use grove_engine::Engine;
/// use tokio::net::TcpListener;
///
/// # async fn run() -> std::io::Result<()> {
/// let engine = Engine::builder("desk", "Desk").build();
/// let app = grove_axum::router(engine.clone(), anonymous());
/// let listener = TcpListener::bind("127.0.0.1:3000").await?;
/// Drain::new(engine).serve(shutdown_signal(), |stop| serve(listener, app, stop)).await
/// # }
/// ```
///
/// # Errors
///
/// None at present: failures of single connections end only these, and failures to accept are retried. The signature is
/// that of the servers which [`Drain::serve`](crate::Drain::serve) takes.
pub async fn serve(listener: TcpListener, app: Router, stop: impl Future<Output = ()>) -> io::Result<()> {
    let (stopping, open) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => drop(tokio::spawn(serve_connection(stream, peer, app.clone(), open.clone()))),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(target: "grove", %error, "cannot accept connections, trying again in 1 s");
                sleep(ACCEPT_RETRY).await;
            }
        }
    }
    drop((listener, open));
    stopping.send_replace(());
    // Each open connection holds a receiver.
    stopping.closed().await;
    Ok(())
}

/// Whether accepting failed because the client was gone already.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Serves one connection until it ends; after `stopping`, only the requests in flight.
async fn serve_connection(stream: TcpStream, peer: SocketAddr, app: Router, mut stopping: watch::Receiver<()>) {
    // A stream that refuses is slower, not wrong.
    let _ = stream.set_nodelay(true);
    let requested = AtomicBool::new(false);
    let service = service_fn(|request: Request<Incoming>| {
        requested.store(true, Ordering::Relaxed);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        app.clone().call(request)
    });
    let builder = builder();
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    // HTTP/1.1 has a timeout of its own for each head, which begins once the version is known. This one begins at once.
    let mut first_head = pin!(sleep(HEAD_TIMEOUT).fuse());
    let mut stop = pin!(stopping.changed().fuse());
    loop {
        tokio::select! {
            // A connection that fails has ended; there is no one to tell.
            _ = &mut connection => return,
            () = &mut first_head => if !requested.load(Ordering::Relaxed) { return },
            _ = &mut stop => connection.as_mut().graceful_shutdown(),
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    #[cfg(feature = "http2")]
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(2 * HEAD_TIMEOUT))
        .keep_alive_timeout(HEAD_TIMEOUT)
        .enable_connect_protocol();
    builder
}
