//! Paths: node ids joined by `/`, read as tolerantly as every peer does (contract 1.3).

use super::Text;
use super::id::{self, IdError};

/// The segments of a path; empty segments do not count, so `""`, `/` and `//` are all the root.
pub(crate) fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// The one spelling under which a path is stored: no slash at either end, none doubled; the root is empty.
#[must_use]
pub fn normal(path: &str) -> Text {
    let mut out = Text::default();
    for segment in segments(path) {
        if !out.is_empty() {
            out.push('/');
        }
        out.push_str(segment);
    }
    out
}

/// A path as consumers write it: `/` for the root, `/a/b` below it.
#[must_use]
pub(crate) fn absolute(path: &str) -> String {
    format!("/{}", normal(path))
}

/// How many segments a registered path may have.
pub(crate) const MAX_SEGMENTS: usize = 32;

/// The normal spelling of a path under which a source may be registered.
///
/// # Errors
/// Says which rule a segment breaks (contract 2.5), or that there are too many.
pub(crate) fn registrable(path: &str) -> Result<Text, IdError> {
    segments(path).try_for_each(id::check)?;
    if segments(path).count() > MAX_SEGMENTS {
        return Err(IdError::Deep);
    }
    Ok(normal(path))
}

/// Whether a path in the normal spelling is where a browser tab stands, `ui/tab-N`, or lies below it.
#[must_use]
pub(crate) fn is_of_a_tab(path: &str) -> bool {
    let number = path.strip_prefix("ui/tab-").and_then(|rest| rest.split('/').next());
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
}

/// Whether `inner` is `outer` or lies below it; both in the normal spelling.
#[must_use]
pub(crate) fn covers(outer: &str, inner: &str) -> bool {
    outer.is_empty()
        || inner == outer
        || (inner.len() > outer.len() && inner.starts_with(outer) && inner.as_bytes()[outer.len()] == b'/')
}

/// Escapes a property key for use inside a patch path (contract 1.6).
#[must_use]
pub(crate) fn escape_key(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_at_the_ends_and_doubled_ones_do_not_count() {
        for spelling in ["a/b", "/a/b", "a/b/", "//a//b//"] {
            assert_eq!(normal(spelling), "a/b");
        }
        assert_eq!(normal("/"), "");
        assert_eq!(absolute(""), "/");
    }

    #[test]
    fn a_tab_stands_under_a_number() {
        for path in ["ui/tab-1", "ui/tab-42/route"] {
            assert!(is_of_a_tab(path), "{path}");
        }
        for path in ["", "ui", "ui/tab-", "ui/tab-1x", "ui/tabs", "tab-1", "a/ui/tab-1"] {
            assert!(!is_of_a_tab(path), "{path}");
        }
    }

    #[test]
    fn a_path_covers_itself_and_what_lies_below_but_not_a_longer_name() {
        assert!(covers("", "a"));
        assert!(covers("a", "a/b"));
        assert!(covers("a", "a"));
        assert!(!covers("a", "ab"));
        assert!(!covers("a/b", "a"));
    }
}
