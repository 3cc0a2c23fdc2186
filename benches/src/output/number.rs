//! Numbers as tables print them.

/// Digits in groups of three.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(super) fn bytes(value: Option<f64>) -> Option<String> {
    value.map(|value| grouped(value.round() as i64))
}

/// Two decimals, or none from 100 on.
pub(super) fn decimal(value: Option<f64>) -> Option<String> {
    value.map(|value| if value >= 100.0 { grouped(value.round() as i64) } else { format!("{value:.2}") })
}

pub(super) fn count(value: Option<u64>) -> Option<String> {
    value.map(|value| grouped(i64::try_from(value).unwrap_or(i64::MAX)))
}

pub(super) fn ratio(value: Option<f64>) -> Option<String> {
    value.map(|value| format!("{value:.1}x"))
}

pub(super) fn percent(value: Option<f64>, decimals: usize) -> Option<String> {
    value.map(|value| format!("{value:.decimals$}%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        assert_eq!(count(Some(999)).as_deref(), Some("999"));
        assert_eq!(count(Some(1_234_567)).as_deref(), Some("1,234,567"));
        assert_eq!(bytes(Some(-1_000.4)).as_deref(), Some("-1,000"));
        assert_eq!(decimal(Some(99.994)).as_deref(), Some("99.99"));
        assert_eq!(decimal(Some(1_234.5)).as_deref(), Some("1,235"));
    }
}
