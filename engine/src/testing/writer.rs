//! When a consumer asks its connection for the next frame.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::connection::Connection;
use crate::deliver::frame::Frame;
use crate::sync::{AtomicBool, AtomicWaker, Ordering};

/// The writer of one connection, which asks for frames only when it was woken, as the task of a socket does. So a wake
/// that is lost is a frame that never comes.
#[derive(Debug)]
pub(super) struct Writer {
    wakes: Arc<Wakes>,
    waker: Waker,
}

#[derive(Debug)]
struct Wakes {
    /// Whether there was a wake since the connection last had nothing.
    woken: AtomicBool,
    /// Whoever waits for the next frame.
    task: AtomicWaker,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.task.wake();
    }
}

impl Writer {
    /// The writer of a new connection, which asks once without being woken.
    pub(super) fn new() -> Self {
        let wakes = Arc::new(Wakes { woken: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { waker: Waker::from(Arc::clone(&wakes)), wakes }
    }

    /// The next frame, if there was a wake and there is one.
    pub(super) fn next_if_woken(&self, connection: &Connection) -> Option<Frame> {
        if !self.wakes.woken.swap(false, Ordering::SeqCst) {
            return None;
        }
        match connection.poll_next_frame(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(frame) => {
                // It is asked again without a wake until it has nothing.
                self.wakes.woken.store(true, Ordering::SeqCst);
                Some(frame)
            }
            Poll::Pending => None,
        }
    }

    /// The next frame; if there is none, the task is woken when there is a wake.
    pub(super) fn poll_next(&self, connection: &Connection, context: &Context<'_>) -> Poll<Frame> {
        self.wakes.task.register(context.waker());
        self.next_if_woken(connection).map_or(Poll::Pending, Poll::Ready)
    }
}
