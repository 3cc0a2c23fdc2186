//! The headers that say on which entry a change may take place.

use axum::http::HeaderMap;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use grove_engine::Expected;

use super::failure::Failure;
use super::request::text;

/// No entry ever has this version.
const NO_VERSION: Expected = Expected::Version(u64::MAX);

/// The entry that a request expects. A tag that is none of ours matches nothing.
pub(super) fn expected(headers: &HeaderMap) -> Result<Expected, Failure> {
    let none = headers.get(IF_NONE_MATCH).map(|_| text(headers, &IF_NONE_MATCH));
    match (headers.get(IF_MATCH).map(|_| text(headers, &IF_MATCH).unwrap_or_default()), none) {
        (None, None) => Ok(Expected::Anything),
        (None, Some(Some("*"))) => Ok(Expected::Nothing),
        (None, Some(_)) => Err(Failure::invalid("`If-None-Match` can only be `*`")),
        (Some("*"), _) => Ok(Expected::Something),
        (Some(tags), _) if tags.contains(',') => Err(Failure::invalid("`If-Match` can only name one version")),
        (Some(tag), _) => Ok(version(tag.trim())),
    }
}

/// The entity tag of a version.
pub(super) fn tag(version: u64) -> String {
    format!("\"{version}\"")
}

fn version(tag: &str) -> Expected {
    let bare = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag);
    bare.parse().map_or(NO_VERSION, Expected::Version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &'static str, value: &'static str) -> Option<Expected> {
        let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
        expected(&headers).ok()
    }

    #[test]
    fn a_version_is_expected_with_or_without_quotes() {
        assert_eq!(expected(&HeaderMap::new()).ok(), Some(Expected::Anything));
        for (value, wanted) in [
            ("\"7\"", Some(Expected::Version(7))),
            ("7", Some(Expected::Version(7))),
            ("*", Some(Expected::Something)),
            ("\"0\"", Some(Expected::Version(0))),
            ("W/\"7\"", Some(NO_VERSION)),
            ("\"x\"", Some(NO_VERSION)),
            ("\"-1\"", Some(NO_VERSION)),
            ("", Some(NO_VERSION)),
            ("\"1\", \"2\"", None),
        ] {
            assert_eq!(read("if-match", value), wanted, "{value}");
        }
        assert_eq!((read("if-none-match", "*"), read("if-none-match", "\"1\"")), (Some(Expected::Nothing), None));
        assert_eq!(tag(7), "\"7\"");
    }
}
