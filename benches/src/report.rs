//! Shows the answer: a table for people, JSON for programs, a plot for the documents.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use crate::cell::Cell;
use crate::question::Question;
use crate::row::Row;
use crate::stopwatch::Moment;
use crate::{Failure, goals, table};

/// The answer as it comes in.
pub(crate) struct Report {
    name: String,
    json: bool,
    bar: ProgressBar,
    rows: Vec<(Question, Row)>,
    start: Moment,
}

impl Report {
    /// For an answer of this many measurements; the peer's are not counted.
    pub(crate) fn begin(name: &str, json: bool, cells: usize) -> Self {
        let bar = ProgressBar::new(cells as u64);
        let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {elapsed} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { name: name.to_owned(), json, bar, rows: Vec::new(), start: Moment::now() }
    }

    /// Says what is measured now.
    pub(crate) fn next(&self, cell: &Cell) {
        self.bar.set_message(cell.title());
    }

    pub(crate) fn add(&mut self, question: Question, row: Row) {
        self.rows.push((question, row));
        self.bar.inc(1);
    }

    /// Shows everything. True if everything happened as it had to.
    pub(crate) fn end(self) -> Result<bool, Failure> {
        self.bar.finish_and_clear();
        let mut text = String::new();
        for question in Question::EACH {
            let rows: Vec<Row> =
                self.rows.iter().filter(|(of, _)| *of == question).map(|(_, row)| row.clone()).collect();
            if rows.is_empty() {
                continue;
            }
            self.keep(question, &rows)?;
            text += &format!("\n{}\n\n{}\n\n{}", question.name(), question.prose(), table::of(question, &rows));
            rows.iter().for_each(|row| text += &verdicts(row));
        }
        text += &format!("\n{} s; JSON and plots are in {}\n", self.start.elapsed().as_secs(), folder()?.display());
        self.show(&text)?;
        Ok(self.rows.iter().all(|(_, row)| row.problems.is_empty()))
    }

    /// Writes the JSON and the plot of one question.
    fn keep(&self, question: Question, rows: &[Row]) -> Result<(), Failure> {
        let folder = folder()?;
        let alone = self.name == question.name();
        let name = if alone { self.name.clone() } else { format!("{}-{}", question.name(), self.name) };
        let object = json!({"question": question.name(), "rows": rows});
        std::fs::write(folder.join(format!("{name}.json")), serde_json::to_string_pretty(&object)?)?;
        std::fs::write(folder.join(format!("{name}.svg")), question.draw(rows)?)?;
        Ok(())
    }

    fn show(&self, text: &str) -> Result<(), Failure> {
        if !self.json {
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
        object.insert("question".to_owned(), self.name.as_str().into());
        Ok(Value::Object(object))
    }
}

/// Which goals a row meets, and what went wrong.
fn verdicts(row: &Row) -> String {
    let goals = goals::of(row).into_iter().map(|goal| {
        let verdict = if goal.is_met() { "met" } else { "MISSED" };
        let sessions = row.sessions.unwrap_or_default();
        format!("{verdict}: {} at {sessions}: {:.2} of at most {}\n", goal.what, goal.measured, goal.at_most)
    });
    let problems = row.problems.iter().map(|problem| format!("WRONG: {problem}\n"));
    goals.chain(problems).collect()
}

/// Where results are kept.
fn folder() -> Result<PathBuf, Failure> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Says something to the person who waits, beside the answer.
pub(crate) fn remark(words: &str) {
    // Nothing can be done about a closed standard error.
    let _ = writeln!(std::io::stderr(), "{words}");
}

/// Says why there is no answer.
pub(crate) fn complain(failure: &dyn std::error::Error) {
    remark(&format!("grove-bench: {failure}"));
}
