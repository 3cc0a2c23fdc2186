//! Rows as a table.

use super::columns;
use crate::plan::benchmark::Benchmark;
use crate::result::row::Row;

/// The table of a benchmark's rows, without columns that no row fills.
pub(crate) fn of(benchmark: Benchmark, rows: &[Row]) -> String {
    let columns: Vec<Vec<String>> = columns::of(benchmark).filter_map(|column| filled(column, rows)).collect();
    let widths: Vec<usize> = columns.iter().map(|column| column.iter().map(String::len).max().unwrap_or(0)).collect();
    let line = |at: usize| {
        let cells = columns.iter().zip(&widths).map(|(column, width)| format!("{:>width$}", column[at]));
        cells.collect::<Vec<_>>().join("  ")
    };
    (0..=rows.len()).map(|at| line(at) + "\n").collect()
}

/// The title and the cells of a column, if any row fills it.
fn filled((title, show): &columns::Column, rows: &[Row]) -> Option<Vec<String>> {
    let cells: Vec<Option<String>> = rows.iter().map(show).collect();
    if cells.iter().all(Option::is_none) {
        return None;
    }
    let cells = cells.into_iter().map(|cell| cell.unwrap_or_else(|| "-".to_owned()));
    Some(std::iter::once((*title).to_owned()).chain(cells).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_shown_if_any_row_fills_it() {
        let rows = [
            Row { sessions: Some(1_000), p99_ms: Some(2.5), ..Row::default() },
            Row { sessions: Some(10_000), ..Row::default() },
        ];
        assert_eq!(of(Benchmark::Connect, &rows), "sessions  p99 ms\n   1,000    2.50\n  10,000       -\n");
    }

    #[test]
    fn memory_figures_stand_beside_their_allocator() {
        let row = Row { allocator: Some("jemalloc".to_owned()), heap_bytes_after: Some(5.0), ..Row::default() };
        assert_eq!(of(Benchmark::Churn, &[row]), "allocator  heap after\n jemalloc           5\n");
    }
}
