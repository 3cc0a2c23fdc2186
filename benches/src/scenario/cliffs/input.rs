//! One kind of input.

use futures_util::future::LocalBoxFuture;

use crate::failure::Failure;

/// How long one operation takes with n of something, in us: the least of several attempts.
type Measure = fn(usize) -> LocalBoxFuture<'static, Result<f64, Failure>>;

/// One kind of input.
pub(super) struct Input {
    /// What there are n of.
    pub(super) name: &'static str,
    /// From the smallest to the largest, each about eight times the one before.
    pub(super) sizes: &'static [usize],
    /// Whether it must not cost more than in proportion; what is not mended yet is only printed.
    pub(super) is_mended: bool,
    pub(super) measure: Measure,
}

impl Input {
    pub(super) const fn new(name: &'static str, sizes: &'static [usize], measure: Measure) -> Self {
        Self { name, sizes, is_mended: true, measure }
    }

    pub(super) const fn not_mended(self) -> Self {
        Self { is_mended: false, ..self }
    }
}
