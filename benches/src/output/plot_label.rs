//! Labels of rows in plots.

use crate::result::row::Row;

/// The conditions of a row.
pub(crate) fn conditions(row: &Row) -> String {
    let (sessions, active) = (row.sessions.unwrap_or_default(), row.active.unwrap_or_default());
    format!("{} {}k@{active}%", conditions_without_size(row), f64::from(sessions) / 1e3)
}

/// The conditions of a row except its number of sessions.
pub(crate) fn conditions_without_size(row: &Row) -> String {
    let workload = row.workload.map_or("", |workload| workload.name().split('-').next().unwrap_or_default());
    let change = row.change.map_or(String::new(), |change| format!(" {}", change.name()));
    let gap = row.gap.map_or(String::new(), |gap| format!(" after {gap}"));
    format!("{workload} {}{change}{gap}", row.likeness.map_or("", |likeness| likeness.name()))
}
