//! Locks, atomics, signals and tasks by the names under which the engine uses them where their order matters.
//!
//! They are those of `parking_lot`, the standard library, `event-listener` and tokio. In the crate's own tests with the
//! feature `shuttle` they are stand-ins whose every step is put in order by a scheduler, which `concurrency.rs` lets try
//! thousands of orders. What an application links is never changed.

#[cfg(all(test, feature = "shuttle"))]
mod scheduled;
#[cfg(not(all(test, feature = "shuttle")))]
mod threads;

#[cfg(all(test, feature = "shuttle"))]
pub(crate) use scheduled::*;

#[cfg(not(all(test, feature = "shuttle")))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering};

#[cfg(not(all(test, feature = "shuttle")))]
pub(crate) use event_listener::{Event as Signal, EventListener as Listening};
#[cfg(not(all(test, feature = "shuttle")))]
pub(crate) use futures_util::task::AtomicWaker;
#[cfg(not(all(test, feature = "shuttle")))]
pub(crate) use parking_lot::{Mutex, RwLock};
#[cfg(not(all(test, feature = "shuttle")))]
pub(crate) use tokio::runtime::Handle as Runtime;
#[cfg(not(all(test, feature = "shuttle")))]
pub(crate) use tokio::task::AbortHandle;

#[cfg(not(all(test, feature = "shuttle")))]
pub(crate) use threads::Threads;

#[cfg(not(all(test, feature = "shuttle")))]
pub(crate) use std::thread_local;

/// Blocks the thread until the signal is given, or half a millisecond has passed.
#[cfg(not(all(test, feature = "shuttle")))]
pub(crate) fn wait_briefly(signal: Listening) {
    event_listener::Listener::wait_timeout(signal, std::time::Duration::from_micros(500));
}
