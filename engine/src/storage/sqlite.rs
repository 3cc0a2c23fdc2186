//! An embedded database: where rooms and their past survive a restart.

mod lock;
mod schema;
mod write_ahead_log;
mod copying;
mod repairing;
mod damage;
mod writing;
pub(crate) mod database;
