//! The signals that ask a process to stop.

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind};
#[cfg(unix)]
use tokio::sync::oneshot;

/// Completes when the process is asked to stop: SIGTERM, or Ctrl-C. A second signal ends the process at once, with exit
/// code 128 plus its number, whatever is still being completed.
///
/// It takes effect with the call, not with the first poll: call it before you announce that the server is up. From then
/// on the first signal does not end the process by itself, so whatever awaits this must also end it.
///
/// # Panics
///
/// If the system does not let the process handle signals or start a thread.
#[cfg(unix)]
#[track_caller]
pub fn shutdown_signal() -> impl Future<Output = ()> + Send + 'static {
    let (first, signalled) = oneshot::channel();
    if let Err(error) = handle_signals(first) {
        panic!("cannot handle signals: {error}");
    }
    async {
        if signalled.await.is_err() {
            // The thread never drops its sender without sending.
            std::future::pending::<()>().await;
        }
    }
}

/// Handles signals on a thread of its own, so that the second signal works even when the application blocks all threads
/// of its runtime.
#[cfg(unix)]
fn handle_signals(first: oneshot::Sender<()>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::new()?
    };
    let handle = async move {
        signals.next().await;
        // Without a receiver no one waits for the first signal.
        let _ = first.send(());
        let number = signals.next().await;
        tracing::warn!(target: "grove", "second signal: the process ends at once");
        std::process::exit(128 + number);
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(handle))?;
    Ok(())
}

#[cfg(unix)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

#[cfg(unix)]
impl Signals {
    /// # Errors
    ///
    /// When the system does not let the process handle them.
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::signal;
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next signal and returns its number.
    async fn next(&mut self) -> i32 {
        let kind = tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
        };
        kind.as_raw_value()
    }
}

/// Completes when the process is asked to stop with Ctrl-C. A second Ctrl-C ends the process at once.
#[cfg(not(unix))]
pub fn shutdown_signal() -> impl Future<Output = ()> + Send + 'static {
    async {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without a handler the process runs until it is killed.
            std::future::pending::<()>().await;
        }
        tokio::spawn(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        });
    }
}
