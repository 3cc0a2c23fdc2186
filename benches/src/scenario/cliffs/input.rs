//! One kind of input.

use futures_util::future::LocalBoxFuture;

use crate::failure::Failure;

/// What one operation costs with n of something.
type Measure = fn(usize) -> LocalBoxFuture<'static, Result<f64, Failure>>;

/// What is measured, and how it may grow with n.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// The least time of several attempts, in us: as n log n.
    Time,
    /// How often something is done: the same for every n.
    ConstantWork,
}

/// One kind of input.
pub(super) struct Input {
    /// What there are n of.
    pub(super) name: &'static str,
    /// From the smallest to the largest, each about eight times the one before.
    pub(super) sizes: &'static [usize],
    pub(super) cost: Cost,
    pub(super) measure: Measure,
}

impl Input {
    pub(super) const fn new(name: &'static str, sizes: &'static [usize], measure: Measure) -> Self {
        Self { name, sizes, cost: Cost::Time, measure }
    }

    pub(super) const fn of_constant_work(name: &'static str, sizes: &'static [usize], measure: Measure) -> Self {
        Self { name, sizes, cost: Cost::ConstantWork, measure }
    }
}
