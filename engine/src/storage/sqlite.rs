//! An embedded database: where rooms and their past survive a restart.

mod lock;
mod schema;
mod write_ahead_log;
mod repairing;
mod writing;
pub(crate) mod database;
