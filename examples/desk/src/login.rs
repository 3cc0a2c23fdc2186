//! Authentication: the login page, the cookie, and the lookup that the pages and the SLOP endpoint share.
//!
//! There are no passwords in this example. On a loopback address anyone at the machine may log in as anyone (that is
//! [`SignIn::ByName`]); on every other address the login page wants a token.

use axum::Router;
use axum::extract::{Form, FromRequestParts, State};
use axum::http::header::{COOKIE, HOST, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use cookie::time::OffsetDateTime;
use cookie::{Cookie, SameSite};
use grove_axum::{Authenticator, Refusal, UpgradeRequest, authenticate_with, opaque};
use serde::Deserialize;

use crate::clock::Moment;
use crate::desk::Desk;
use crate::error::{DeskError, Result};
use crate::html::{Escaped, fill};
use crate::people::Person;
use crate::session::{person_session_of, session_of};
use crate::sign_in::SignIn;
use crate::site::Site;
use crate::store::Login;

const COOKIE_NAME: &str = "session";
const TEMPLATE: &str = include_str!("login.html");

pub(crate) fn routes() -> Router<Site> {
    Router::new().route("/login", get(show).post(log_in)).route("/logout", post(log_out))
}

/// What the login page sends: a person's name, or a token.
#[derive(Deserialize)]
struct Claim {
    person: Option<String>,
    token: Option<String>,
}

async fn show(State(site): State<Site>) -> Result<Html<String>> {
    let people = site.desk.run(Desk::people).await?;
    Ok(Html(fill(TEMPLATE, |name| match name {
        "choices" => choices(site.sign_in, &people),
        _ => String::new(),
    })))
}

fn choices(sign_in: SignIn, people: &[Person]) -> String {
    match sign_in {
        SignIn::ByName => people.iter().map(choice).collect(),
        SignIn::ByToken => {
            "<label>Token <input name=\"token\" type=\"password\" autocomplete=\"off\" required></label>\
                            <button class=\"main\">Log in</button>"
                .to_owned()
        }
    }
}

fn choice(person: &Person) -> String {
    let Person { name, display, org, role } = person;
    let (name, display, org) = (Escaped(name), Escaped(display), Escaped(org));
    format!(
        "<button class=\"choice\" name=\"person\" value=\"{name}\"><b>{display}</b> <code>{name}</code>\
         <span>{org}, {}</span></button>",
        role.as_str()
    )
}

async fn log_in(State(site): State<Site>, headers: HeaderMap, Form(claim): Form<Claim>) -> Result<Response> {
    let by_name = site.sign_in == SignIn::ByName && asks_for_loopback(&headers);
    let login = site.desk.run(move |desk| check(desk, claim, by_name)).await?;
    let Some((token, expires)) = login else {
        let sentence = "No one here has this name or token. Go back to try again.";
        return Ok((StatusCode::UNAUTHORIZED, sentence).into_response());
    };
    Ok((AppendHeaders([(SET_COOKIE, session_cookie(token, expires))]), Redirect::to("/")).into_response())
}

/// The new login's secret and expiry, or `None` when the claim is not valid.
fn check(desk: &Desk, claim: Claim, by_name: bool) -> Result<Option<(String, Moment)>> {
    let person = match claim {
        Claim { token: Some(token), .. } => desk.store().login(token.trim())?.map(|login| login.person),
        Claim { person: Some(name), .. } if by_name => desk.store().person(&name)?,
        Claim { .. } => None,
    };
    person.map(|person| desk.log_in(&person.name)).transpose()
}

/// Whether the browser uses a name of its own machine. A page from elsewhere whose host name was made to resolve to
/// 127.0.0.1 after it had loaded sends that name here, and must not be able to log in.
pub(crate) fn asks_for_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Extends a login when it is due, and returns its new cookie.
pub(crate) async fn extend(desk: &Desk, login: &Login, headers: &HeaderMap) -> Result<Option<String>> {
    let login = login.clone();
    let expires = desk.run(move |desk| desk.extend(&login)).await?;
    Ok(expires.zip(token_in(headers)).map(|(expires, token)| session_cookie(token, expires)))
}

fn session_cookie(token: String, expires: Moment) -> String {
    cookie(token).expires(OffsetDateTime::from(expires.to_system_time())).build().to_string()
}

fn cookie(value: String) -> cookie::CookieBuilder<'static> {
    Cookie::build((COOKIE_NAME, value)).http_only(true).same_site(SameSite::Lax).path("/")
}

async fn log_out(State(site): State<Site>, signed_in: Result<SignedIn, NotSignedIn>) -> Result<Response> {
    if let Ok(SignedIn(login)) = signed_in {
        site.desk.run(move |desk| desk.log_out(&login)).await?;
    }
    let gone = cookie(String::new()).expires(OffsetDateTime::UNIX_EPOCH).build().to_string();
    Ok((AppendHeaders([(SET_COOKIE, gone)]), Redirect::to("/login")).into_response())
}

/// The login to which a request's cookie belongs.
#[derive(Debug)]
pub(crate) struct SignedIn(pub(crate) Login);

/// Why a request has no login.
#[derive(Debug)]
pub(crate) enum NotSignedIn {
    NoLogin,
    Failed(DeskError),
}

impl IntoResponse for NotSignedIn {
    fn into_response(self) -> Response {
        match self {
            Self::NoLogin => (StatusCode::UNAUTHORIZED, "Please log in first, at /login.").into_response(),
            Self::Failed(error) => error.into_response(),
        }
    }
}

impl FromRequestParts<Site> for SignedIn {
    type Rejection = NotSignedIn;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, NotSignedIn> {
        let token = token_in(&parts.headers).ok_or(NotSignedIn::NoLogin)?;
        let login = site.desk.run(move |desk| desk.store().login(&token)).await.map_err(NotSignedIn::Failed)?;
        login.map(Self).ok_or(NotSignedIn::NoLogin)
    }
}

fn token_in(headers: &HeaderMap) -> Option<String> {
    // Each cookie by itself: one of another application that is not UTF-8 must not hide ours.
    let pairs = headers.get_all(COOKIE).into_iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let cookies = pairs.filter_map(|pair| Cookie::parse(str::from_utf8(pair).ok()?.trim()).ok());
    cookies.filter(|cookie| cookie.name() == COOKIE_NAME).map(|cookie| cookie.value().to_owned()).next()
}

/// Authenticates the SLOP endpoint with a login's token or agent token: as `?token=`, as bearer token, or in the login
/// page's cookie.
pub(crate) fn authenticator(desk: &Desk) -> impl Authenticator {
    let desk = desk.clone();
    opaque(COOKIE_NAME, move |token: String| {
        let desk = desk.clone();
        async move {
            let login = desk.run(move |desk| desk.store().login_of_agent(&token)).await;
            let login = login.map_err(|_| Refusal::unavailable().because("the store failed"))?;
            Ok(login.as_ref().map(session_of))
        }
    })
}

/// Authenticates the person at the page of the board, which connects with the login page's cookie and nothing else: a
/// token is an AI's.
pub(crate) fn person_authenticator(desk: &Desk) -> impl Authenticator {
    let desk = desk.clone();
    authenticate_with(move |request: UpgradeRequest| {
        let desk = desk.clone();
        async move {
            let token = request.cookie(COOKIE_NAME).ok_or_else(Refusal::unauthorized)?;
            let login = desk.run(move |desk| desk.store().login(&token)).await;
            let login = login.map_err(|_| Refusal::unavailable().because("the store failed"))?;
            login.as_ref().map(person_session_of).ok_or_else(Refusal::unauthorized)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> HeaderMap {
        HeaderMap::from_iter([(HOST, name.parse().expect("a header value"))])
    }

    #[test]
    fn only_this_machine_by_its_own_names_is_loopback() {
        for name in ["localhost", "localhost:3000", "127.0.0.1:80", "[::1]:3000", "[::1]"] {
            assert!(asks_for_loopback(&host(name)), "{name}");
        }
        for name in ["evil.example", "evil.example:3000", "localhost.evil.example", "10.0.0.1:3000", ""] {
            assert!(!asks_for_loopback(&host(name)), "{name}");
        }
    }
}
