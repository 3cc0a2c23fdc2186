//! What is shown: lines on the console, tables and plots.

mod columns;
pub(crate) mod console;
mod number;
pub(crate) mod plot;
pub(crate) mod plot_label;
pub(crate) mod table;
