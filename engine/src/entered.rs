//! In which functions of the application the current thread is, where it matters: an observer that waits for a pass may
//! block the thread that would have to render it, and a predicate that asks by a predicate asks for ever.

use std::cell::RefCell;

use crate::sync;

/// A kind of function of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Observer,
    Predicate,
}

sync::thread_local! {
    // The scheduler's stand-in takes no constant.
    #[allow(clippy::missing_const_for_thread_local)]
    static STACK: RefCell<Vec<(usize, Function)>> = RefCell::new(Vec::new());
}

/// Held while a function runs on this thread.
struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        // It may be dropped when the thread ends.
        let _ = STACK.try_with(|stack| stack.borrow_mut().pop());
    }
}

/// Runs a function of an application; `engine` is a number of its engine's own.
pub(crate) fn within<T>(engine: usize, function: Function, run: impl FnOnce() -> T) -> T {
    let _entered = STACK.try_with(|stack| stack.borrow_mut().push((engine, function))).map(|()| Entered);
    run()
}

/// Whether the current thread is in the middle of such a function.
pub(crate) fn is_in(engine: usize, function: Function) -> bool {
    STACK.try_with(|stack| stack.borrow().contains(&(engine, function))).unwrap_or(false)
}

// What a scheduler's threads have of their own exists only in a scheduled run.
#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    #[test]
    fn a_function_counts_for_its_own_engine_until_it_returns_or_panics() {
        let inside = within(1, Function::Observer, || {
            within(1, Function::Predicate, || {
                within(2, Function::Observer, || {
                    [(1, Function::Observer), (1, Function::Predicate), (2, Function::Predicate)]
                        .map(|(at, what)| is_in(at, what))
                })
            })
        });
        assert_eq!(inside, [true, true, false]);
        let panicked = crate::panics::catch(|| within(1, Function::Observer, || panic!("boom")));
        assert!(panicked.is_err() && !is_in(1, Function::Observer));
    }
}
