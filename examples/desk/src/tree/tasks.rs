//! `/tasks`: what the person has to do, the pressing first.
//!
//! The engine shows running exports here too, behind the person's own tasks and under ids like `task-3`, which no
//! [`TaskId`] can be. They are not counted: `count`, the summary and the window speak of the person's own tasks.

use std::sync::Arc;

use grove_engine::{Action, ActionError, Descriptor, Estimate, Invocation, Item, Outcome, Session};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::actor::{actor, id, user};
use super::export;
use super::source::{item_by_id, source, window};
use crate::clock::Day;
use crate::desk::Desk;
use crate::due::Due;
use crate::error::Result;
use crate::id::TaskId;
use crate::session::WRITE;
use crate::store::{Task, TaskCounts};

/// How many tasks the tree holds. They are in order, so what is beyond is not due, or done.
const SHOWN: u64 = 50;

/// What can be done with the list, and with one task.
struct Actions {
    add: Action,
    export: Action,
    toggle: Action,
    rename: Action,
    delete: Action,
}

#[derive(Deserialize, JsonSchema)]
struct Add {
    /// What is to be done, on one line.
    title: String,
    /// The day by which, as 2026-03-09.
    due: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct Rename {
    /// The new title, on one line.
    title: String,
}

pub(super) fn register(desk: &Desk) {
    let actions = Arc::new(Actions::new(desk));
    let (shown, listed) = (Arc::clone(&actions), Arc::clone(&actions));
    let tasks = source(desk, move |desk, session| show(desk, session, &shown))
        .on_window(window(desk, move |desk, session, offset, count| items(desk, session, offset, count, &listed)))
        .on_item(item_by_id(desk, move |desk, session, id| one(desk, session, id, &actions)));
    desk.engine().register_source("tasks", tasks);
}

fn show(desk: &Desk, session: &Session, actions: &Actions) -> Result<Descriptor> {
    let counts = desk.store().task_counts(user(session), Day::today())?;
    let items = items(desk, session, 0, SHOWN, actions)?;
    let list = Descriptor::collection()
        .prop("label", "Tasks")
        .prop("count", counts.total)
        .prop("open", counts.open)
        .summary(summary(counts))
        .salience(if counts.overdue + counts.due_today > 0 { 0.9 } else { 0.6 });
    let list = if session.can(WRITE) { list.action(&actions.add).action(&actions.export) } else { list };
    Ok(if (items.len() as u64) < counts.total { list.window(0, counts.total, items) } else { list.items(items) })
}

fn summary(counts: TaskCounts) -> String {
    let TaskCounts { open, overdue, due_today, .. } = counts;
    format!("{open} open, {overdue} overdue, {due_today} due today")
}

fn items(desk: &Desk, session: &Session, offset: u64, count: u64, actions: &Actions) -> Result<Vec<Item>> {
    let offered = session.can(WRITE).then_some(actions);
    let today = Day::today();
    let tasks = desk.store().tasks(user(session), offset, count)?;
    Ok(tasks.iter().map(|task| item(task, today, offered)).collect())
}

fn one(desk: &Desk, session: &Session, id: TaskId, actions: &Actions) -> Result<Option<Item>> {
    let task = desk.store().task(user(session), id)?;
    Ok(task.map(|task| item(&task, Day::today(), session.can(WRITE).then_some(actions))))
}

fn item(task: &Task, today: Day, offered: Option<&Actions>) -> Item {
    let due = Due::of(task, today);
    let mut item = Item::new(task.id.to_string())
        .prop("title", task.title.as_str())
        .prop("done", task.done)
        .prop("priority", task.priority.as_str())
        .prop("status", due.as_str())
        .salience(due.salience(task.priority));
    if let Some(day) = task.due {
        item = item.prop("due", day.to_string());
    }
    if let Some(urgency) = due.urgency() {
        item = item.urgency(urgency);
    }
    if let Some(reason) = due.reason() {
        item = item.reason(reason);
    }
    match offered {
        Some(actions) => item.actions([&actions.toggle, &actions.rename, &actions.delete]),
        None => item,
    }
}

impl Actions {
    fn new(desk: &Desk) -> Self {
        Self {
            add: add(desk.clone()),
            export: export::action(desk.clone()),
            toggle: toggle(desk.clone()),
            rename: rename(desk.clone()),
            delete: delete(desk.clone()),
        }
    }
}

fn add(desk: Desk) -> Action {
    Action::new("add", move |call: Invocation<Add>| -> Result<Outcome, ActionError> {
        let person = actor(&desk, &call.session)?;
        let task = desk.add_task(&person, &call.params.title, call.params.due.as_deref())?;
        Ok(Outcome::data(json!({ "id": task.to_string() })))
    })
    .label("Add task")
    .estimate(Estimate::Instant)
}

fn toggle(desk: Desk) -> Action {
    Action::new("toggle", move |call: Invocation<()>| -> Result<(), ActionError> {
        Ok(desk.toggle_task(&actor(&desk, &call.session)?, id("task", call.node_id())?)?)
    })
    .label("Toggle")
    .description("Done becomes open, open becomes done.")
    .estimate(Estimate::Instant)
}

fn rename(desk: Desk) -> Action {
    Action::new("rename", move |call: Invocation<Rename>| -> Result<(), ActionError> {
        Ok(desk.rename_task(&actor(&desk, &call.session)?, id("task", call.node_id())?, &call.params.title)?)
    })
    .label("Rename")
    .idempotent(true)
    .estimate(Estimate::Instant)
}

fn delete(desk: Desk) -> Action {
    Action::new("delete", move |call: Invocation<()>| -> Result<(), ActionError> {
        Ok(desk.delete_task(&actor(&desk, &call.session)?, id("task", call.node_id())?)?)
    })
    .label("Delete")
    .description("The task is gone for good.")
    .dangerous(true)
    .estimate(Estimate::Instant)
}
