//! Where a provider is, as a URL with the credential in it.

use url::Url;

/// The path that a URL without one means.
const USUAL_PATH: &str = "/slop";

/// The endpoint of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address(Url);

impl Address {
    /// Reads `ws://`, `wss://`, `http://` or `https://`; without a path, `/slop` is meant.
    ///
    /// # Errors
    ///
    /// A sentence for the person who typed it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let example = "a URL such as ws://127.0.0.1:3000/slop or wss://desk.example/slop";
        let mut url = Url::parse(text).map_err(|why| format!("{why}; give {example}"))?;
        let scheme = match url.scheme() {
            "ws" | "http" => "ws",
            "wss" | "https" => "wss",
            other => return Err(format!("`{other}://` is not a WebSocket; give {example}")),
        };
        if !url.has_host() || url.set_scheme(scheme).is_err() {
            return Err(format!("it has no host; give {example}"));
        }
        // The parser puts a slash where there is no path.
        let after_host = text.split_once("://").map_or("", |(_, rest)| rest);
        if !after_host.contains('/') {
            url.set_path(USUAL_PATH);
        }
        url.set_fragment(None);
        Ok(Self(url))
    }

    /// With the token as a query parameter: a consumer of this protocol cannot set headers.
    pub(crate) fn with_token(mut self, token: Option<&str>) -> Self {
        if let Some(token) = token {
            self.0.query_pairs_mut().append_pair("token", token);
        }
        self
    }

    /// The whole URL. It may hold a token, so it is for the socket only.
    pub(crate) fn secret_url(&self) -> &str {
        self.0.as_str()
    }

    /// For messages: the URL without its query.
    pub(crate) fn public_url(&self) -> String {
        let mut url = self.0.clone();
        url.set_query(None);
        url.into()
    }

    pub(crate) fn path(&self) -> &str {
        self.0.path()
    }

    /// `host:port`, as in an error message.
    pub(crate) fn host_and_port(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str, token: Option<&str>) -> String {
        Address::parse(text).unwrap().with_token(token).secret_url().to_owned()
    }

    #[test]
    fn the_token_cannot_break_out_of_its_parameter() {
        assert_eq!(url("ws://h/slop", Some("a&b=c/ü%")), "ws://h/slop?token=a%26b%3Dc%2F%C3%BC%25");
    }

    #[test]
    fn other_parameters_stay() {
        assert_eq!(url("ws://h/slop?x=1", Some("t-1")), "ws://h/slop?x=1&token=t-1");
        assert_eq!(url("ws://h/slop?x=1", None), "ws://h/slop?x=1");
    }

    #[test]
    fn the_schemes_of_pages_and_a_missing_path_are_understood() {
        assert_eq!(url("https://desk.example/app/slop", None), "wss://desk.example/app/slop");
        assert_eq!(url("http://127.0.0.1:3000", None), "ws://127.0.0.1:3000/slop");
        assert_eq!(url("wss://desk.example?x=1", None), "wss://desk.example/slop?x=1");
        assert_eq!(url("ws://h/", None), "ws://h/", "a path that was given stays");
    }

    #[test]
    fn what_is_not_a_websocket_is_refused_with_an_example() {
        for text in ["", "desk.example", "localhost:3000/slop", "ftp://h/slop", "/slop", "ws://"] {
            let why = Address::parse(text).unwrap_err();
            assert!(why.contains("ws://127.0.0.1:3000/slop"), "{text}: {why}");
        }
    }

    #[test]
    fn messages_never_show_the_token() {
        let address = Address::parse("ws://h:1/slop?token=secret").unwrap().with_token(Some("secret"));
        assert!(!address.public_url().contains("secret") && !address.host_and_port().contains("secret"));
    }
}
