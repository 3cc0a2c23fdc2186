//! The page where a person works. It is plain HTML that also works without scripts; the scripts only keep it live.
//!
//! Each area is a section that can be fetched alone: the whole page holds the four of them, `/sections/NAME` is one, and
//! `/events` names the one to fetch again. The page of the board, `/board`, hears of changes from the room of the board.

mod board;
mod events;
mod faces;
mod form;
mod inbox;
mod room;
mod script;
mod settings;
mod tasks;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_TYPE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{AppendHeaders, Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;

use crate::board_room;
use crate::change::Area;
use crate::desk::Desk;
use crate::error::Result;
use crate::html::{Escaped, fill};
use crate::login::{NotSignedIn, SignedIn, asks_for_loopback, extend};
use crate::people::Person;
use crate::sign_in::SignIn;
use crate::site::Site;
use crate::store::Login;

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SECTIONS_SCRIPT: &str = include_str!("page/sections.js");
const SCRIPT: &str = include_str!("page/page.js");
const TAB_SCRIPT: &str = include_str!("page/tab.js");

pub(crate) fn routes() -> Router<Site> {
    Router::new()
        .route("/", get(whole))
        .route("/sections/{name}", get(section))
        .route("/events", get(events::stream))
        .route("/page.css", get(async || ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)))
        .route("/sections.js", get(async || script::response(SECTIONS_SCRIPT)))
        .route("/page.js", get(async || script::response(SCRIPT)))
        .route("/tab.js", get(async || script::response(TAB_SCRIPT)))
        .merge(tasks::routes())
        .merge(inbox::routes())
        .merge(board::routes())
        .merge(room::routes())
        .merge(settings::routes())
}

/// The offset of the page in the inbox.
#[derive(Clone, Copy, Deserialize)]
struct Offset {
    #[serde(default)]
    from: u32,
}

async fn whole(
    State(site): State<Site>,
    signed_in: Result<SignedIn, NotSignedIn>,
    Query(offset): Query<Offset>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let login = match signed_in {
        Ok(SignedIn(login)) => login,
        Err(NotSignedIn::NoLogin) => return Redirect::to("/login").into_response(),
        Err(failed @ NotSignedIn::Failed(_)) => return failed.into_response(),
    };
    let url = site.slop.public_url(&headers, &uri).unwrap_or_else(|| "ws://127.0.0.1:3000/slop".to_owned());
    let shows_token = site.sign_in == SignIn::ByName && asks_for_loopback(&headers);
    let cookie = match extend(&site.desk, &login, &headers).await {
        Ok(cookie) => cookie.map(|cookie| AppendHeaders([(SET_COOKIE, cookie)])),
        Err(error) => return error.into_response(),
    };
    let page = site.desk.run(move |desk| show(desk, &login, offset, &url, shows_token)).await.map(Html);
    (cookie, page).into_response()
}

async fn section(
    State(site): State<Site>,
    SignedIn(login): SignedIn,
    Path(name): Path<String>,
    Query(offset): Query<Offset>,
) -> Response {
    let Some(area) = Area::named(&name) else {
        return (StatusCode::NOT_FOUND, "There is no such section.").into_response();
    };
    site.desk.run(move |desk| show_area(desk, &login.person, area, offset)).await.map(Html).into_response()
}

fn show(desk: &Desk, login: &Login, offset: Offset, url: &str, shows_token: bool) -> Result<String> {
    let person = &login.person;
    let [tasks, inbox, board, settings] = Area::ALL.map(|area| show_area(desk, person, area, offset));
    let (tasks, inbox, board, settings) = (tasks?, inbox?, board?, settings?);
    let org = desk.store().org_label(&person.org)?.unwrap_or_else(|| person.org.clone());
    let theme = desk.store().settings(&person.name)?.map_or("auto", |settings| settings.theme.as_str());
    let token = if shows_token { desk.agent_token(login)? } else { None };
    Ok(fill(TEMPLATE, |name| match name {
        "theme" => theme.to_owned(),
        "name" => Escaped(&person.display).to_string(),
        "org" => Escaped(&org).to_string(),
        "role" => person.role.as_str().to_owned(),
        "url" => Escaped(url).to_string(),
        "login" => Escaped(&login.id).to_string(),
        "token" => Escaped(token.as_deref().unwrap_or("TOKEN")).to_string(),
        "from" => offset.from.to_string(),
        "room" => Escaped(&board_room::id(&person.org)).to_string(),
        "tasks" => tasks.clone(),
        "inbox" => inbox.clone(),
        "board" => board.clone(),
        "settings" => settings.clone(),
        _ => String::new(),
    }))
}

/// The inside of a section.
fn show_area(desk: &Desk, person: &Person, area: Area, offset: Offset) -> Result<String> {
    match area {
        Area::Tasks => tasks::show(desk, person),
        Area::Inbox => inbox::show(desk, person, offset.from),
        Area::Board => board::show(desk, person),
        Area::Settings => settings::show(desk, person),
    }
}
