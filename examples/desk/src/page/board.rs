//! The section of the board that the person's org shares.

use std::fmt::Write as _;

use axum::Router;
use axum::extract::{Form, Path, State};
use axum::response::Redirect;
use axum::routing::post;
use serde::Deserialize;

use super::form::write;
use crate::desk::Desk;
use crate::error::Result;
use crate::html::Escaped;
use crate::id::CardId;
use crate::login::SignedIn;
use crate::people::Person;
use crate::session::person_session_of;
use crate::site::Site;
use crate::store::{Card, Column};

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/board/cards", post(add)).route("/board/cards/{id}/move", post(move_card))
}

#[derive(Deserialize)]
struct NewCard {
    title: String,
    column: String,
}

#[derive(Deserialize)]
struct Move {
    column: String,
}

async fn add(State(site): State<Site>, SignedIn(login): SignedIn, Form(card): Form<NewCard>) -> Result<Redirect> {
    let session = person_session_of(&login);
    write(site, login, move |desk, person| desk.add_card(&session, person, &card.column, &card.title).map(drop)).await
}

async fn move_card(
    State(site): State<Site>,
    SignedIn(login): SignedIn,
    Path(id): Path<CardId>,
    Form(to): Form<Move>,
) -> Result<Redirect> {
    let session = person_session_of(&login);
    write(site, login, move |desk, person| desk.move_card(&session, person, id, &to.column)).await
}

pub(super) fn show(desk: &Desk, person: &Person) -> Result<String> {
    let columns = desk.store().board(&person.org)?;
    let writes = person.role.may_write();
    let mut html = "<h2>Board <small>shared with everybody in your org</small></h2><div class=\"columns\">".to_owned();
    for column in &columns {
        let _ = write!(
            html,
            "<section class=\"column\"><h3>{} <small>{}</small></h3>",
            Escaped(&column.label),
            column.cards.len()
        );
        for card in &column.cards {
            show_card(&mut html, card, column, &columns, writes);
        }
        if writes {
            show_new_card(&mut html, column);
        }
        html.push_str("</section>");
    }
    html.push_str("</div>");
    Ok(html)
}

fn show_card(html: &mut String, card: &Card, here: &Column, columns: &[Column], writes: bool) {
    let Card { id, title, author, .. } = card;
    let _ = write!(
        html,
        "<article class=\"card\" id=\"{id}\"><p>{}</p><footer><small>{}</small>",
        Escaped(title),
        Escaped(author)
    );
    if writes {
        let _ = write!(
            html,
            "<form method=\"post\" action=\"/board/cards/{id}/move\">\
             <select name=\"column\" aria-label=\"Column\" data-on-change>"
        );
        for column in columns {
            let selected = if column.id == here.id { " selected" } else { "" };
            let (value, label) = (Escaped(&column.id), Escaped(&column.label));
            let _ = write!(html, "<option value=\"{value}\"{selected}>{label}</option>");
        }
        html.push_str("</select><noscript><button>Move</button></noscript></form>");
    }
    html.push_str("</footer></article>");
}

fn show_new_card(html: &mut String, column: &Column) {
    let id = Escaped(&column.id);
    let _ = write!(
        html,
        "<form class=\"row\" method=\"post\" action=\"/board/cards\"><input type=\"hidden\" name=\"column\" value=\"{id}\">\
         <input id=\"new-card-{id}\" name=\"title\" placeholder=\"Add a card\" aria-label=\"New card\" required \
         maxlength=\"200\"><button aria-label=\"Add card\">+</button></form>"
    );
}
