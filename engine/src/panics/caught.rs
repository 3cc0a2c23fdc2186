//! A future of the application's that may panic when it is polled or dropped.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::catch;
use super::guarded::{Owner, discard};

/// A future of the application's. Its output, or the text of the panic that ended it, for the log. If it panics while it is
/// dropped, finished or not, its owner is told, and the output stands.
pub(crate) struct Caught<F> {
    /// Present until it has ended.
    future: Option<F>,
    owner: Option<Owner>,
}

impl<F> Caught<F> {
    pub(crate) const fn new(future: F, owner: Option<Owner>) -> Self {
        Self { future: Some(future), owner }
    }

    fn end(&mut self) {
        let future = self.future.take();
        discard(future, self.owner.as_ref());
    }
}

impl<F: Future + Unpin> Future for Caught<F> {
    type Output = Result<F::Output, String>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.future.as_mut().expect("a future is not polled after its end");
        let ended = match catch(|| Pin::new(future).poll(context)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(why) => Err(why),
        };
        self.end();
        Poll::Ready(ended)
    }
}

impl<F> Drop for Caught<F> {
    fn drop(&mut self) {
        self.end();
    }
}
