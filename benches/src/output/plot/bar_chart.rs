//! Horizontal bars.

use plotters::coord::ranged1d::{IntoSegmentedCoord, SegmentValue};
use plotters::prelude::*;

use super::page::{self, FONT};
use crate::failure::Failure;

/// One bar.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: f64,
}

impl Bar {
    fn rectangle(&self, at: usize) -> Rectangle<(f64, SegmentValue<usize>)> {
        let (from, to) = (SegmentValue::Exact(at), SegmentValue::Exact(at + 1));
        let mut rectangle = Rectangle::new([(0.0, from), (self.value, to)], BLUE.mix(0.6).filled());
        rectangle.set_margin(3, 3, 0, 0);
        rectangle
    }

    fn figure(&self, at: usize) -> Text<'static, (f64, SegmentValue<usize>), String> {
        Text::new(format!(" {:.1}", self.value), (self.value, SegmentValue::CenterOf(at)), FONT)
    }
}

/// Horizontal bars, the first one on top.
pub(crate) fn bars(title: &str, bars: &[Bar]) -> Result<String, Failure> {
    let mut svg = String::new();
    draw(title, bars, &mut svg)?;
    Ok(svg)
}

fn draw(title: &str, bars: &[Bar], svg: &mut String) -> Result<(), Failure> {
    let longest = bars.iter().map(|bar| bar.value).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    // Plotters counts from below.
    let upwards: Vec<&Bar> = bars.iter().rev().collect();
    let label = |at: &SegmentValue<usize>| match at {
        SegmentValue::CenterOf(at) => upwards.get(*at).map_or(String::new(), |bar| bar.label.clone()),
        SegmentValue::Exact(_) | SegmentValue::Last => String::new(),
    };
    let area = page::empty(svg)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, FONT)
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(210)
        .build_cartesian_2d(0.0..longest * 1.12, (0..upwards.len().saturating_sub(1)).into_segmented())?;
    let mut mesh = chart.configure_mesh();
    mesh.disable_y_mesh().light_line_style(TRANSPARENT).y_labels(upwards.len()).y_label_formatter(&label).draw()?;
    chart.draw_series(upwards.iter().enumerate().map(|(at, bar)| bar.rectangle(at)))?;
    chart.draw_series(upwards.iter().enumerate().map(|(at, bar)| bar.figure(at)))?;
    area.present()?;
    Ok(())
}
