//! The section of the person's own tasks.

use std::fmt::Write as _;

use axum::Router;
use axum::extract::{Form, Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use serde::Deserialize;

use super::form::write;
use crate::clock::Day;
use crate::desk::Desk;
use crate::due::Due;
use crate::error::{DeskError, Result};
use crate::html::Escaped;
use crate::id::{ExportId, TaskId};
use crate::login::SignedIn;
use crate::people::Person;
use crate::site::Site;
use crate::store::{Priority, Task};

/// The most tasks that the page shows.
const SHOWN: u64 = 100;

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/tasks", post(add))
        .route("/tasks/{id}/toggle", post(toggle))
        .route("/tasks/{id}/rename", post(rename))
        .route("/tasks/{id}/delete", post(delete))
        .route("/exports/{id}", get(export))
}

#[derive(Deserialize)]
struct NewTask {
    title: String,
    due: Option<String>,
}

#[derive(Deserialize)]
struct Title {
    title: String,
}

async fn add(State(site): State<Site>, SignedIn(login): SignedIn, Form(task): Form<NewTask>) -> Result<Redirect> {
    write(site, login, move |desk, person| desk.add_task(person, &task.title, task.due.as_deref()).map(drop)).await
}

async fn toggle(State(site): State<Site>, SignedIn(login): SignedIn, Path(id): Path<TaskId>) -> Result<Redirect> {
    write(site, login, move |desk, person| desk.toggle_task(person, id)).await
}

async fn rename(
    State(site): State<Site>,
    SignedIn(login): SignedIn,
    Path(id): Path<TaskId>,
    Form(new): Form<Title>,
) -> Result<Redirect> {
    write(site, login, move |desk, person| desk.rename_task(person, id, &new.title)).await
}

async fn delete(State(site): State<Site>, SignedIn(login): SignedIn, Path(id): Path<TaskId>) -> Result<Redirect> {
    write(site, login, move |desk, person| desk.delete_task(person, id)).await
}

async fn export(
    State(site): State<Site>,
    SignedIn(login): SignedIn,
    Path(id): Path<ExportId>,
) -> Result<impl IntoResponse> {
    let csv = site.desk.run(move |desk| desk.store().export_csv(&login.person.name, id)).await?;
    let csv = csv.ok_or_else(|| DeskError::no_such("export", id))?;
    let headers =
        [(CONTENT_TYPE, "text/csv; charset=utf-8"), (CONTENT_DISPOSITION, "attachment; filename=\"tasks.csv\"")];
    Ok((headers, csv))
}

pub(super) fn show(desk: &Desk, person: &Person) -> Result<String> {
    let today = Day::today();
    let counts = desk.store().task_counts(&person.name, today)?;
    let writes = person.role.may_write();
    let mut html = format!("<h2>Tasks <small>{} open", counts.open);
    if counts.overdue > 0 {
        let _ = write!(html, ", <span class=\"overdue\">{} overdue</span>", counts.overdue);
    }
    html.push_str("</small></h2>");
    if writes {
        html.push_str(NEW_TASK);
    }
    html.push_str("<ul class=\"tasks\">");
    for task in desk.store().tasks(&person.name, 0, SHOWN)? {
        show_task(&mut html, &task, today, writes);
    }
    html.push_str("</ul>");
    if let Some(export) = desk.store().latest_export(&person.name)? {
        let when = export.created.in_a_list(today);
        let _ = write!(
            html,
            "<p class=\"quiet\">Last export: <a href=\"/exports/{}\">{} tasks</a>, {when}</p>",
            export.id, export.rows
        );
    }
    Ok(html)
}

const NEW_TASK: &str = "<form class=\"row\" method=\"post\" action=\"/tasks\">\
    <input id=\"new-task\" name=\"title\" placeholder=\"What is to be done?\" aria-label=\"New task\" required maxlength=\"200\">\
    <input id=\"new-due\" name=\"due\" type=\"date\" aria-label=\"Due\">\
    <button class=\"main\">Add</button></form>";

fn show_task(html: &mut String, task: &Task, today: Day, writes: bool) {
    let Task { id, title, done, due: day, priority } = task;
    let due = Due::of(task, today);
    let _ = write!(html, "<li class=\"task {}\" id=\"{id}\">", due.as_str());
    let mark = if *done { "✓" } else { "" };
    let _ = if writes {
        let (word, pressed) = (if *done { "Reopen" } else { "Done" }, done);
        write!(
            html,
            "<form method=\"post\" action=\"/tasks/{id}/toggle\">\
             <button class=\"tick\" aria-label=\"{word}\" aria-pressed=\"{pressed}\">{mark}</button></form>"
        )
    } else {
        write!(html, "<span class=\"tick\">{mark}</span>")
    };
    let _ = write!(html, "<span class=\"title\">{}</span>", Escaped(title));
    if *priority == Priority::High && !done {
        html.push_str("<span class=\"tag high\">high</span>");
    }
    if let Some(day) = day {
        let said = due.reason().unwrap_or_else(|| day.short());
        let _ = write!(html, "<time class=\"tag {}\" datetime=\"{day}\">{said}</time>", due.as_str());
    }
    if writes {
        let _ = write!(
            html,
            "<form method=\"post\" action=\"/tasks/{id}/delete\">\
             <button class=\"cross\" aria-label=\"Delete\" title=\"Delete\">×</button></form>"
        );
    }
    html.push_str("</li>");
}
