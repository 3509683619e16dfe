//! Isolates the work on one record: its panic does not end the work on all others.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// A bug ended the work on a record. The record's content is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work on the record ended in a bug")]
pub struct Panicked;

/// Runs the work on one record, and turns its panic into an error.
///
/// # Errors
/// [`Panicked`]. The work may have left its changes half done: their owner must tolerate that.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_all_else_a_result() {
        assert_eq!(caught(|| 1), Ok(1));
        let words: Vec<&str> = Vec::new();
        assert_eq!(caught(|| words[1]), Err(Panicked));
    }
}
