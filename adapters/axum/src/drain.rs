//! An orderly end: what is in flight is answered, consumers are told to go elsewhere, and it is over by a deadline.

use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use grove_engine::{Engine, Shutdown};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// How long a drain may take unless [`Drain::deadline`] says otherwise.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long the leaving takes unless [`Drain::spread`] says otherwise.
const SPREAD: Duration = Duration::from_secs(1);

/// What is kept of the deadline for closing connections and finishing HTTP requests once the calls are answered.
const CLOSING: Duration = Duration::from_secs(2);

/// Ends when the server is to stop accepting connections; for `with_graceful_shutdown`.
pub type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves an application until it is told to stop, and then ends in order.
///
/// ```no_run
/// use std::net::SocketAddr;
/// use std::time::Duration;
///
/// use axum::Router;
/// use axum::serve::ListenerExt;
/// use grove_axum::{Drain, anonymous, health, shutdown_signal};
/// use grove_engine::Engine;
/// use tokio::net::TcpListener;
///
/// #[tokio::main]
/// async fn main() -> std::io::Result<()> {
///     // First of all: from here on SIGTERM is an orderly end.
///     let signal = shutdown_signal();
///     let engine = Engine::builder("desk", "Desk").build();
///     let app: Router = grove_axum::router(engine.clone(), anonymous()).merge(health(engine.clone()));
///     let listener = TcpListener::bind("127.0.0.1:3000").await?.tap_io(|stream| drop(stream.set_nodelay(true)));
///     let app = app.into_make_service_with_connect_info::<SocketAddr>();
///     Drain::new(engine)
///         .deadline(Duration::from_secs(10))
///         .serve(signal, |stop| axum::serve(listener, app).with_graceful_shutdown(stop))
///         .await
/// }
/// ```
///
/// # In this order
///
/// ```text
/// signal    -> /readyz answers 503, and so does /slop: no new consumers
///           -> consumers are told `server.draining`, each with a time after which to come back
///           -> batch by batch, over the spread, connections are closed with 1001: each when its own calls are
///              answered, for as long as the deadline allows
///           -> at the earliest after the notice: the listener closes, HTTP requests in flight are finished
/// deadline  -> it returns, whatever is left
/// ```
///
/// What the application has to end itself, such as streams of events to its pages, it ends when the signal comes:
///
/// ```
/// # async fn end_page_streams() {}
/// # let _ = async {
/// let signal = async {
///     grove_axum::shutdown_signal().await;
///     end_page_streams().await;
/// };
/// # signal.await };
/// ```
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it serves"]
pub struct Drain {
    engine: Engine,
    deadline: Duration,
    notice: Duration,
    spread: Duration,
    batch: usize,
}

impl Drain {
    /// A drain of this engine that takes at most 10 seconds, gives no notice, and closes 100 connections at a time over
    /// one second.
    pub fn new(engine: Engine) -> Self {
        let Shutdown { batch, .. } = Shutdown::within(DEADLINE);
        Self { engine, deadline: DEADLINE, notice: Duration::ZERO, spread: SPREAD, batch }
    }

    /// How long it may take from the signal to the return. Calls in flight get all of it but the last two seconds (half
    /// of it, if it is shorter than four).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long the listener stays open at least after the signal, so that a load balancer hears from `/readyz` that it
    /// should send nobody here any more. A little more than the interval in which it asks.
    pub fn notice(mut self, notice: Duration) -> Self {
        self.notice = notice;
        self
    }

    /// Over how long connections are closed, so that their consumers do not all come back at once, and over how long
    /// after their close consumers are told to come back. At most the time that calls in flight get. Zero closes all at
    /// once and tells nobody before.
    pub fn spread(mut self, spread: Duration) -> Self {
        self.spread = spread;
        self
    }

    /// How many connections are closed at once.
    pub fn batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    /// Runs the server that `serve` starts, until `signal` ends and everything is drained.
    ///
    /// # Errors
    ///
    /// The server's own, when it ends by itself.
    pub async fn serve<S>(self, signal: impl Future<Output = ()>, serve: impl FnOnce(Stop) -> S) -> io::Result<()>
    where
        S: IntoFuture<Output = io::Result<()>>,
    {
        let (stop, stopped) = oneshot::channel::<()>();
        let mut server = pin!(serve(Box::pin(async { drop(stopped.await) })).into_future());
        tokio::select! {
            ended = &mut server => return ended,
            () = signal => {}
        }
        let deadline = self.deadline;
        let draining = async {
            self.empty().await;
            // If the server has ended by itself, nobody hears this.
            let _ = stop.send(());
        };
        let ending = async { tokio::join!(draining, server).1 };
        // Out of time is an end as well.
        timeout(deadline, ending).await.unwrap_or(Ok(()))
    }

    /// Refuses consumers from now on and returns when the last is gone, but not before the notice is over.
    async fn empty(&self) {
        let deadline = self.deadline - CLOSING.min(self.deadline / 2);
        let how = Shutdown { deadline, spread: self.spread, batch: self.batch };
        tokio::join!(self.engine.shutdown(how), sleep(self.notice));
    }
}

/// Ends when the process is asked to stop: SIGTERM, or Ctrl-C.
///
/// It counts from the call on, not from the first poll: call it before you tell anybody that you are up. From then on
/// neither ends the process by itself, so what waits for this must also end it.
///
/// # Panics
///
/// Outside a tokio runtime with I/O, or if the system does not let the process listen for signals.
#[cfg(unix)]
#[track_caller]
pub fn shutdown_signal() -> impl Future<Output = ()> + Send + 'static {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).unwrap_or_else(|error| panic!("cannot listen for signals: {error}"));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate()), listen(SignalKind::interrupt()));
    async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// Ends when the process is asked to stop with Ctrl-C.
#[cfg(not(unix))]
pub fn shutdown_signal() -> impl Future<Output = ()> + Send + 'static {
    async {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without a handler the process runs until it is ended from outside.
            std::future::pending::<()>().await;
        }
    }
}
