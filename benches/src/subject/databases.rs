//! The databases that are compared, by name.

use std::path::Path;

use super::event_log::EventLog;
#[cfg(feature = "databases")]
use super::fjall_log::FjallLog;
#[cfg(feature = "databases")]
use super::redb_log::RedbLog;
use super::sqlite_log::SqliteLog;
use crate::failure::Failure;
use crate::plan::database_kind::DatabaseKind;

/// Opens a database in a directory.
///
/// # Errors
/// Also if it is one that this build does not have.
pub(crate) fn open(kind: DatabaseKind, directory: &Path) -> Result<Box<dyn EventLog>, Failure> {
    match kind {
        DatabaseKind::Sqlite => Ok(Box::new(SqliteLog::open(directory)?)),
        #[cfg(feature = "databases")]
        DatabaseKind::Redb => Ok(Box::new(RedbLog::open(directory)?)),
        #[cfg(feature = "databases")]
        DatabaseKind::Fjall => Ok(Box::new(FjallLog::open(directory)?)),
        #[cfg(not(feature = "databases"))]
        other => Err(format!("{} is there with the feature `databases`", other.name()).into()),
    }
}
