//! What a consumer is told first.

use std::hash::{BuildHasher, RandomState};

use serde_json::{Map, Value};

use crate::deliver::connection_name::ConnectionNames;
use crate::model::Text;
use crate::protocol::encode;
use crate::sessions::slot::Slot;

/// Writes `hello`.
#[derive(Debug)]
pub(crate) struct Greeter {
    pub(crate) id: Text,
    pub(crate) name: Text,
    /// Tells the versions of this engine from those of another, or of an earlier one.
    epoch: String,
    names: ConnectionNames,
    /// The fields of the session that the application lets out.
    fields: Vec<Text>,
}

impl Greeter {
    pub(crate) fn new(id: Text, name: Text, fields: Vec<Text>) -> Self {
        Self { id, name, epoch: epoch(), names: ConnectionNames::default(), fields }
    }

    /// `hello`, with the fields of the session that the application lets out (contract 1.1).
    pub(crate) fn hello(&self, slot: &Slot, connection: u64) -> String {
        let session = self.session(slot);
        let session = (!session.is_empty()).then_some(Value::Object(session));
        encode::hello(&self.id, &self.name, &self.epoch, &self.names.of(connection), session.as_ref())
    }

    fn session(&self, slot: &Slot) -> Map<String, Value> {
        let session = slot.session();
        let field = |name: &str| match name {
            "user" => session.user(),
            "project" => session.project(),
            name => session.attribute(name),
        };
        self.fields.iter().filter_map(|name| Some((name.to_string(), field(name)?.into()))).collect()
    }

    pub(crate) fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The name by which a consumer may refer to the connection with this number.
    pub(crate) fn connection_name(&self, connection: u64) -> String {
        self.names.of(connection)
    }
}

/// A string that no other engine has: the hasher's seeds are random, and others each time.
fn epoch() -> String {
    [RandomState::new(), RandomState::new()].map(|seed| format!("{:016x}", seed.hash_one("epoch"))).concat()
}
