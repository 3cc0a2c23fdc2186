//! Lines on logarithmic axes.

use std::ops::Range;

use plotters::prelude::*;

use super::page::{self, FONT};
use crate::failure::Failure;

/// One line.
pub(crate) struct Line {
    pub(crate) label: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Lines on logarithmic axes.
pub(crate) fn lines(title: &str, x_title: &str, lines: &[Line]) -> Result<String, Failure> {
    let mut svg = String::new();
    draw(title, x_title, lines, &mut svg)?;
    Ok(svg)
}

fn draw(title: &str, x_title: &str, lines: &[Line], svg: &mut String) -> Result<(), Failure> {
    let area = page::empty(svg)?;
    let x = range(lines, |point| point.0);
    let y = range(lines, |point| point.1);
    let mut chart = ChartBuilder::on(&area)
        .caption(title, FONT)
        .margin(12)
        .margin_right(40)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(x.log_scale(), (y.start * 0.8..y.end * 1.25).log_scale())?;
    let number = |number: &f64| format!("{number}");
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(BLACK.mix(0.06)).x_label_formatter(&number).y_label_formatter(&number);
    mesh.x_desc(x_title).draw()?;
    for (at, line) in lines.iter().enumerate() {
        let color = Palette99::pick(at).stroke_width(2);
        let series = LineSeries::new(line.points.iter().copied(), color).point_size(3);
        let legend = chart.draw_series(series)?.label(line.label.as_str());
        legend.legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color));
    }
    chart.configure_series_labels().border_style(BLACK.mix(0.3)).background_style(WHITE.mix(0.8)).draw()?;
    area.present()?;
    Ok(())
}

/// The range of one coordinate, within what a logarithmic axis can show.
fn range(lines: &[Line], coordinate: fn(&(f64, f64)) -> f64) -> Range<f64> {
    let values = || lines.iter().flat_map(|line| &line.points).map(coordinate);
    let low = values().fold(f64::INFINITY, f64::min).clamp(1e-3, 1e12);
    low..values().fold(low * 2.0, f64::max)
}
