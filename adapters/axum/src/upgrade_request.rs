//! The request as an authenticator sees it.

use std::fmt;
use std::net::SocketAddr;

use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method, Uri};
use cookie::Cookie;

/// A request to open a connection, to renew a session, or about rooms, as an [`Authenticator`](crate::Authenticator) sees it.
///
/// Consumers cannot set headers, so a credential may be in the query, in `Authorization` or in a cookie (wire contract
/// 1.0). [`UpgradeRequest::credential`] looks in all three. `Debug` prints names only, never values.
#[derive(Clone)]
#[non_exhaustive]
pub struct UpgradeRequest {
    /// The method: `GET` for an upgrade, `POST` for a renewal, and any of them for rooms.
    pub method: Method,
    /// The target, with its query as sent. It may hold a token: do not log it.
    pub uri: Uri,
    /// The headers as sent; without cookies where they do not count.
    pub headers: HeaderMap,
    /// The address of the other end of the socket, which may be a proxy. `None` unless the application
    /// is served with [`serve`](crate::serve) or `into_make_service_with_connect_info::<SocketAddr>()`.
    pub peer: Option<SocketAddr>,
    extensions: Extensions,
}

impl UpgradeRequest {
    /// A request with these parts, from this peer. For tests of authenticators; the adapter builds its own.
    #[must_use]
    pub fn new(parts: Parts, peer: Option<SocketAddr>) -> Self {
        let Parts { method, uri, headers, extensions, .. } = parts;
        Self { method, uri, headers, peer, extensions }
    }

    /// The value of the cookie `name`, percent-decoded and without quotes; the first, if there are several. Malformed
    /// cookies are skipped.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        let headers = self.headers.get_all(COOKIE).iter();
        // Each by itself: one cookie of another application that is not UTF-8 must not hide all others.
        let pairs = headers.flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
        pairs
            .filter_map(|pair| Cookie::parse_encoded(str::from_utf8(pair).ok()?.trim()).ok())
            .find(|cookie| cookie.name() == name)
            .map(|cookie| cookie.value_trimmed().to_owned())
    }

    /// The token of `Authorization: Bearer <token>`.
    #[must_use]
    pub fn bearer(&self) -> Option<String> {
        let (scheme, token) = self.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    }

    /// The query parameter `name`, decoded; the first, if there are several.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        let query = self.uri.query()?.as_bytes();
        form_urlencoded::parse(query).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The credential: `?token=`, else the bearer token, else the cookie `cookie_name`.
    #[must_use]
    pub fn credential(&self, cookie_name: &str) -> Option<String> {
        self.query("token").or_else(|| self.bearer()).or_else(|| self.cookie(cookie_name))
    }

    /// The credential, if it is not empty.
    pub(crate) fn nonempty_credential(&self, cookie_name: &str) -> Option<String> {
        self.credential(cookie_name).filter(|secret| !secret.is_empty())
    }

    /// A value that a middleware in front has left on the request, such as the user that it found.
    #[must_use]
    pub fn extension<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.extensions.get()
    }
}

impl fmt::Debug for UpgradeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query = self.uri.query().unwrap_or_default().as_bytes();
        let parameters: Vec<_> = form_urlencoded::parse(query).map(|(name, _)| name).collect();
        let headers: Vec<_> = self.headers.keys().map(|name| name.as_str()).collect();
        f.debug_struct("UpgradeRequest")
            .field("method", &self.method)
            .field("path", &self.uri.path())
            .field("query", &parameters)
            .field("headers", &headers)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::UpgradeRequest;

    fn request(uri: &str, headers: &[(&str, &str)]) -> UpgradeRequest {
        let builder = headers.iter().fold(Request::get(uri), |builder, (name, value)| builder.header(*name, *value));
        UpgradeRequest::new(builder.body(()).unwrap().into_parts().0, None)
    }

    #[test]
    fn a_cookie_is_found_among_several_in_several_headers() {
        let request = request("/slop", &[("cookie", "a=1; =; b=%C3%A9%20x"), ("cookie", "c=\"3\"; b=2")]);
        assert_eq!(request.cookie("a").as_deref(), Some("1"));
        assert_eq!(request.cookie("b").as_deref(), Some("é x"));
        assert_eq!(request.cookie("c").as_deref(), Some("3"));
        assert_eq!(request.cookie("d"), None);
    }

    #[test]
    fn the_query_comes_before_the_bearer_token_and_that_before_the_cookie() {
        let headers = [("authorization", "bearer  two"), ("cookie", "session=three")];
        assert_eq!(request("/slop?x=&token=o%6Ee+1", &headers).credential("session").as_deref(), Some("one 1"));
        assert_eq!(request("/slop?x", &headers).credential("session").as_deref(), Some("two"));
        assert_eq!(request("/slop", &headers[1..]).credential("session").as_deref(), Some("three"));
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let headers = [("authorization", "Bearer hush"), ("cookie", "session=hush")];
        let printed = format!("{:?}", request("/slop?token=hush", &headers));
        assert!(!printed.contains("hush"), "{printed}");
        assert!(printed.contains("token") && printed.contains("cookie"), "{printed}");
    }
}
