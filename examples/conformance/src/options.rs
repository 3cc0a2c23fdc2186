//! The command line.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, value_parser};
use grove_engine::{Config, Instance, RoomLimits};

/// A small provider with a fixed tree, to be driven by black-box tests.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub listen: String,
    /// How long changes are coalesced before they are rendered, in ms.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub debounce_ms: u64,
    /// How long the tree of a session without a consumer is kept, in ms.
    #[arg(long, value_name = "N", default_value_t = 60_000)]
    pub idle_ms: u64,
    /// The number of trees that are kept for sessions without a consumer.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub max_trees: usize,
    /// The lifetime of a session after its first authentication, in ms; by default it does not expire.
    #[arg(long, value_name = "N")]
    pub session_ttl_ms: Option<u64>,
    /// Another origin whose pages may connect, such as `https://app.example`; may be given several times.
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    pub allow_origin: Vec<String>,
    /// A provider for each session, instead of one for all.
    #[arg(long)]
    pub per_session: bool,
    /// The largest message that a consumer may send, in bytes.
    #[arg(long, value_name = "N", default_value_t = 65_536)]
    pub max_message_bytes: usize,
    /// The messages per second that each connection may send; by default there is no limit.
    #[arg(long, value_name = "N")]
    pub rate: Option<NonZeroU32>,
    /// Rooms, in which several sessions work together, and `/presence`.
    #[arg(long)]
    pub rooms: bool,
    /// Where rooms that are replayable or will be archived are kept; in memory by default. Implies `--rooms`.
    #[arg(long, value_name = "DIR")]
    pub storage: Option<PathBuf>,
    /// `/peers`, for processes with keys of their own. Implies `--rooms`.
    #[arg(long)]
    pub peers: bool,
    /// The servers of NATS, separated by commas, over which the instances of a cluster speak. Implies `--rooms`.
    #[arg(long, value_name = "URL")]
    pub nats: Option<String>,
    /// The name of this instance, which no other has at the same time.
    #[arg(long, value_name = "NAME", requires = "nats", value_parser = instance, default_value_t = format!("instance-{}", std::process::id()))]
    pub instance: String,
    /// The name of this server in what peers sign.
    #[arg(long, value_name = "NAME", default_value = "conformance")]
    pub audience: String,
    /// How many peers there may be.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub max_peers: usize,
    /// How long a participant may show no sign of life before it is shown as offline, in ms.
    #[arg(long, value_name = "N", default_value_t = 30_000, value_parser = value_parser!(u64).range(1..))]
    pub offline_ms: u64,
    /// How long a participant may show no sign of life before it has left, in ms.
    #[arg(long, value_name = "N", default_value_t = 90_000, value_parser = value_parser!(u64).range(1..))]
    pub left_ms: u64,
    /// How often a connection that receives nothing else from a room is sent a heartbeat, in ms.
    #[arg(long, value_name = "N", default_value_t = 30_000, value_parser = value_parser!(u64).range(1..))]
    pub heartbeat_ms: u64,
    /// How long the node of a room that ended stays, in ms.
    #[arg(long, value_name = "N", default_value_t = 60_000)]
    pub room_keep_ms: u64,
    /// How many bytes of events may wait for one connection.
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::new(262_144).expect("it is not zero"))]
    pub event_bytes: NonZeroUsize,
}

/// How many rooms of one project may be decided about by the access function: all that there may be.
const ROOMS_PER_PROJECT: usize = 10_000;

impl Options {
    /// Whether there are rooms.
    pub(crate) const fn has_rooms(&self) -> bool {
        self.rooms || self.peers || self.storage.is_some() || self.nats.is_some()
    }

    /// The engine's configuration.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::default();
        config.times.debounce = Duration::from_millis(self.debounce_ms);
        config.times.idle_tree = Duration::from_millis(self.idle_ms);
        config.memory.idle_trees = self.max_trees;
        config.sizes.message_bytes = self.max_message_bytes;
        config.limits.messages_per_second = self.rate;
        config.sizes.event_bytes = self.event_bytes.get();
        self.limit_rooms(&mut config.rooms);
        config
    }

    /// Who has left is not there either: the shorter time holds for both.
    fn limit_rooms(&self, rooms: &mut RoomLimits) {
        rooms.offline_after = Duration::from_millis(self.offline_ms.min(self.left_ms));
        rooms.left_after = Duration::from_millis(self.left_ms);
        rooms.heartbeat_interval = Duration::from_millis(self.heartbeat_ms);
        rooms.ended_room_retention = Duration::from_millis(self.room_keep_ms);
        rooms.rooms_per_project = ROOMS_PER_PROJECT;
        rooms.open_rooms_per_project = ROOMS_PER_PROJECT;
    }
}

/// What `EngineBuilder::cluster` takes.
fn instance(text: &str) -> Result<String, String> {
    Instance::check_name(text).map(|()| text.to_owned()).map_err(str::to_owned)
}

/// Checks what the adapter would panic about.
fn origin(text: &str) -> Result<String, String> {
    let is_origin = || {
        let (scheme, host) = text.split_once("://")?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        (!scheme.is_empty() && !host.is_empty() && host.bytes().all(allowed)).then_some(())
    };
    match text == "null" || is_origin().is_some() {
        true => Ok(text.to_owned()),
        false => Err("an origin is scheme://host[:port], without a path or wildcards, or null".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_that_is_none_is_wrong_usage() {
        let parse = |origin| Options::try_parse_from(["conformance", "--allow-origin", origin]);
        for good in ["https://app.example", "http://[::1]:80", "chrome-extension://abc", "null"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in ["*", "https://*.example", "app.example", "https://app.example/", "https://"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
