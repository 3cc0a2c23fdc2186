//! Times as they are sent, in ms since 1970.

use serde::{Deserialize, Deserializer, Serializer, de, ser};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds are what is signed: a text that says more would not be what was signed.
fn parse(text: &str) -> Option<u64> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let nanos = at.unix_timestamp_nanos();
    (nanos % 1_000_000 == 0).then(|| u64::try_from(nanos / 1_000_000).ok())?
}

pub(crate) fn format(ms: u64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok()?.format(&Rfc3339).ok()
}

pub(crate) fn serialize<S: Serializer>(ms: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    let text = format(*ms).ok_or_else(|| ser::Error::custom("the time is beyond the year 9999"))?;
    serializer.serialize_str(&text)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| de::Error::custom("a time is RFC 3339, with milliseconds at most, from 1970 on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_and_written_with_milliseconds() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-04-06T14:00:10.123Z", 1_775_484_010_123),
            ("2026-04-06T16:00:10.123+02:00", 1_775_484_010_123),
        ] {
            assert_eq!(parse(text), Some(ms), "{text}");
        }
        assert_eq!(format(1_775_484_010_123).as_deref(), Some("2026-04-06T14:00:10.123Z"));
        for wrong in ["", "2026-04-06", "2026-04-06T14:00:10", "1969-12-31T23:59:59Z", "2026-04-06T14:00:10.0001Z"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(format(u64::MAX), None);
    }
}
