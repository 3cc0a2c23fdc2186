//! `host[:port]`, as `Host` and `Origin` carry it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A valid host in lower case, and its port if one is given. It may hold nothing else: neither user nor path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

impl Authority {
    /// `None` if `text` is not an authority.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let port_from = match text.strip_prefix('[') {
            Some(rest) => rest.find(']')? + 2,
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, port) = text.split_at(port_from);
        if !is_host(host) {
            return None;
        }
        let port = match port.strip_prefix(':') {
            Some("") => None,
            // `parse` alone would accept a sign.
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            None if port.is_empty() => None,
            _ => return None,
        };
        Some(Self { host: host.to_ascii_lowercase(), port })
    }

    /// Whether it names this machine and nothing else.
    pub(crate) fn is_loopback(&self) -> bool {
        let name = self.host == "localhost" || self.host.ends_with(".localhost");
        let v4 = self.host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
        let v6 = bracketed(&self.host).is_some_and(|address| address.is_loopback());
        name || v4 || v6
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

fn is_host(text: &str) -> bool {
    let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    bracketed(text).is_some() || (!text.is_empty() && text.bytes().all(name))
}

fn bracketed(text: &str) -> Option<Ipv6Addr> {
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::Authority;

    #[test]
    fn a_host_and_a_port_are_separated() {
        let parse = |text| Authority::parse(text).map(|authority| (authority.host, authority.port));
        assert_eq!(parse("App.example"), Some(("app.example".to_owned(), None)));
        assert_eq!(parse("app.example:"), Some(("app.example".to_owned(), None)));
        assert_eq!(parse("localhost:8080"), Some(("localhost".to_owned(), Some(8080))));
        assert_eq!(parse("[::1]:8080"), Some(("[::1]".to_owned(), Some(8080))));
    }

    #[test]
    fn text_that_is_not_an_authority_is_rejected() {
        let wrong =
            ["", ":80", "a b", "user@host", "host/path", "host:99999", "host:+80", "::1", "[::1", "[x]", "a\"b"];
        for text in wrong {
            assert_eq!(Authority::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_names_and_addresses_of_this_machine_are_loopback() {
        let loopback = |text| Authority::parse(text).unwrap().is_loopback();
        assert!(["localhost", "app.localhost:80", "127.0.0.2", "[::1]:80"].into_iter().all(loopback));
        assert!(!["evil.example", "localhost.evil.example", "128.0.0.1", "[::2]"].into_iter().any(loopback));
    }
}
