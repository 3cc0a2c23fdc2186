//! Threads for application code that may block, apart from those of the application's runtime.

use std::fmt;

use tokio::runtime::{Builder, Handle, Runtime};

/// Threads of the engine's own. The application's runtime may have as few threads as it likes, and handlers may have taken
/// all of them: what runs here still runs. Idle threads end after a while.
pub(crate) struct Threads {
    /// Present until it is dropped. Only its threads are used; nothing drives it.
    own: Option<Runtime>,
    /// What application code finds as its runtime.
    application: Handle,
}

impl Threads {
    /// At most `max` threads, which are started when they are needed.
    ///
    /// # Panics
    /// If the system refuses a runtime without any driver, which it does not.
    pub(crate) fn new(application: &Handle, max: usize) -> Self {
        let mut builder = Builder::new_current_thread();
        let own = builder.thread_name("grove-pass").max_blocking_threads(max).build();
        Self { own: Some(own.expect("a runtime without drivers needs nothing")), application: application.clone() }
    }

    /// Runs something on one of them.
    pub(crate) fn run(&self, work: impl FnOnce() + Send + 'static) {
        let application = self.application.clone();
        let run = move || {
            let _entered = application.enter();
            work();
        };
        if let Some(own) = &self.own {
            own.spawn_blocking(run);
        }
    }
}

impl Drop for Threads {
    /// What still runs goes on; nobody waits for it, wherever this is dropped.
    fn drop(&mut self) {
        if let Some(own) = self.own.take() {
            own.shutdown_background();
        }
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").finish_non_exhaustive()
    }
}
