//! `/board`, the page of the board's room: who is here, what happens, a line to say something, and the board.

use axum::Router;
use axum::extract::{Form, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::{board, faces, script};
use crate::board_room;
use crate::desk::Desk;
use crate::error::Result;
use crate::html::{Escaped, fill};
use crate::login::{NotSignedIn, SignedIn};
use crate::people::Person;
use crate::site::Site;
use crate::store::Login;

const TEMPLATE: &str = include_str!("room.html");
const SCRIPT: &str = include_str!("room.js");

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/board", get(whole))
        .route("/sections/people", get(people))
        .route("/board/messages", post(say))
        .route("/room.js", get(async || script::response(SCRIPT)))
}

#[derive(Deserialize)]
struct Said {
    text: String,
}

async fn whole(State(site): State<Site>, signed_in: Result<SignedIn, NotSignedIn>) -> Response {
    match signed_in {
        Ok(SignedIn(login)) => site.desk.run(move |desk| show(desk, &login)).await.map(Html).into_response(),
        Err(NotSignedIn::NoLogin) => Redirect::to("/login").into_response(),
        Err(failed @ NotSignedIn::Failed(_)) => failed.into_response(),
    }
}

async fn people(State(site): State<Site>, SignedIn(login): SignedIn) -> Result<Html<String>> {
    site.desk.run(move |desk| show_people(desk, &login)).await.map(Html)
}

async fn say(State(site): State<Site>, SignedIn(login): SignedIn, Form(said): Form<Said>) -> Result<Redirect> {
    site.desk.run(move |desk| desk.say(&login, &said.text)).await?;
    Ok(Redirect::to("/board"))
}

fn show(desk: &Desk, login: &Login) -> Result<String> {
    let person = &login.person;
    let org = desk.store().org_label(&person.org)?.unwrap_or_else(|| person.org.clone());
    let theme = desk.store().settings(&person.name)?.map_or("auto", |settings| settings.theme.as_str());
    let (people, board) = (show_people(desk, login)?, board::show(desk, person)?);
    Ok(fill(TEMPLATE, |name| match name {
        "theme" => theme.to_owned(),
        "name" => Escaped(&person.display).to_string(),
        "org" => Escaped(&org).to_string(),
        "role" => person.role.as_str().to_owned(),
        "login" => Escaped(&login.id).to_string(),
        "room" => Escaped(&board_room::id(&person.org)).to_string(),
        "say" => message_line(person).to_owned(),
        "people" => people.clone(),
        "board" => board.clone(),
        _ => String::new(),
    }))
}

fn show_people(desk: &Desk, login: &Login) -> Result<String> {
    Ok(faces::show(&desk.people_at_board(login)?))
}

/// Who only looks gets none.
fn message_line(person: &Person) -> &'static str {
    if person.role.may_write() {
        "<form class=\"row say\" method=\"post\" action=\"/board/messages\" data-line><input id=\"new-message\" name=\"text\" \
         placeholder=\"Say something to everybody here\" aria-label=\"Message\" autocomplete=\"off\" required \
         maxlength=\"2000\"><button class=\"main\">Say</button></form>"
    } else {
        "<p class=\"quiet\">You are a viewer: you see what happens here and say nothing.</p>"
    }
}
