//! The command line.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::Parser;
use grove_engine::Config;

/// A small provider with a fixed tree, to be driven by black-box tests.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub listen: String,
    /// How long changes gather before they are shown, in ms.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub debounce_ms: u64,
    /// How long the tree of a session without a consumer is kept, in ms.
    #[arg(long, value_name = "N", default_value_t = 60_000)]
    pub idle_ms: u64,
    /// How many trees of sessions without a consumer are kept.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub max_trees: usize,
    /// How long a session lives after it was first authenticated, in ms. Without it there is no end.
    #[arg(long, value_name = "N")]
    pub session_ttl_ms: Option<u64>,
    /// Another origin whose pages may connect, such as `https://app.example`. May be given several times.
    #[arg(long, value_name = "ORIGIN")]
    pub allow_origin: Vec<String>,
    /// One provider for each session, instead of one for all.
    #[arg(long)]
    pub per_session: bool,
    /// The largest message that a consumer may send, in bytes.
    #[arg(long, value_name = "N", default_value_t = 65_536)]
    pub max_message_bytes: usize,
    /// How many messages a consumer may send per second and connection. Without it there is no limit.
    #[arg(long, value_name = "N")]
    pub rate: Option<NonZeroU32>,
}

impl Options {
    /// The engine's bounds.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::default();
        config.times.debounce = Duration::from_millis(self.debounce_ms);
        config.times.idle_tree = Duration::from_millis(self.idle_ms);
        config.memory.idle_trees = self.max_trees;
        config.sizes.message_bytes = self.max_message_bytes;
        config.limits.messages_per_second = self.rate;
        config
    }
}
