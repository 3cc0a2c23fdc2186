//! What an HTTP response means that is not a WebSocket.

use std::fmt;

use serde_json::Value;
use tokio_tungstenite::tungstenite::http::Response;
use tokio_tungstenite::tungstenite::http::header::LOCATION;

use crate::address::Address;

/// The longest message of a server that is shown.
const MAX_MESSAGE_CHARS: usize = 200;

/// A response that refused the upgrade.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: u16,
    path: String,
    /// Where a redirect leads.
    location: Option<String>,
    /// What the server says, if it says it the way SLOP servers do.
    message: Option<String>,
}

impl Refusal {
    pub(crate) fn of(response: &Response<Option<Vec<u8>>>, address: &Address) -> Self {
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let body: Option<Value> = response.body().as_deref().and_then(|body| serde_json::from_slice(body).ok());
        let message = body.as_ref().and_then(|body| body["error"]["message"].as_str());
        Self {
            status: response.status().as_u16(),
            path: address.path().to_owned(),
            location: location.map(|location| location.split('?').next().unwrap_or_default().to_owned()),
            message: message.map(|message| message.chars().take(MAX_MESSAGE_CHARS).collect()),
        }
    }

    /// Whether trying again later may help.
    pub(crate) const fn is_temporary(&self) -> bool {
        self.status >= 500 || self.status == 429
    }

    /// What to do about it.
    fn advice(&self) -> String {
        let path = &self.path;
        match self.status {
            200..300 => format!("a web page is at {path}, not a SLOP endpoint; its path is usually /slop"),
            300..400 => {
                let to = self.location.as_deref().unwrap_or("another page");
                format!("{path} leads to {to}, probably a login page; check the path, usually /slop, and pass a token")
            }
            400 => format!("the server did not understand the request; check the path {path} and its parameters"),
            401 => "the token is missing, unknown or expired. `cargo run --release -p desk` prints a line \
                    `token NAME TOKEN` for each person when it starts; pass one with --token or in SLOP_TOKEN"
                .to_owned(),
            403 => "this token or this client is not allowed here".to_owned(),
            404 | 405 => format!("nothing speaks SLOP at {path}; the path is usually /slop"),
            426 => "the upgrade did not reach the server; a proxy on the way must pass on `Upgrade` and `Connection`"
                .to_owned(),
            429 => "too many attempts; try again later".to_owned(),
            502 | 504 => "a proxy does not reach the server; try again later".to_owned(),
            503 => "the server is full or shutting down; try again later".to_owned(),
            500.. => "the server failed; try again later".to_owned(),
            _ => format!("this is not a SLOP endpoint; check the path {path}"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused ({}): {}", self.status, self.advice())?;
        match &self.message {
            Some(message) => write!(f, ". The server says: {message}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, location: Option<&str>, body: &str) -> Refusal {
        let response = Response::builder().status(status);
        let response = location.into_iter().fold(response, |response, to| response.header("location", to));
        let address = Address::parse("ws://h/api").unwrap();
        Refusal::of(&response.body(Some(body.as_bytes().to_vec())).unwrap(), &address)
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        for (status, words) in [
            (200, "a web page is at /api"),
            (400, "check the path /api"),
            (401, "--token"),
            (404, "usually /slop"),
            (405, "usually /slop"),
            (426, "proxy"),
            (500, "try again later"),
            (503, "try again later"),
        ] {
            let said = refusal(status, None, "<html>").to_string();
            assert!(said.starts_with(&format!("refused ({status}): ")) && said.contains(words), "{said}");
            assert!(!said.contains("html"), "{said}");
        }
    }

    #[test]
    fn a_login_page_is_named_without_what_its_url_carries() {
        let said = refusal(303, Some("/login?next=secret"), "").to_string();
        assert!(said.contains("leads to /login, probably a login page") && !said.contains("secret"), "{said}");
    }

    #[test]
    fn the_servers_own_message_is_shown() {
        let body = r#"{"error":{"code":"forbidden","message":"the trial is over"}}"#;
        assert!(refusal(403, None, body).to_string().ends_with("The server says: the trial is over"));
    }
}
