//! A value of the application's that may panic when it is dropped.

use std::fmt;
use std::ops::Deref;
use std::sync::{OnceLock, Weak};

use super::catch;

/// Who is told of a value that panicked while it was dropped.
pub(crate) trait DropObserver: Send + Sync {
    /// `why` is the text of the panic, for the log.
    fn panicked_in_drop(&self, why: String);
}

/// The engine to which a value belongs. It holds the value, so it is held weakly.
#[derive(Clone)]
pub(crate) struct Owner(Weak<dyn DropObserver>);

impl Owner {
    pub(crate) fn new(observer: Weak<dyn DropObserver>) -> Self {
        Self(observer)
    }

    fn report(&self, why: String) {
        match self.0.upgrade() {
            Some(observer) => observer.panicked_in_drop(why),
            None => log(&why),
        }
    }
}

/// A value of the application's: a closure with all that it holds, or a session's data. If it panics while it is dropped,
/// the panic ends here: whoever lets go of it goes on, and so does the drop of whatever stands beside it. Two panics while
/// one value is dropped abort the process, as the language has it.
pub(crate) struct Guarded<T> {
    /// Present until it is dropped.
    value: Option<T>,
    owner: OnceLock<Owner>,
}

impl<T> Guarded<T> {
    /// A value that belongs to no engine yet.
    pub(crate) const fn new(value: T) -> Self {
        Self { value: Some(value), owner: OnceLock::new() }
    }

    /// The engine that is told of a panic. The first one counts.
    pub(crate) fn belongs_to(&self, owner: &Owner) {
        self.owner.get_or_init(|| owner.clone());
    }

    pub(crate) fn owner(&self) -> Option<&Owner> {
        self.owner.get()
    }
}

impl<T> Deref for Guarded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("a value is present until it is dropped")
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        let value = self.value.take();
        discard(value, self.owner.get());
    }
}

/// Drops a value of the application's. A panic goes to its owner, or to the log.
pub(crate) fn discard<T>(value: T, owner: Option<&Owner>) {
    if let Err(why) = catch(|| drop(value)) {
        match owner {
            Some(owner) => owner.report(why),
            None => log(&why),
        }
    }
}

fn log(why: &str) {
    tracing::error!(target: "grove", why, "a value of the application's panicked while it was dropped");
}

impl<T> fmt::Debug for Guarded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").finish_non_exhaustive()
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").finish_non_exhaustive()
    }
}
