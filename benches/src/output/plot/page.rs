//! The page that every plot is drawn on.

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::failure::Failure;

const SIZE: (u32, u32) = (960, 540);

pub(super) const FONT: (&str, u32) = ("sans-serif", 14);

/// An empty page that writes to `svg`.
pub(super) fn empty(svg: &mut String) -> Result<DrawingArea<SVGBackend<'_>, Shift>, Failure> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(|error| error.to_string())?;
    Ok(area)
}
