//! Who works here.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

/// A person with a desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The login name, unique in the whole desk: `alice`.
    pub name: String,
    /// The name others read: `Alice Moreau`.
    pub display: String,
    /// The org whose board the person sees: `acme`.
    pub org: String,
    /// What the person may do.
    pub role: Role,
}

/// What a person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs the org. May change everything a member may.
    Owner,
    /// Works here: changes the own desk and the org's board.
    Member,
    /// Looks, and changes nothing.
    Viewer,
}

impl Role {
    /// Whether somebody with this role may change anything.
    #[must_use]
    pub fn may_write(self) -> bool {
        match self {
            Self::Owner | Self::Member => true,
            Self::Viewer => false,
        }
    }

    /// The word for it: `owner`, `member`, `viewer`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
            Self::Viewer => "viewer",
        }
    }
}

impl ToSql for Role {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Role {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word = value.as_str()?;
        let known = [Self::Owner, Self::Member, Self::Viewer];
        known.into_iter().find(|role| role.as_str() == word).ok_or(FromSqlError::InvalidType)
    }
}
