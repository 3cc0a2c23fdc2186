//! Which descriptor functions the current thread is in the middle of.
//!
//! A function that refreshes is evaluated again for it, for ever; one that waits for the refresh waits for itself.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::model::Text;
use crate::model::path;
use crate::sync;

sync::thread_local! {
    // The scheduler's stand-in takes no constant.
    #[allow(clippy::missing_const_for_thread_local)]
    static STACK: RefCell<Vec<(usize, Text)>> = RefCell::new(Vec::new());
}

/// Held while a descriptor function of an engine runs on this thread.
struct Entered;

impl Entered {
    fn new(engine: usize, path: &Text) -> Self {
        STACK.with(|stack| stack.borrow_mut().push((engine, path.clone())));
        Self
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        STACK.with(|stack| drop(stack.borrow_mut().pop()));
    }
}

/// Runs a descriptor function, or a part of one.
pub(super) fn within<T>(engine: usize, path: &Text, run: impl FnOnce() -> T) -> T {
    let _entered = Entered::new(engine, path);
    run()
}

/// The path, as consumers write it, whose function this engine evaluates on this thread.
pub(super) fn path(engine: usize) -> Option<String> {
    let innermost = |stack: &RefCell<Vec<(usize, Text)>>| {
        let stack = stack.borrow();
        let (_, path) = stack.iter().rev().find(|(known, _)| *known == engine)?;
        Some(path::absolute(path))
    };
    // An application value may ask when the thread has ended.
    STACK.try_with(innermost).ok().flatten()
}

/// A future of a descriptor function.
pub(super) struct Within<F> {
    pub(super) engine: usize,
    pub(super) path: Text,
    pub(super) future: F,
}

impl<F: Future + Unpin> Future for Within<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        within(this.engine, &this.path, || Pin::new(&mut this.future).poll(context))
    }
}

// What a scheduler's threads have of their own exists only in a scheduled run.
#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_function_of_the_same_engine_counts_and_none_after_a_panic() {
        within(1, &"a/b".into(), || {
            let inner = || within(2, &"c".into(), || (path(1), path(2), path(3)));
            assert_eq!(inner(), (Some("/a/b".to_owned()), Some("/c".to_owned()), None));
            assert_eq!(path(2), None);
        });
        let panicked = crate::panics::catch(|| within(1, &"a".into(), || panic!("boom")));
        assert_eq!((panicked, path(1)), (Err("panicked: boom".to_owned()), None));
    }
}
