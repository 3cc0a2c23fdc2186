//! The SQLite file: typed queries and typed writes, without access checks.
//!
//! After the start only the desk writes here: a write that bypassed it would reach no one's screen.

pub(crate) mod board;
mod database;
pub(crate) mod inbox;
pub(crate) mod login;
pub(crate) mod people;
pub(crate) mod tasks;

pub(crate) use board::{Card, Column};
pub(crate) use database::Store;
pub(crate) use inbox::{Message, NewMessage};
pub(crate) use login::Login;
pub(crate) use people::Settings;
pub(crate) use tasks::{Priority, Task, TaskCounts};
