//! The address with the credential in it.

/// The provider's address with the token as a query parameter: a consumer of this protocol can set no header.
pub(crate) fn with_token(url: &str, token: Option<&str>) -> String {
    let Some(token) = token else { return url.to_owned() };
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}token={}", percent_encoded(token))
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_cannot_break_out_of_its_parameter() {
        assert_eq!(with_token("ws://h/slop", Some("a&b=c/ü%")), "ws://h/slop?token=a%26b%3Dc%2F%C3%BC%25");
    }

    #[test]
    fn other_parameters_stay() {
        assert_eq!(with_token("ws://h/slop?x=1", Some("t-1")), "ws://h/slop?x=1&token=t-1");
        assert_eq!(with_token("ws://h/slop?x=1", None), "ws://h/slop?x=1");
    }
}
