//! One kind of input.

use futures_util::future::LocalBoxFuture;

use crate::failure::Failure;

/// One kind of input.
pub(super) struct Input {
    /// What there are n of.
    pub(super) name: &'static str,
    /// From the smallest to the largest, each at least eight times the one before.
    pub(super) sizes: &'static [usize],
    /// Whether it must not cost more; what is not mended yet is only printed.
    pub(super) is_mended: bool,
    /// How long one operation takes with n of them, in us: the least of several attempts.
    pub(super) measure: fn(usize) -> LocalBoxFuture<'static, Result<f64, Failure>>,
}
