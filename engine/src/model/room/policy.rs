//! What is fixed about a room when it is created.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::Text;
use crate::model::id;

/// Who has a role in a room, beside those whom the owner admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Nobody else.
    #[default]
    Invited,
    /// Every user of the project is a member.
    Project,
    /// Every user of the project may observe.
    Observe,
}

/// What happens to a run while another one is in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Queue {
    /// It waits.
    #[default]
    Serial,
    /// It is refused.
    Reject,
    /// It runs as well.
    Parallel,
}

/// How much those in a room are trusted. Each level includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Nobody vouches for them.
    #[default]
    Untrusted,
    /// Trusted until something speaks against it.
    Provisional,
    /// Somebody vouches for them.
    Verified,
}

impl Trust {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::Provisional => "provisional",
            Self::Verified => "verified",
        }
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether dangerous actions may be invoked in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They may.
    #[default]
    Production,
    /// They are refused.
    Sandbox,
}

impl Mode {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Sandbox => "sandbox",
        }
    }
}

/// What becomes of a room's events when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnEnd {
    /// They are dropped.
    #[default]
    Drop,
    /// They stay readable.
    Archive,
}

/// For whom they stay readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArchiveFor {
    /// For those who took part.
    #[default]
    Participants,
    /// For every user of the project.
    Project,
}

/// What a room may read of its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Facet {
    /// The entries of its memory.
    Memory,
    /// Its agent.
    Agent,
    /// Its attributes.
    Attributes,
}

/// By which way a room was created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Origin {
    /// By the action `create`.
    Slop,
    /// By an HTTP request.
    Http,
    /// By a NATS message.
    Nats,
    /// By the application itself.
    #[default]
    App,
}

impl Origin {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slop => "slop",
            Self::Http => "http",
            Self::Nats => "nats",
            Self::App => "app",
        }
    }
}

/// A room to be created. Its fields are those of the action `create` (rooms 3).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewRoom {
    #[serde(skip)]
    pub(crate) id: Option<Text>,
    #[serde(skip)]
    pub(crate) origin: Origin,
    pub(crate) title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) contract: Option<String>,
    pub(crate) access: Access,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ttl_s: Option<u64>,
    pub(crate) sliding: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trust: Option<Trust>,
    pub(crate) strict: bool,
    pub(crate) mode: Mode,
    pub(crate) streaming: bool,
    pub(crate) replayable: bool,
    pub(crate) one_shot: bool,
    pub(crate) on_end: OnEnd,
    pub(crate) archive_for: ArchiveFor,
    pub(crate) queue: Queue,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<String>,
    pub(crate) inherit: Vec<Facet>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) memory: BTreeMap<String, Value>,
}

/// How long a title may be, in bytes.
const TITLE_BYTES: usize = 512;

/// How long the name of an agent, a contract or an attribute may be, in bytes.
const NAME_BYTES: usize = 128;

/// How long the value of an attribute may be, in bytes.
const ATTRIBUTE_BYTES: usize = 1_024;

/// How many attributes a room may have.
const ATTRIBUTES: usize = 64;

/// The longest time to live, in s.
const TTL_MAX_S: u64 = 2_592_000;

/// Why a room or a message cannot be as it was asked for: a sentence that names the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invalid(pub(crate) String);

/// `Ok` if something holds.
pub(crate) fn check(holds: bool, sentence: impl FnOnce() -> String) -> Result<(), Invalid> {
    if holds { Ok(()) } else { Err(Invalid(sentence())) }
}

/// A text that is there and not too long.
pub(crate) fn check_name(field: &str, name: &str, max: usize) -> Result<(), Invalid> {
    check((1..=max).contains(&name.len()), || format!("`{field}` must have 1 to {max} bytes"))
}

impl Default for NewRoom {
    fn default() -> Self {
        Self {
            id: None,
            origin: Origin::default(),
            title: String::new(),
            agent: None,
            contract: None,
            access: Access::default(),
            ttl_s: None,
            sliding: true,
            trust: None,
            strict: false,
            mode: Mode::default(),
            streaming: true,
            replayable: false,
            one_shot: false,
            on_end: OnEnd::default(),
            archive_for: ArchiveFor::default(),
            queue: Queue::default(),
            parent: None,
            inherit: Vec::new(),
            attributes: BTreeMap::new(),
            memory: BTreeMap::new(),
        }
    }
}

impl NewRoom {
    /// A room with this title, to which only those have access whom its owner admits.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// An id of the application's choice, in place of a random one. It must be a node id (contract 2.5) that no other room
    /// of the engine has, whatever its project.
    #[must_use]
    pub fn id(mut self, id: impl Into<Text>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// By which way it is created; [`Origin::App`] otherwise.
    #[must_use]
    pub const fn origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// The agent that runs in it.
    #[must_use]
    pub fn agent(mut self, name: impl Into<String>) -> Self {
        self.agent = Some(name.into());
        self
    }

    /// The contract that the agent must have.
    #[must_use]
    pub fn contract(mut self, name: impl Into<String>) -> Self {
        self.contract = Some(name.into());
        self
    }

    /// Who has a role, beside those whom the owner admits.
    #[must_use]
    pub const fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// After how many seconds it ends, counted from the last message or run.
    #[must_use]
    pub const fn ttl_s(mut self, seconds: u64) -> Self {
        self.ttl_s = Some(seconds);
        self
    }

    /// Whether the time to live is counted from the last message or run (the default), or from the creation.
    #[must_use]
    pub const fn sliding(mut self, sliding: bool) -> Self {
        self.sliding = sliding;
        self
    }

    /// The trust that is asked for; at most that of the creating session is granted.
    #[must_use]
    pub const fn trust(mut self, trust: Trust) -> Self {
        self.trust = Some(trust);
        self
    }

    /// Whether to refuse the creation if less trust would be granted than was asked for.
    #[must_use]
    pub const fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Whether dangerous actions may be invoked in it.
    #[must_use]
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether runs stream what they do; otherwise only their ends are events.
    #[must_use]
    pub const fn streaming(mut self, streaming: bool) -> Self {
        self.streaming = streaming;
        self
    }

    /// Whether its events can be read later on.
    #[must_use]
    pub const fn replayable(mut self, replayable: bool) -> Self {
        self.replayable = replayable;
        self
    }

    /// Whether its first run ends it.
    #[must_use]
    pub const fn one_shot(mut self, one_shot: bool) -> Self {
        self.one_shot = one_shot;
        self
    }

    /// What becomes of its events when it ends.
    #[must_use]
    pub const fn on_end(mut self, on_end: OnEnd) -> Self {
        self.on_end = on_end;
        self
    }

    /// For whom they stay readable.
    #[must_use]
    pub const fn archive_for(mut self, archive_for: ArchiveFor) -> Self {
        self.archive_for = archive_for;
        self
    }

    /// What happens to a run while another one is in progress.
    #[must_use]
    pub const fn queue(mut self, queue: Queue) -> Self {
        self.queue = queue;
        self
    }

    /// The room to which it belongs, and what it may read of that.
    #[must_use]
    pub fn parent(mut self, id: impl Into<String>, inherit: impl IntoIterator<Item = Facet>) -> Self {
        self.parent = Some(id.into());
        self.inherit = inherit.into_iter().collect();
        self
    }

    /// Something that the application wants to know about it.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// Something that is kept in it from the start.
    #[must_use]
    pub fn memory(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.memory.insert(key.into(), value.into());
        self
    }

    /// # Errors
    /// A sentence about the first field that cannot be used.
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        if let Some(id) = &self.id {
            id::check(id).map_err(|why| Invalid(format!("`id` cannot be used: {why}")))?;
        }
        check(self.title.len() <= TITLE_BYTES, || format!("`title` must have at most {TITLE_BYTES} bytes"))?;
        self.agent.as_ref().map_or(Ok(()), |name| check_name("agent", name, NAME_BYTES))?;
        self.contract.as_ref().map_or(Ok(()), |name| check_name("contract", name, NAME_BYTES))?;
        let ttl_fits = self.ttl_s.is_none_or(|ttl| (1..=TTL_MAX_S).contains(&ttl));
        check(ttl_fits, || format!("`ttl_s` must be from 1 to {TTL_MAX_S}"))?;
        check(self.inherit.is_empty() || self.parent.is_some(), || "`inherit` needs a `parent`".to_owned())?;
        self.validate_attributes()
    }

    fn validate_attributes(&self) -> Result<(), Invalid> {
        check(self.attributes.len() <= ATTRIBUTES, || format!("`attributes` must have at most {ATTRIBUTES} entries"))?;
        for (name, value) in &self.attributes {
            check_name("attributes", name, NAME_BYTES)
                .map_err(|_| Invalid(format!("the names in `attributes` must have 1 to {NAME_BYTES} bytes")))?;
            let fits = value.len() <= ATTRIBUTE_BYTES;
            check(fits, || format!("the values in `attributes` must have at most {ATTRIBUTE_BYTES} bytes"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(params: serde_json::Value) -> NewRoom {
        serde_json::from_value(params).unwrap()
    }

    #[test]
    fn whatever_is_not_said_has_the_default_of_the_contract() {
        let room = parsed(json!({}));
        assert_eq!((room.access, room.queue, room.mode, room.on_end), Default::default());
        assert!(room.sliding && room.streaming && !room.replayable && !room.one_shot && !room.strict);
        assert_eq!((room.ttl_s, room.trust, room.validate()), (None, None, Ok(())));
    }

    #[test]
    fn all_fields_of_the_action_are_read() {
        let room = parsed(json!({
            "title": "t", "access": "observe", "ttl_s": 5, "sliding": false, "trust": "provisional", "strict": true,
            "mode": "sandbox", "streaming": false, "replayable": true, "one_shot": true, "on_end": "archive",
            "archive_for": "project", "queue": "parallel", "parent": "m_1", "inherit": ["memory"], "attributes": {"a": "b"},
        }));
        assert_eq!((room.access, room.queue, room.mode), (Access::Observe, Queue::Parallel, Mode::Sandbox));
        assert_eq!((room.on_end, room.archive_for, room.ttl_s), (OnEnd::Archive, ArchiveFor::Project, Some(5)));
        assert_eq!((room.trust, room.inherit.as_slice()), (Some(Trust::Provisional), &[Facet::Memory][..]));
        assert!(serde_json::from_value::<NewRoom>(json!({"id": "mine"})).is_err(), "only the application chooses ids");
        assert!(serde_json::from_value::<NewRoom>(json!({"owner": "bob"})).is_err());
    }

    #[test]
    fn a_field_that_cannot_be_used_is_named() {
        let long = |bytes: usize| "x".repeat(bytes);
        let many = (0..65).fold(NewRoom::new("t"), |room, at| room.attribute(at.to_string(), ""));
        for (room, field) in [
            (NewRoom::new(long(513)), "`title`"),
            (NewRoom::new("t").id("a/b"), "`id`"),
            (NewRoom::new("t").agent(""), "`agent`"),
            (NewRoom::new("t").agent("a").contract(long(129)), "`contract`"),
            (NewRoom::new("t").ttl_s(0), "`ttl_s`"),
            (NewRoom::new("t").ttl_s(2_592_001), "`ttl_s`"),
            (NewRoom { inherit: vec![Facet::Agent], ..NewRoom::new("t") }, "`inherit`"),
            (NewRoom::new("t").attribute("", "v"), "`attributes`"),
            (NewRoom::new("t").attribute("n", long(1_025)), "`attributes`"),
            (many, "`attributes`"),
        ] {
            let Invalid(sentence) = room.validate().unwrap_err();
            assert!(sentence.contains(field), "{sentence}");
        }
        assert_eq!(NewRoom::new(long(512)).id("board").ttl_s(2_592_000).attribute("n", long(1_024)).validate(), Ok(()));
    }

    #[test]
    fn trust_is_ordered() {
        assert!(Trust::Untrusted < Trust::Provisional && Trust::Provisional < Trust::Verified);
    }
}
