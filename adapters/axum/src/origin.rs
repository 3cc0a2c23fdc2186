//! Which web pages may connect. Browsers send cookies with every WebSocket, whatever page opens it; only `Origin` tells
//! the pages apart (wire contract 1.0).

use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::ORIGIN;

use crate::authority::Authority;
use crate::public_address::PublicAddress;
use crate::refusal::Refusal;

/// The origins that may connect besides our own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    allowed: Vec<Origin>,
}

impl Origins {
    /// # Panics
    ///
    /// If `text` is not an origin.
    #[track_caller]
    pub(crate) fn allow(&mut self, text: &str) {
        let Some(origin) = Origin::parse(text) else {
            panic!("an origin is `scheme://host[:port]`, without a path or wildcards, or `null`; this is `{text}`");
        };
        self.allowed.push(origin);
    }

    /// Accepts requests that do not come from a browser, and those from pages of our own (`own` is the address under
    /// which the request reached us) or of an allowed origin.
    ///
    /// # Errors
    ///
    /// 403 for everything else.
    pub(crate) fn check(&self, headers: &HeaderMap, own: Option<&PublicAddress>) -> Result<(), Refusal> {
        let mut values = headers.get_all(ORIGIN).iter();
        let Some(value) = values.next() else { return Ok(()) };
        let origin = value.to_str().ok().and_then(Origin::parse).filter(|_| values.next().is_none());
        match origin {
            Some(origin) if self.allowed.contains(&origin) || own.is_some_and(|own| origin.is(own)) => Ok(()),
            Some(origin) => {
                let server = own.map_or_else(|| "unknown, without a valid host".to_owned(), ToString::to_string);
                tracing::warn!(target: "grove", %origin, %server, "the page's origin is neither ours nor allowed");
                Err(refused("the origin is neither ours nor allowed"))
            }
            None => Err(refused("the origin is malformed")),
        }
    }
}

fn refused(reason: &'static str) -> Refusal {
    Refusal::forbidden().with_message("pages of this origin may not connect").because(reason)
}

/// Where a page comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    /// A page without an origin: sandboxed, or a local file.
    Null,
    /// A page of this scheme and authority. A default port is left out.
    Page { scheme: String, authority: Authority },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Page { scheme, authority } => write!(f, "{scheme}://{authority}"),
        }
    }
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        if text == "null" {
            return Some(Self::Null);
        }
        let (scheme, authority) = text.split_once("://")?;
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        if scheme.is_empty() || !scheme.bytes().all(letter) {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let mut authority = Authority::parse(authority)?;
        authority.port = authority.port.filter(|port| Some(*port) != default_port(&scheme));
        Some(Self::Page { scheme, authority })
    }

    /// Whether a page of this origin is one of ours. `Host` without a port says nothing about the scheme, so the page's
    /// scheme decides; but a page without TLS is not ours when we are known to be behind TLS.
    fn is(&self, own: &PublicAddress) -> bool {
        let Self::Page { scheme, authority } = self else { return false };
        let Some(default) = default_port(scheme) else { return false };
        let port = |authority: &Authority| authority.port.unwrap_or(default);
        let same_authority = authority.host == own.authority.host && port(authority) == port(&own.authority);
        same_authority && (scheme == "https" || !own.secure)
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::Origins;
    use crate::authority::Authority;
    use crate::public_address::PublicAddress;

    fn admits(allowed: &[&str], origins: &[&'static str], host: &str, secure: bool) -> bool {
        let mut list = Origins::default();
        allowed.iter().for_each(|origin| list.allow(origin));
        let headers: HeaderMap =
            origins.iter().map(|origin| (header::ORIGIN, HeaderValue::from_static(origin))).collect();
        let own = Authority::parse(host).map(|authority| PublicAddress { secure, authority });
        list.check(&headers, own.as_ref()).is_ok()
    }

    #[test]
    fn requests_without_an_origin_are_accepted() {
        assert!(admits(&[], &[], "app.example", false));
    }

    #[test]
    fn our_own_pages_may_connect() {
        assert!(admits(&[], &["http://app.example"], "app.example", false));
        assert!(admits(&[], &["https://app.example"], "app.example:443", false));
        assert!(admits(&[], &["http://localhost:8080"], "LOCALHOST:8080", false));
    }

    #[test]
    fn pages_of_another_host_port_or_scheme_may_not() {
        assert!(!admits(&[], &["http://evil.example"], "app.example", false));
        assert!(!admits(&[], &["http://app.example:81"], "app.example", false));
        assert!(!admits(&[], &["http://app.example"], "app.example", true));
        assert!(!admits(&[], &["http://app.example.evil.example"], "app.example", false));
        assert!(!admits(&[], &["http://app.example"], "", false));
        assert!(!admits(&[], &["chrome-extension://app.example"], "app.example", false));
    }

    #[test]
    fn a_listed_origin_may_connect_and_similar_ones_may_not() {
        let allowed = ["chrome-extension://abc", "https://Other.example:443"];
        assert!(admits(&allowed, &["chrome-extension://abc"], "app.example", true));
        assert!(admits(&allowed, &["https://other.example"], "app.example", true));
        assert!(!admits(&allowed, &["chrome-extension://abcd"], "app.example", true));
        assert!(!admits(&allowed, &["http://other.example"], "app.example", true));
    }

    #[test]
    fn the_null_origin_must_be_listed() {
        assert!(!admits(&[], &["null"], "app.example", false));
        assert!(admits(&["null"], &["null"], "app.example", false));
    }

    #[test]
    fn a_malformed_or_repeated_origin_may_not_connect() {
        assert!(!admits(&[], &["app.example"], "app.example", false));
        assert!(!admits(&[], &["http://app.example/"], "app.example", false));
        assert!(!admits(&[], &["http://app.example", "http://app.example"], "app.example", false));
    }

    #[test]
    #[should_panic(expected = "without a path or wildcards")]
    fn a_wildcard_is_rejected() {
        Origins::default().allow("*");
    }
}
