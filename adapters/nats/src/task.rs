//! A task that ends with whoever holds it.

use tokio::task::JoinHandle;

/// A task that is aborted when this is dropped. What it reads from holds the connection open, and so itself.
#[derive(Debug)]
pub(crate) struct Task(JoinHandle<()>);

impl Task {
    pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task))
    }

    pub(crate) fn abort(&self) {
        self.0.abort();
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(mut self) {
        // It was aborted, or it has ended.
        let _ = (&mut self.0).await;
    }
}

impl From<JoinHandle<()>> for Task {
    fn from(handle: JoinHandle<()>) -> Self {
        Self(handle)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.abort();
    }
}
