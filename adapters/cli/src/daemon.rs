//! What holds the links of a user's sessions (peers 4).

mod answer;
mod limits;
mod hooks;
mod letterbox;
mod inbox;
mod registry;
mod reaper;
mod secret_fields;
mod signer_client;
mod upstream;
mod link_state;
mod identity;
mod ask;
mod running_link;
mod link;
mod registration;
mod sessions;
mod listen;
mod routes;
mod run;

pub(crate) use limits::Limits;
pub(crate) use run::start;
pub(crate) use signer_client::SIGNER;
