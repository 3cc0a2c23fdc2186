//! What stays beside a launched command (peers 5): its files, the socket that signs fresh attestations, its registration, and
//! the signals that it is sent.

mod session_files;
mod voucher;
mod signer;
mod keeper;
mod command;

pub(crate) use command::{Signals, exit_code, spawn, wait};
pub(crate) use keeper::{LaunchedSession, Status, deregister, keep};
pub(crate) use session_files::SessionFiles;
pub(crate) use signer::serve_signer;
pub(crate) use voucher::Voucher;
