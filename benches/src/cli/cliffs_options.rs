//! Options of `cliffs`.

use clap::Args;

/// How large the inputs are.
#[derive(Args, Clone, Copy)]
pub(crate) struct CliffsOptions {
    /// Leave out the largest size of each input
    #[arg(long)]
    pub(crate) short: bool,
}

impl CliffsOptions {
    pub(super) const DESCRIPTION: &str = "\
Gives the engine inputs of several sizes that once cost more than in proportion: properties of a node,
filter types, registered paths, reads, budgets, sessions, operations of a tab. Prints how long each
size takes per n log n, and fails if that grows more than fourfold from the smallest size to the
largest.";
}
