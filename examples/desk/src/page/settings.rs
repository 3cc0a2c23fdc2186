//! The section of what the person has set.

use std::fmt::Write as _;

use axum::Router;
use axum::extract::{Form, State};
use axum::response::Redirect;
use axum::routing::post;
use grove_attest::PublicKey;
use serde::Deserialize;

use super::form::write;
use crate::desk::Desk;
use crate::error::Result;
use crate::html::Escaped;
use crate::login::SignedIn;
use crate::people::Person;
use crate::site::Site;
use crate::store::Settings;
use crate::theme::Theme;

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/settings/signature", post(set_signature))
        .route("/settings/theme", post(set_theme))
        .route("/settings/key", post(set_key))
        .route("/settings/key/remove", post(remove_key))
}

#[derive(Deserialize)]
struct Signature {
    text: String,
}

#[derive(Deserialize)]
struct Key {
    key: String,
}

#[derive(Deserialize)]
struct Look {
    theme: Theme,
}

async fn set_signature(
    State(site): State<Site>,
    SignedIn(login): SignedIn,
    Form(signature): Form<Signature>,
) -> Result<Redirect> {
    write(site, login, move |desk, person| desk.set_signature(person, &signature.text)).await
}

async fn set_theme(State(site): State<Site>, SignedIn(login): SignedIn, Form(look): Form<Look>) -> Result<Redirect> {
    write(site, login, move |desk, person| desk.set_theme(person, look.theme)).await
}

async fn set_key(State(site): State<Site>, SignedIn(login): SignedIn, Form(key): Form<Key>) -> Result<Redirect> {
    write(site, login, move |desk, person| desk.set_key(person, &key.key)).await
}

async fn remove_key(State(site): State<Site>, SignedIn(login): SignedIn) -> Result<Redirect> {
    write(site, login, Desk::remove_key).await
}

pub(super) fn show(desk: &Desk, person: &Person) -> Result<String> {
    let Some(settings) = desk.store().settings(&person.name)? else { return Ok(String::new()) };
    let theme = settings.theme.as_str();
    // The script copies the theme from here to the page, so that a change made by an AI is seen at once.
    let mut html = format!("<h2 data-theme-now=\"{theme}\">Settings</h2>");
    if person.role.may_write() {
        show_forms(&mut html, &settings);
        show_key(&mut html, desk.key_of(person)?);
    } else {
        let _ = write!(html, "<p class=\"signature\">{}</p>", Escaped(&settings.signature));
        html.push_str("<p class=\"quiet\">You are a viewer: you see this desk and change nothing.</p>");
    }
    Ok(html)
}

fn show_forms(html: &mut String, settings: &Settings) {
    let _ = write!(
        html,
        "<form method=\"post\" action=\"/settings/signature\"><label>Signature\
         <textarea id=\"signature\" name=\"text\" rows=\"3\" maxlength=\"2000\">\n{}</textarea></label>\
         <button>Save</button></form><form class=\"row\" method=\"post\" action=\"/settings/theme\">\
         <label>Theme <select name=\"theme\" data-on-change>",
        Escaped(&settings.signature)
    );
    for theme in Theme::ALL {
        let selected = if theme == settings.theme { " selected" } else { "" };
        let word = theme.as_str();
        let _ = write!(html, "<option{selected}>{word}</option>");
    }
    html.push_str("</select></label><noscript><button>Save</button></noscript></form>");
}

/// Without a script, a form whose field is empty says what is missing.
fn show_key(html: &mut String, key: Option<PublicKey>) {
    html.push_str(
        "<form method=\"post\" action=\"/settings/key\"><label>Key for sessions that you launch\
         <input id=\"key\" name=\"key\" required minlength=\"64\" maxlength=\"64\" pattern=\"[0-9a-f]{64}\"\
         autocomplete=\"off\" placeholder=\"from `grove keys new`\"></label><button>Set</button></form>",
    );
    if let Some(key) = key {
        let _ = write!(
            html,
            "<form method=\"post\" action=\"/settings/key/remove\"><p>Sessions act for you with the key \
             <code id=\"current-key\">{key}</code>. <button>Remove</button></p></form>"
        );
    }
}
