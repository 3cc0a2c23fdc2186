//! `export` on `/tasks`: work that takes a while. It answers `accepted` at once and goes on under `/tasks`.

use std::time::Duration;

use grove_engine::{Action, ActionError, Estimate, Invocation, Task as Work};
use serde_json::{Value, json};

use super::actor::actor;
use crate::csv;
use crate::desk::Desk;
use crate::error::Result;
use crate::people::Person;
use crate::store::Task;

/// The most tasks that one file holds.
const MOST_ROWS: u64 = 100_000;
/// How many steps an export is made of.
const STEPS: usize = 20;
/// How long a step takes at least: it stands for the slow system that a real export would be waiting for.
const STEP: Duration = Duration::from_millis(100);

pub(super) fn action(desk: Desk) -> Action {
    Action::new_async("export", move |call: Invocation<()>| {
        let desk = desk.clone();
        async move {
            let session = call.session.clone();
            let person = desk.run(move |desk| actor(desk, &session)).await?;
            Ok::<_, ActionError>(call.start_task("Export tasks", |work| export(desk, person, work)))
        }
    })
    .label("Export as CSV")
    .description("Takes about two seconds. The text is in the result, and the page links to the file.")
    .estimate(Estimate::Async)
}

/// A cancelled export is dropped at one of its awaits: nothing has been written until the last one.
async fn export(desk: Desk, person: Person, work: Work) -> Result<Value, ActionError> {
    let owner = person.name.clone();
    let tasks = desk.run(move |desk| desk.store().tasks(&owner, 0, MOST_ROWS)).await?;
    let mut text = csv::header();
    for step in 0..STEPS {
        for task in share(&tasks, step) {
            csv::write_task(&mut text, task);
        }
        let done = (step + 1) as f64 / STEPS as f64;
        work.progress(done, format!("{} of {} tasks", rows_after(&tasks, step), tasks.len()));
        tokio::time::sleep(STEP).await;
    }
    let rows = tasks.len() as u64;
    let kept = text.clone();
    let id = desk.run(move |desk| desk.add_export(&person, rows, &kept)).await?;
    Ok(json!({ "id": id.to_string(), "rows": rows, "csv": text }))
}

/// The tasks that a step writes.
fn share(tasks: &[Task], step: usize) -> &[Task] {
    let before = step.checked_sub(1).map_or(0, |earlier| rows_after(tasks, earlier));
    &tasks[before..rows_after(tasks, step)]
}

fn rows_after(tasks: &[Task], step: usize) -> usize {
    tasks.len() * (step + 1) / STEPS
}
