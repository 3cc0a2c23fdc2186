//! Plots as SVG.

mod bar_chart;
mod line_chart;
mod page;

pub(crate) use self::bar_chart::{Bar, bars};
pub(crate) use self::line_chart::{Line, lines};
