//! The scheme and authority under which clients see this server.

use std::fmt;

use axum::http::header::{FORWARDED, HOST};
use axum::http::uri::Scheme;
use axum::http::{HeaderMap, Uri};

use crate::authority::Authority;

/// The server's own address, as the sender of one request knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicAddress {
    /// Known to be behind TLS. `false` means "not known": a proxy may terminate TLS without saying so.
    pub(crate) secure: bool,
    pub(crate) authority: Authority,
}

impl PublicAddress {
    /// From `Host` (over HTTP/2, the target), or from a proxy's headers if they are trusted.
    ///
    /// `None` when there is no host, more than one, or one that is malformed.
    pub(crate) fn of(headers: &HeaderMap, uri: &Uri, trust_forwarded: bool) -> Option<Self> {
        let (proto, host) = if trust_forwarded { forwarded(headers) } else { (None, None) };
        let host = match host {
            Some(host) => host,
            None if headers.contains_key(HOST) => only(headers, HOST.as_str())?,
            None => uri.authority()?.as_str(),
        };
        let secure = match proto {
            Some(proto) => proto.eq_ignore_ascii_case("https") || proto.eq_ignore_ascii_case("wss"),
            None => uri.scheme() == Some(&Scheme::HTTPS),
        };
        Some(Self { secure, authority: Authority::parse(host)? })
    }

    /// The URL of the WebSocket endpoint at `path`.
    pub(crate) fn websocket_url(&self, path: &str) -> String {
        let scheme = if self.secure { "wss" } else { "ws" };
        format!("{scheme}://{}{path}", self.authority)
    }

    /// Whether the sender used a name of this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.authority.is_loopback()
    }
}

impl fmt::Display for PublicAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without a known TLS, pages of either scheme are ours.
        let scheme = if self.secure { "https" } else { "http(s)" };
        write!(f, "{scheme}://{}", self.authority)
    }
}

/// The protocol and the host that the outermost proxy saw: `Forwarded` (RFC 7239) first, then `X-Forwarded-*`.
fn forwarded(headers: &HeaderMap) -> (Option<&str>, Option<&str>) {
    let standard = first(headers, FORWARDED.as_str()).unwrap_or_default();
    let parameter = |name: &str| {
        let pairs = standard.split(';').filter_map(|pair| pair.split_once('='));
        pairs
            .filter(|(key, _)| key.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().trim_matches('"'))
            .next()
    };
    let proto = parameter("proto").or_else(|| first(headers, "x-forwarded-proto"));
    let host = parameter("host").or_else(|| first(headers, "x-forwarded-host"));
    (proto, host)
}

/// The path that the outermost proxy has removed from the front of the target: `X-Forwarded-Prefix`, without a slash at
/// its end. `None` if it is missing or is not a path.
pub(crate) fn forwarded_prefix(headers: &HeaderMap) -> Option<&str> {
    let prefix = first(headers, "x-forwarded-prefix")?.trim_end_matches('/');
    let in_path = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:@".contains(&byte);
    (prefix.starts_with('/') && prefix.bytes().all(in_path)).then_some(prefix)
}

/// The first element of a header that may be a list.
fn first<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()?.split(',').next().map(str::trim)
}

/// The value of a header that must occur exactly once.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};

    use super::PublicAddress;

    fn url(headers: &[(&'static str, &'static str)], trust_forwarded: bool) -> Option<String> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let address = PublicAddress::of(&headers, &Uri::from_static("/"), trust_forwarded)?;
        Some(address.websocket_url("/slop"))
    }

    #[test]
    fn the_host_header_names_the_server() {
        assert_eq!(url(&[("host", "app.example:8080")], false).as_deref(), Some("ws://app.example:8080/slop"));
        assert_eq!(url(&[("host", "a/b")], false), None);
        assert_eq!(url(&[], false), None);
    }

    #[test]
    fn proxy_headers_count_only_when_trusted() {
        let headers = [("host", "inner"), ("x-forwarded-proto", "https, http"), ("x-forwarded-host", "app.example")];
        assert_eq!(url(&headers, false).as_deref(), Some("ws://inner/slop"));
        assert_eq!(url(&headers, true).as_deref(), Some("wss://app.example/slop"));
    }

    #[test]
    fn the_standard_header_takes_precedence() {
        let forwarded = ("forwarded", "for=1.2.3.4; Proto=https;host=\"app.example:8443\", for=5.6.7.8");
        let headers = [("host", "inner"), forwarded, ("x-forwarded-host", "other")];
        assert_eq!(url(&headers, true).as_deref(), Some("wss://app.example:8443/slop"));
    }
}
