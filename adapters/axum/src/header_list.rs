//! Headers whose value is a list, possibly spread over several lines (RFC 9110, 5.3).

use axum::http::{HeaderMap, HeaderName};

/// The elements of all lines of a header, in order.
pub(crate) fn elements<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    let lines = headers.get_all(name).iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

/// Whether the list has this element, in any case.
pub(crate) fn contains(headers: &HeaderMap, name: &HeaderName, element: &str) -> bool {
    elements(headers, name).any(|found| found.eq_ignore_ascii_case(element.as_bytes()))
}

#[cfg(test)]
mod tests {
    use axum::http::header::{CONNECTION, HeaderValue};

    use super::*;

    #[test]
    fn elements_of_all_lines_count_and_other_bytes_do_not_matter() {
        let lines: [&[u8]; 3] = [b"keep-alive, \xe9", b" UPGRADE ,close", b""];
        let lines = lines.map(|line| (CONNECTION, HeaderValue::from_bytes(line).unwrap()));
        let headers: HeaderMap = lines.into_iter().collect();
        assert!(["keep-alive", "upgrade", "Close"].into_iter().all(|element| contains(&headers, &CONNECTION, element)));
        assert!(!["keep", "upgrade ,close"].into_iter().any(|element| contains(&headers, &CONNECTION, element)));
    }
}
