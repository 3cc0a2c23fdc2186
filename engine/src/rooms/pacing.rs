//! How those who stream into rooms that are kept are slowed down to what can be written.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, select};

use super::living::LivingRoom;
use super::premises::Premises;
use crate::runs::attempt::Attempt;

/// Work that is not polled while more than half of what may wait to be written does. An agent that awaits anything now and
/// then so waits, instead of reaching the bound.
#[derive(Debug)]
pub(super) struct Paced<W> {
    work: W,
    /// Present in rooms that are kept.
    pace: Option<Pace>,
}

struct Pace {
    premises: Weak<Premises>,
    attempt: Arc<Attempt>,
    waits: Option<BoxFuture<'static, ()>>,
}

/// Ends when less waits to be written than now, or the attempt is cancelled. `None` if little waits.
fn wait(premises: &Premises, attempt: &Arc<Attempt>) -> Option<BoxFuture<'static, ()>> {
    let is_little = premises.journal.waiting_bytes() <= premises.limits.unwritten_bytes / 2;
    if is_little || attempt.cancelled.is_set() {
        return None;
    }
    let (confirmed, attempt) = (premises.journal.confirmed(), Arc::clone(attempt));
    let cancelled = async move { attempt.cancelled.wait().await };
    Some(select(confirmed, cancelled.boxed()).map(drop).boxed())
}

/// Ends when an attempt may stream more: in rooms that are not kept, at once.
pub(super) fn ready_for_more(
    premises: &Arc<Premises>,
    living: &LivingRoom,
    attempt: &Arc<Attempt>,
) -> BoxFuture<'static, ()> {
    let pace = Pace::of(premises, living, attempt);
    async move {
        if let Some(mut pace) = pace {
            std::future::poll_fn(|cx| pace.poll(cx)).await;
        }
    }
    .boxed()
}

impl Pace {
    fn of(premises: &Arc<Premises>, living: &LivingRoom, attempt: &Arc<Attempt>) -> Option<Self> {
        let of = || Self { premises: Arc::downgrade(premises), attempt: Arc::clone(attempt), waits: None };
        living.kept.is_some().then(of)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(waits) = &mut self.waits {
                ready!(waits.poll_unpin(cx));
            }
            self.waits = self.premises.upgrade().and_then(|premises| wait(&premises, &self.attempt));
            if self.waits.is_none() {
                return Poll::Ready(());
            }
        }
    }
}

impl<W> Paced<W> {
    pub(super) fn new(work: W, premises: &Arc<Premises>, living: &LivingRoom, attempt: &Arc<Attempt>) -> Self {
        Self { work, pace: Pace::of(premises, living, attempt) }
    }
}

impl<W: Future + Unpin> Future for Paced<W> {
    type Output = W::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<W::Output> {
        if let Some(pace) = &mut self.pace {
            ready!(pace.poll(cx));
        }
        self.work.poll_unpin(cx)
    }
}

impl std::fmt::Debug for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pace").field("attempt", &self.attempt).finish_non_exhaustive()
    }
}
