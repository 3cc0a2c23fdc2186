//! Processes that people launch as sessions of theirs, each with a key of its own.

use std::sync::Arc;

use grove_attest::{Members, Peers};
use grove_engine::Engine;

use crate::error::Result;
use crate::session::attributes_of;
use crate::store::Store;

/// The name of this server in what people sign.
const AUDIENCE: &str = "desk";

/// The sessions that people launch: each is a session of its person, with the rights that the launch asked for.
pub(crate) fn peers(engine: &Engine, members: impl Members + 'static, store: &Arc<Store>) -> Result<Peers> {
    let store = Arc::clone(store);
    let peers = Peers::new(engine, members, AUDIENCE)?;
    Ok(peers.attributes(move |peer| {
        // A session of somebody whom the store cannot find has an empty desk.
        let Ok(Some(person)) = store.person(&peer.member) else { return Vec::new() };
        attributes_of(&person).map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }))
}
