//! Where the link of a server is.

/// The address of a server's link for peers. `server` may be the server's own address, over HTTP or WebSocket.
///
/// # Errors
/// If it is no such address.
pub(crate) fn peers_url(server: &str) -> Result<String, String> {
    let (scheme, rest) = server.split_once("://").ok_or("it must begin with ws:// or wss://")?;
    let scheme = match scheme {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        _ => return Err("it must begin with ws:// or wss://".to_owned()),
    };
    if rest.is_empty() || rest.starts_with('/') || rest.contains(['?', '#', '@', ' ']) {
        return Err("it must be like wss://app.example".to_owned());
    }
    let rest = rest.trim_end_matches('/');
    let rest = rest.strip_suffix("/peers").unwrap_or(rest);
    Ok(format!("{scheme}://{rest}/peers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_is_at_peers_below_the_servers_address() {
        for (server, url) in [
            ("wss://app.example", "wss://app.example/peers"),
            ("https://app.example/", "wss://app.example/peers"),
            ("ws://127.0.0.1:3000/grove", "ws://127.0.0.1:3000/grove/peers"),
            ("http://[::1]:80/peers", "ws://[::1]:80/peers"),
        ] {
            assert_eq!(peers_url(server).as_deref(), Ok(url));
        }
        for wrong in ["", "app.example", "ftp://x", "ws://", "ws:///peers", "ws://a?b", "ws://user:pass@host"] {
            assert!(peers_url(wrong).is_err(), "{wrong}");
        }
    }
}
