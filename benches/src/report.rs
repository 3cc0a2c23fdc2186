//! The report of a suite: tables on the console, JSON and plots as files.

use std::io::Write as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use crate::benchmark;
use crate::cli::output_options::OutputOptions;
use crate::failure::Failure;
use crate::measure::stopwatch::Stopwatch;
use crate::output::table;
use crate::plan::benchmark::Benchmark;
use crate::plan::cell::Cell;
use crate::result::goal::{Bound, Goal};
use crate::result::row::Row;
use crate::results_folder::folder;

/// Rows as they come in, and a progress bar.
pub(crate) struct Report {
    name: &'static str,
    output: OutputOptions,
    progress: ProgressBar,
    rows: Vec<(Benchmark, Row)>,
    start: Stopwatch,
}

impl Report {
    /// Starts the report of this many cells.
    pub(crate) fn start(name: &'static str, output: OutputOptions, cells: usize) -> Self {
        let progress = ProgressBar::new(cells as u64);
        let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {elapsed} {msg}");
        progress.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        progress.enable_steady_tick(Duration::from_millis(200));
        Self { name, output, progress, rows: Vec::new(), start: Stopwatch::start() }
    }

    /// Shows which cell is measured now.
    pub(crate) fn show_progress(&self, cell: &Cell) {
        self.progress.set_message(cell.title());
    }

    pub(crate) fn add(&mut self, benchmark: Benchmark, row: Row) {
        self.rows.push((benchmark, row));
        self.progress.inc(1);
    }

    /// Shows and writes everything. Returns whether every check passed.
    pub(crate) fn finish(self) -> Result<bool, Failure> {
        self.progress.finish_and_clear();
        let mut text = String::new();
        for benchmark in Benchmark::ALL {
            let of_benchmark = self.rows.iter().filter(|(of, _)| *of == benchmark);
            let rows: Vec<Row> = of_benchmark.map(|(_, row)| row.clone()).collect();
            if !rows.is_empty() {
                self.write_files(benchmark, &rows)?;
                text += &section(benchmark, &rows);
            }
        }
        let (seconds, folder) = (self.start.elapsed().as_secs(), folder()?);
        text += &format!("\nTook {seconds} s. JSON and plots are in {}.\n", folder.display());
        self.show(&text)?;
        Ok(self.rows.iter().all(|(_, row)| row.problems.is_empty()))
    }

    /// Writes the JSON and the plot of one benchmark.
    fn write_files(&self, benchmark: Benchmark, rows: &[Row]) -> Result<(), Failure> {
        let folder = folder()?;
        let alone = self.name == benchmark.name();
        let name = if alone { self.name.to_owned() } else { format!("{}-{}", benchmark.name(), self.name) };
        // The keys are published.
        let object = json!({"question": benchmark.name(), "rows": rows});
        std::fs::write(folder.join(format!("{name}.json")), serde_json::to_string_pretty(&object)?)?;
        std::fs::write(folder.join(format!("{name}.svg")), benchmark::plot(benchmark, rows)?)?;
        Ok(())
    }

    fn show(&self, text: &str) -> Result<(), Failure> {
        if !self.output.json {
            std::io::stdout().lock().write_all(text.as_bytes())?;
            return Ok(());
        }
        std::io::stderr().lock().write_all(text.as_bytes())?;
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, &self.object()?)?;
        out.write_all(b"\n")?;
        Ok(())
    }

    /// One object: the fields of the only row, or all rows.
    fn object(&self) -> Result<Value, Failure> {
        let rows = self.rows.iter().map(|(_, row)| serde_json::to_value(row)).collect::<Result<Vec<_>, _>>()?;
        let mut object = match rows.as_slice() {
            [Value::Object(only)] => only.clone(),
            _ => Map::from_iter([("rows".to_owned(), Value::Array(rows))]),
        };
        object.insert("question".to_owned(), self.name.into());
        Ok(Value::Object(object))
    }
}

/// The printed section of one benchmark.
fn section(benchmark: Benchmark, rows: &[Row]) -> String {
    let (name, description, table) = (benchmark.name(), benchmark.description(), table::of(benchmark, rows));
    let goals = rows.iter().flat_map(|row| Goal::of(row).into_iter().map(|goal| goal_line(row, &goal)));
    let problems = rows.iter().flat_map(|row| row.problems.iter().map(|problem| format!("FAILED: {problem}\n")));
    let lines: String = goals.chain(problems).collect();
    format!("\n{name}\n\n{description}\n\n{table}{lines}")
}

fn goal_line(row: &Row, goal: &Goal) -> String {
    let Goal { name, bound, measured } = goal;
    let verdict = if goal.is_met() { "goal met" } else { "GOAL MISSED" };
    let sessions = row.sessions.unwrap_or_default();
    let bound = match bound {
        Bound::AtMost(bound) => format!("at most {bound}"),
        Bound::AtLeast(bound) => format!("at least {bound}"),
    };
    format!("{verdict}: {name} at {sessions} sessions: {measured:.2}, goal {bound}\n")
}
