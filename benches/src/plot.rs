//! Plots as SVG.

use plotters::coord::Shift;
use plotters::coord::ranged1d::{IntoSegmentedCoord, SegmentValue};
use plotters::prelude::*;

use crate::Failure;
use crate::row::Row;

const SIZE: (u32, u32) = (960, 540);
const FONT: (&str, u32) = ("sans-serif", 14);

/// One bar.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: f64,
}

/// One line.
pub(crate) struct Line {
    pub(crate) label: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Under which conditions a row was measured, in few letters.
pub(crate) fn conditions(row: &Row) -> String {
    let (sessions, active) = (row.sessions.unwrap_or_default(), row.active.unwrap_or_default());
    format!("{} {}k@{active}%", kind(row), f64::from(sessions) / 1e3)
}

/// What kind of row it is, whatever its size.
pub(crate) fn kind(row: &Row) -> String {
    let workload = row.workload.map_or("", |workload| workload.name().split('-').next().unwrap_or_default());
    let change = row.change.map_or(String::new(), |change| format!(" {change:?}").to_lowercase());
    let gap = row.gap.map_or(String::new(), |gap| format!(" after {gap}"));
    format!("{workload} {}{change}{gap}", row.likeness.map_or("", |likeness| likeness.name()))
}

/// Bars that lie side by side, the first on top.
pub(crate) fn bars(title: &str, bars: &[Bar]) -> Result<String, Failure> {
    let mut svg = String::new();
    let labels: Vec<&str> = bars.iter().rev().map(|bar| bar.label.as_str()).collect();
    let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    {
        let area = page(&mut svg)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, FONT)
            .margin(12)
            .x_label_area_size(28)
            .y_label_area_size(210)
            .build_cartesian_2d(0.0..most * 1.12, (0..labels.len().saturating_sub(1)).into_segmented())?;
        let label = |at: &SegmentValue<usize>| match at {
            SegmentValue::CenterOf(at) => labels.get(*at).map_or(String::new(), |label| (*label).to_owned()),
            SegmentValue::Exact(_) | SegmentValue::Last => String::new(),
        };
        chart
            .configure_mesh()
            .disable_y_mesh()
            .light_line_style(TRANSPARENT)
            .y_labels(labels.len())
            .y_label_formatter(&label)
            .draw()?;
        chart.draw_series(bars.iter().rev().enumerate().map(|(at, bar)| {
            let (from, to) = (SegmentValue::Exact(at), SegmentValue::Exact(at + 1));
            let mut bar = Rectangle::new([(0.0, from), (bar.value, to)], BLUE.mix(0.6).filled());
            bar.set_margin(3, 3, 0, 0);
            bar
        }))?;
        chart.draw_series(
            bars.iter().rev().enumerate().map(|(at, bar)| {
                Text::new(format!(" {:.1}", bar.value), (bar.value, SegmentValue::CenterOf(at)), FONT)
            }),
        )?;
        area.present()?;
    }
    Ok(svg)
}

/// Lines over a logarithmic x axis.
pub(crate) fn lines(title: &str, x: &str, lines: &[Line]) -> Result<String, Failure> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let low = points().map(|point| point.0).fold(f64::INFINITY, f64::min).clamp(1e-3, 1e12);
    let high = points().map(|point| point.0).fold(low * 2.0, f64::max);
    let floor = points().map(|point| point.1).fold(f64::INFINITY, f64::min).clamp(1e-3, 1e12);
    let top = points().map(|point| point.1).fold(floor * 2.0, f64::max);
    let mut svg = String::new();
    {
        let area = page(&mut svg)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, FONT)
            .margin(12)
            .margin_right(40)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d((low..high).log_scale(), (floor * 0.8..top * 1.25).log_scale())?;
        let number = |number: &f64| format!("{number}");
        chart
            .configure_mesh()
            .light_line_style(BLACK.mix(0.06))
            .x_label_formatter(&number)
            .y_label_formatter(&number)
            .x_desc(x)
            .draw()?;
        for (at, line) in lines.iter().enumerate() {
            let color = Palette99::pick(at).stroke_width(2);
            chart
                .draw_series(LineSeries::new(line.points.iter().copied(), color).point_size(3))?
                .label(line.label.as_str())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color));
        }
        chart.configure_series_labels().border_style(BLACK.mix(0.3)).background_style(WHITE.mix(0.8)).draw()?;
        area.present()?;
    }
    Ok(svg)
}

fn page(svg: &mut String) -> Result<DrawingArea<SVGBackend<'_>, Shift>, Failure> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(|error| error.to_string())?;
    Ok(area)
}
