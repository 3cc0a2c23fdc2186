//! What a consumer is told first.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::config::{ConfigError, Limit};
use crate::deliver::connection_name::ConnectionNames;
use crate::event::{Event, Observers};
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
    max_frame_bytes: usize,
    observers: Arc<Observers>,
}

impl Greeter {
    pub(crate) fn new(
        id: Text,
        name: Text,
        fields: Vec<Text>,
        max_frame_bytes: usize,
        observers: Arc<Observers>,
    ) -> Self {
        Self { id, name, epoch: epoch(), names: ConnectionNames::default(), fields, max_frame_bytes, observers }
    }

    /// Whether `hello` fits a frame, whoever connects.
    pub(crate) fn validate(id: &str, name: &str, max_frame_bytes: usize) -> Result<(), ConfigError> {
        let names = "0".repeat(EPOCH_BYTES);
        if encode::hello(id, name, &names, &names, None).len() > max_frame_bytes {
            return Err(ConfigError::new("sizes.frame_bytes", "must hold `hello`: the provider's name is too long"));
        }
        Ok(())
    }

    /// `hello`, with the fields of the session that the application lets out (contract 1.1). If they do not fit a frame,
    /// they are left out.
    pub(crate) fn hello(&self, slot: &Slot, connection: u64) -> String {
        let session = self.session(slot);
        let session = (!session.is_empty()).then_some(Value::Object(session));
        let hello = |session: Option<&Value>| {
            encode::hello(&self.id, &self.name, &self.epoch, &self.names.of(connection), session)
        };
        let text = hello(session.as_ref());
        if text.len() <= self.max_frame_bytes {
            return text;
        }
        self.observers.warn(&Event::LimitReached { limit: Limit::FrameBytes, session: slot.id() });
        hello(None)
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

/// How long an epoch is; the name of a connection is shorter.
const EPOCH_BYTES: usize = 32;

/// A string that no other engine has: the hasher's seeds are random, and others each time.
fn epoch() -> String {
    [RandomState::new(), RandomState::new()].map(|seed| format!("{:016x}", seed.hash_one("epoch"))).concat()
}
