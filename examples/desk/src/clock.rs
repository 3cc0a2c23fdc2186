//! The calendar: the one place that asks the system what time it is. Everything is UTC.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

const DAY_SECONDS: i64 = 86_400;

/// A point in time, in whole seconds since 1970. Written as RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(i64);

impl Moment {
    #[expect(clippy::disallowed_methods, reason = "a desk is dated by the wall; no test depends on the hour")]
    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }

    pub(crate) fn day(self) -> Day {
        Day(self.0.div_euclid(DAY_SECONDS))
    }

    pub(crate) fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// For `Set-Cookie` and the expiry of an engine session. A moment before 1970 counts as 1970.
    pub(crate) fn to_system_time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(u64::try_from(self.0).unwrap_or(0))
    }

    /// How long until the next day begins.
    pub(crate) fn until_midnight(self) -> Duration {
        let into_the_day = self.0.rem_euclid(DAY_SECONDS);
        Duration::from_secs(u64::try_from(DAY_SECONDS - into_the_day).unwrap_or(1))
    }

    fn hour_and_minute(self) -> (i64, i64) {
        let seconds = self.0.rem_euclid(DAY_SECONDS);
        (seconds / 3600, seconds / 60 % 60)
    }

    /// As a person reads it in a list: the time for today, else the day.
    pub(crate) fn in_a_list(self, today: Day) -> String {
        let (hour, minute) = self.hour_and_minute();
        if self.day() == today { format!("{hour:02}:{minute:02}") } else { self.day().short() }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute) = self.hour_and_minute();
        write!(f, "{}T{hour:02}:{minute:02}:{:02}Z", self.day(), self.0.rem_euclid(60))
    }
}

impl ToSql for Moment {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

impl FromSql for Moment {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self)
    }
}

/// A calendar day, counted from 1970-01-01. Written and stored as `2026-03-09`, which also sorts as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(i64);

impl Day {
    pub(crate) fn today() -> Self {
        Moment::now().day()
    }

    pub(crate) fn plus(self, days: i64) -> Self {
        Self(self.0 + days)
    }

    /// Days from this day to `later`; negative when `later` is earlier.
    pub(crate) fn until(self, later: Self) -> i64 {
        later.0 - self.0
    }

    pub(crate) fn at(self, hour: i64, minute: i64) -> Moment {
        Moment(self.0 * DAY_SECONDS + hour * 3600 + minute * 60)
    }

    pub(crate) fn is_weekend(self) -> bool {
        // 1970-01-01 was a Thursday.
        matches!((self.0 + 4).rem_euclid(7), 0 | 6)
    }

    /// `9 Mar`
    pub(crate) fn short(self) -> String {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (_, month, day) = self.civil();
        format!("{day} {}", MONTHS[month as usize - 1])
    }

    /// Year, month and day of the month, by counting from 1 March of year 0 so that a leap day ends its year.
    fn civil(self) -> (i64, i64, i64) {
        let days = self.0 + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        (year_of_era + era * 400 + i64::from(month <= 2), month, day)
    }

    fn from_civil(year: i64, month: i64, day: i64) -> Self {
        let year = if month <= 2 { year - 1 } else { year };
        let from_march = if month > 2 { month - 3 } else { month + 9 };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * from_march + 2) / 5 + day - 1;
        Self(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// The text is not a day of the calendar in the form `2026-03-09`.
#[derive(Debug)]
pub(crate) struct NotADay;

impl FromStr for Day {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Self, NotADay> {
        let numbers = text.splitn(3, '-').map(|part| part.parse::<i64>().map_err(|_| NotADay));
        let [year, month, day] = numbers.collect::<Result<Vec<_>, _>>()?.try_into().map_err(|_| NotADay)?;
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(NotADay);
        }
        let parsed = Self::from_civil(year, month, day);
        // 31 February becomes a day in March and then does not read back as itself; neither does `2026-3-9`.
        if parsed.to_string() == text { Ok(parsed) } else { Err(NotADay) }
    }
}

impl ToSql for Day {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

impl FromSql for Day {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(|NotADay| FromSqlError::InvalidType)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_reads_back_what_it_wrote() {
        for count in (-800..60_000).step_by(17).map(|step| step + 59) {
            let day = Day(count.max(0));
            assert_eq!(day.to_string().parse::<Day>().ok(), Some(day));
        }
        assert_eq!("2000-02-29".parse::<Day>().ok(), Some(Day(11_016)));
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in ["", "tomorrow", "2026-02-30", "2026-3-9", "2026-13-01", "2026-01-01-01", "+026-01-01"] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_moment_is_written_as_rfc_3339() {
        assert_eq!(Moment(951_782_399).to_string(), "2000-02-28T23:59:59Z");
        assert_eq!(Moment(951_782_400).to_string(), "2000-02-29T00:00:00Z");
        assert!(!Moment(951_782_400).day().is_weekend(), "it was a Tuesday");
        assert!(Day(2).is_weekend(), "3 January 1970 was a Saturday");
    }
}
