//! One id as one token of a subject (SEC5).

use data_encoding::BASE64URL_NOPAD;

/// The longest id that is used as it is, in bytes.
const PLAIN_BYTES: usize = 64;

/// Returns an id as one token of a subject: as it is if it matches `[A-Za-z0-9_-]{1,64}`, otherwise `=` and its base64url
/// (cluster 3). Two ids never have the same token, and no id contains a `.` or a wildcard in its token.
#[must_use]
pub fn encode(id: &str) -> String {
    if is_plain(id) { id.to_owned() } else { format!("={}", BASE64URL_NOPAD.encode(id.as_bytes())) }
}

/// Returns the id of a token. Nothing, if `encode` never returns that token.
#[must_use]
pub fn decode(token: &str) -> Option<String> {
    let Some(encoded) = token.strip_prefix('=') else { return is_plain(token).then(|| token.to_owned()) };
    let id = String::from_utf8(BASE64URL_NOPAD.decode(encoded.as_bytes()).ok()?).ok()?;
    (!is_plain(&id)).then_some(id)
}

fn is_plain(id: &str) -> bool {
    (1..=PLAIN_BYTES).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn awkward() -> impl Strategy<Value = String> {
        let long = || "p".repeat(300);
        prop_oneof![
            Just(String::new()),
            Just("=".to_owned()),
            Just("a".to_owned()),
            Just("a.b".to_owned()),
            Just("a*".to_owned()),
            Just(">".to_owned()),
            Just("*".to_owned()),
            Just("=YQ".to_owned()),
            Just("p".repeat(64)),
            Just("p".repeat(65)),
            Just(long()),
            "[a-zA-Z0-9_=.*> -]{0,70}",
            "\\PC{0,80}",
        ]
    }

    #[test]
    fn plain_ids_are_used_as_they_are_and_all_others_are_marked() {
        assert_eq!(encode("a"), "a");
        assert_eq!(encode("red-2_B"), "red-2_B");
        assert_eq!(encode(""), "=");
        assert_eq!(encode("a.b"), "=YS5i");
        assert_eq!(encode("a*"), "=YSo");
        assert_eq!(encode(">"), "=Pg");
        assert_eq!(encode("é"), "=w6k");
        assert_eq!(encode(&"p".repeat(64)), "p".repeat(64));
        assert_eq!(encode(&"p".repeat(300)).len(), 1 + 400);
    }

    #[test]
    fn what_was_never_encoded_is_not_decoded() {
        for token in ["=YQ", "=YQ==", "a.b", "a b", "=!", "=_w", ""] {
            assert_eq!(decode(token), None, "{token}");
        }
    }

    proptest! {
        #[test]
        fn no_two_ids_have_the_same_token(one in awkward(), other in awkward()) {
            prop_assert_eq!(encode(&one) == encode(&other), one == other);
        }

        #[test]
        fn an_id_is_one_token_from_which_it_is_read_again(id in awkward()) {
            let token = encode(&id);
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-=".contains(&byte);
            prop_assert!(!token.is_empty() && token.bytes().all(allowed), "{}", token);
            prop_assert_eq!(decode(&token), Some(id));
        }

        #[test]
        fn a_token_that_is_decoded_is_the_one_that_is_encoded(token in "=?[A-Za-z0-9_-]{0,90}") {
            if let Some(id) = decode(&token) {
                prop_assert_eq!(encode(&id), token);
            }
        }
    }
}
