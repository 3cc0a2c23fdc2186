//! Graceful shutdown: calls in flight are completed, consumers are told to reconnect elsewhere, all within a deadline.

use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use grove_engine::{Engine, Shutdown};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// Default of [`Drain::deadline`].
const DEADLINE: Duration = Duration::from_secs(10);

/// Default of [`Drain::spread`].
const SPREAD: Duration = Duration::from_secs(1);

/// The part of the deadline reserved for closing connections and finishing HTTP requests after the calls.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// Completes when the server must stop accepting connections; for `with_graceful_shutdown`.
pub type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves an application until it is told to stop, and then shuts it down gracefully.
///
/// ```no_run
/// use std::time::Duration;
///
/// use axum::Router;
/// use grove_axum::{Drain, anonymous, health, serve, shutdown_signal};
/// use grove_engine::Engine;
/// use tokio::net::TcpListener;
/// use tokio::runtime::Runtime;
///
/// fn main() -> std::io::Result<()> {
///     let runtime = Runtime::new()?;
///     let result = runtime.block_on(run());
///     // Without this the process would wait for handlers that still block their threads.
///     runtime.shutdown_background();
///     result
/// }
///
/// async fn run() -> std::io::Result<()> {
///     // First of all: from here on SIGTERM is a graceful shutdown.
///     let signal = shutdown_signal();
///     let engine = Engine::builder("desk", "Desk").build();
///     let app: Router = grove_axum::router(engine.clone(), anonymous()).merge(health(engine.clone()));
///     let listener = TcpListener::bind("127.0.0.1:3000").await?;
///     Drain::new(engine)
///         .deadline(Duration::from_secs(10))
///         .serve(signal, |stop| serve(listener, app, stop))
///         .await
/// }
/// ```
///
/// # In this order
///
/// ```text
/// signal    -> /readyz and /slop return 503: no new consumers
///           -> consumers get the event `server.draining`, each with a time after which to reconnect
///           -> batch by batch, over the spread, connections are closed with 1001: each when its own calls are
///              completed, as long as the deadline allows
///           -> not before the notice is over: the listener closes, HTTP requests in flight are finished
/// deadline  -> it returns, whatever is left
/// ```
///
/// It returns at the deadline, but it cannot end a handler that blocks its thread. A tokio runtime waits for such threads
/// when it is dropped, as `#[tokio::main]` does, so end `main` as above: `Runtime::shutdown_background` does not wait.
///
/// What the application has to end itself, such as event streams to its pages, it ends when the signal arrives:
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
#[must_use = "a drain does nothing until `serve` is called"]
pub struct Drain {
    engine: Engine,
    deadline: Duration,
    notice: Duration,
    spread: Duration,
    batch: usize,
}

impl Drain {
    /// A drain of this engine that takes at most 10 seconds, has no notice, and closes connections in batches of 100 over
    /// one second.
    pub fn new(engine: Engine) -> Self {
        let Shutdown { batch, .. } = Shutdown::within(DEADLINE);
        Self { engine, deadline: DEADLINE, notice: Duration::ZERO, spread: SPREAD, batch }
    }

    /// How long it may take from the signal to the return. Calls in flight get all of it except the last two seconds
    /// (half of it, if it is shorter than four).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long the listener stays open at least after the signal, so that a load balancer learns from `/readyz` to send
    /// no one here any more. Set it slightly above the interval of the load balancer's checks.
    pub fn notice(mut self, notice: Duration) -> Self {
        self.notice = notice;
        self
    }

    /// The time over which connections are closed, so that their consumers do not all reconnect at once, and over which
    /// consumers are told to reconnect after the close. At most the time that calls in flight get. Zero closes all at
    /// once, without an event before.
    pub fn spread(mut self, spread: Duration) -> Self {
        self.spread = spread;
        self
    }

    /// The number of connections that are closed at once.
    pub fn batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    /// Runs the server that `serve` starts, until `signal` completes and everything is drained.
    ///
    /// # Errors
    ///
    /// The server's own error, when it ends by itself.
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
            self.shut_down_engine().await;
            // If the server has ended by itself, there is no receiver.
            let _ = stop.send(());
        };
        let drained = async { tokio::join!(draining, server).1 };
        // A timeout is an end as well.
        timeout(deadline, drained).await.unwrap_or(Ok(()))
    }

    /// Refuses consumers from now on, and returns when the last one is gone, but not before the notice is over.
    async fn shut_down_engine(&self) {
        let deadline = self.deadline - CLOSE_GRACE.min(self.deadline / 2);
        let shutdown = Shutdown { deadline, spread: self.spread, batch: self.batch };
        tokio::join!(self.engine.shutdown(shutdown), sleep(self.notice));
    }
}
