//! The section of the person's own messages, 25 at a time.

use std::fmt::Write as _;

use axum::Router;
use axum::extract::{Form, Path, State};
use axum::response::Redirect;
use axum::routing::post;
use serde::Deserialize;

use super::form::write;
use crate::clock::Day;
use crate::desk::Desk;
use crate::error::Result;
use crate::html::Escaped;
use crate::id::MessageId;
use crate::login::SignedIn;
use crate::people::Person;
use crate::site::Site;
use crate::store::Message;

/// How many messages are shown at once.
const SHOWN: u64 = 25;

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/inbox/{id}/read", post(read))
        .route("/inbox/{id}/archive", post(archive))
        .route("/inbox/{id}/reply", post(reply))
}

#[derive(Deserialize)]
struct Answer {
    text: String,
}

async fn read(State(site): State<Site>, SignedIn(login): SignedIn, Path(id): Path<MessageId>) -> Result<Redirect> {
    write(site, login, move |desk, person| desk.mark_read(person, id)).await
}

async fn archive(State(site): State<Site>, SignedIn(login): SignedIn, Path(id): Path<MessageId>) -> Result<Redirect> {
    write(site, login, move |desk, person| desk.archive(person, id)).await
}

async fn reply(
    State(site): State<Site>,
    SignedIn(login): SignedIn,
    Path(id): Path<MessageId>,
    Form(answer): Form<Answer>,
) -> Result<Redirect> {
    write(site, login, move |desk, person| desk.reply(person, id, &answer.text).map(drop)).await
}

pub(super) fn show(desk: &Desk, person: &Person, from: u32) -> Result<String> {
    let counts = desk.store().inbox_counts(&person.name)?;
    let today = Day::today();
    let from = u64::from(from);
    let mut html = format!(
        "<h2>Inbox <small>{} messages, <span class=\"unread\">{} unread</span></small></h2><div class=\"messages\">",
        counts.total, counts.unread
    );
    for message in desk.store().messages(&person.name, from, SHOWN)? {
        show_message(&mut html, &message, today, person.role.may_write());
    }
    html.push_str("</div>");
    show_turns(&mut html, from, counts.total);
    Ok(html)
}

fn show_message(html: &mut String, message: &Message, today: Day, writes: bool) {
    let Message { id, sender, subject, body, received, unread, replied, .. } = message;
    let class = if *unread { "message unread" } else { "message" };
    let mark = if *replied { "<span class=\"tag\">replied</span>" } else { "" };
    let _ = write!(
        html,
        "<details class=\"{class}\" id=\"{id}\"><summary><span class=\"from\">{}</span>\
         <span class=\"subject\">{}</span>{mark}<time datetime=\"{received}\">{}</time></summary><p>{}</p>",
        Escaped(sender),
        Escaped(subject),
        received.in_a_list(today),
        Escaped(body)
    );
    if writes {
        show_message_forms(html, *id, *unread);
    }
    html.push_str("</details>");
}

fn show_message_forms(html: &mut String, id: MessageId, unread: bool) {
    let _ = write!(
        html,
        "<form method=\"post\" action=\"/inbox/{id}/reply\"><textarea id=\"{id}-reply\" name=\"text\" rows=\"2\" \
         aria-label=\"Reply\" placeholder=\"Reply\" required maxlength=\"2000\"></textarea>\
         <button class=\"main\">Reply</button></form><div class=\"row\">"
    );
    if unread {
        let _ = write!(
            html,
            "<form method=\"post\" action=\"/inbox/{id}/read\" data-on-open><button>Mark as read</button></form>"
        );
    }
    let _ = write!(html, "<form method=\"post\" action=\"/inbox/{id}/archive\"><button>Archive</button></form></div>");
}

/// The links to the messages before and after the ones shown.
fn show_turns(html: &mut String, from: u64, total: u64) {
    html.push_str("<nav class=\"row\">");
    if from > 0 {
        let _ = write!(html, "<a href=\"/?from={}\">Newer</a>", from.saturating_sub(SHOWN));
    }
    if total > 0 {
        let (first, last) = ((from + 1).min(total), (from + SHOWN).min(total));
        let _ = write!(html, "<span class=\"quiet\">{first} to {last} of {total}</span>");
    }
    if from + SHOWN < total {
        let _ = write!(html, "<a href=\"/?from={}\">Older</a>", from + SHOWN);
    }
    html.push_str("</nav>");
}
