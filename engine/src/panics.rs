//! Panics of the application's code. Each ends where the engine called the code, or where it dropped one of its values.

pub(crate) mod guarded;

pub(crate) mod caught;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs code of the application.
///
/// # Errors
/// The text of its panic, for the log.
pub(crate) fn catch<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(into_sentence)
}

fn into_sentence(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let sentence = format!("panicked: {}", text.unwrap_or("(no message)"));
    // What was thrown is the application's as well, and may panic when it is dropped.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
    sentence
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    /// Panics when it is dropped.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic_any(Self);
        }
    }

    #[test]
    fn the_text_of_a_panic_is_told_whatever_was_thrown() {
        assert_eq!(catch(|| 7), Ok(7));
        assert_eq!(catch(|| panic!("one")), Err::<(), _>("panicked: one".to_owned()));
        assert_eq!(catch(|| panic!("{}", "two")), Err::<(), _>("panicked: two".to_owned()));
        assert_eq!(catch(|| panic_any(Bomb)), Err::<(), _>("panicked: (no message)".to_owned()));
    }
}
