//! How results are shown.

use clap::Args;

/// How results are shown.
#[derive(Args, Clone, Copy, Default)]
pub(crate) struct OutputOptions {
    /// Print one JSON object on standard output, and everything else on standard error
    #[arg(long)]
    pub(crate) json: bool,
}
