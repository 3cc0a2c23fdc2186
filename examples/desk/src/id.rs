//! What a thing is called: its row number behind one letter, the same in the tree, on the page and in a form.

use std::fmt;
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Deserializer, de};

/// A row of one table, written as the letter and the number: `t12`. The letter keeps a card from passing for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id<const LETTER: char>(i64);

/// A task: `t12`.
pub(crate) type TaskId = Id<'t'>;
/// A message: `m12`.
pub(crate) type MessageId = Id<'m'>;
/// A card on a board: `c12`.
pub(crate) type CardId = Id<'c'>;
/// An export: `e12`.
pub(crate) type ExportId = Id<'e'>;

/// The text names no row of this kind.
#[derive(Debug)]
pub(crate) struct NotAnId;

impl<const LETTER: char> Id<LETTER> {
    /// The id of the row SQLite has just inserted.
    pub(crate) fn from_row(number: i64) -> Self {
        Self(number)
    }
}

impl<const LETTER: char> fmt::Display for Id<LETTER> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{LETTER}{}", self.0)
    }
}

impl<const LETTER: char> FromStr for Id<LETTER> {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let digits = text.strip_prefix(LETTER).ok_or(NotAnId)?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        if plain { digits.parse().map(Self).map_err(|_| NotAnId) } else { Err(NotAnId) }
    }
}

impl<'de, const LETTER: char> Deserialize<'de> for Id<LETTER> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|NotAnId| de::Error::custom("this is not the name of anything here"))
    }
}

impl<const LETTER: char> ToSql for Id<LETTER> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

impl<const LETTER: char> FromSql for Id<LETTER> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_letter_and_digits_are_an_id() {
        assert_eq!("t12".parse::<TaskId>().ok(), Some(Id(12)));
        for text in ["", "t", "12", "c12", "t-1", "t+1", "t1x", "task-1", "t99999999999999999999"] {
            assert!(text.parse::<TaskId>().is_err(), "{text}");
        }
    }
}
