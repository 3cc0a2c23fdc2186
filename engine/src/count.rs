//! How much there is of something, kept up to date by whoever adds or removes.

use crate::sync::{AtomicUsize, Ordering};

/// A number that many add to.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicUsize);

impl Count {
    pub(crate) fn add(&self, more: usize) {
        if more > 0 {
            self.0.fetch_add(more, Ordering::Relaxed);
        }
    }

    pub(crate) fn subtract(&self, less: usize) {
        if less > 0 {
            self.0.fetch_sub(less, Ordering::Relaxed);
        }
    }

    /// The number. Who removes may be seen before who added: then there is nothing.
    pub(crate) fn get(&self) -> usize {
        usize::try_from(self.0.load(Ordering::Relaxed).cast_signed()).unwrap_or(0)
    }
}
