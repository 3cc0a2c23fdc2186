//! The applications whose trees are served, by Grove and by the peer alike.

mod corpus;
mod inbox;
pub(crate) mod likeness;
mod mail;
pub(crate) mod population;

use std::sync::Arc;

use clap::ValueEnum;
use grove_engine::{Engine, Session, SessionProvider};
use serde::{Deserialize, Serialize};
use slop_ai::SlopServer;

use self::population::Population;

/// An application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub(crate) enum Workload {
    /// 101 nodes, about 35 KB of JSON: 90 todos whose titles name the user, and a few other nodes
    #[serde(rename = "inbox-101")]
    #[value(name = "inbox-101")]
    Inbox,
    /// About 500 nodes, 180 KB of JSON: 20 threads of 24 messages with texts that do not repeat
    #[serde(rename = "mail-500")]
    #[value(name = "mail-500")]
    Mail,
}

impl Workload {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Inbox => "inbox-101",
            Self::Mail => "mail-500",
        }
    }

    /// Registers the application for the whole population.
    pub(crate) fn register(self, engine: &Engine, population: &Arc<Population>) {
        match self {
            Self::Inbox => inbox::register(engine, population),
            Self::Mail => mail::register(engine, population),
        }
    }

    /// Makes the application of a single session, whose closures capture that session.
    pub(crate) fn factory(
        self,
        population: &Arc<Population>,
    ) -> Box<dyn Fn(&Session) -> SessionProvider + Send + Sync> {
        match self {
            Self::Inbox => Box::new(inbox::factory(population)),
            Self::Mail => Box::new(mail::factory(population)),
        }
    }

    /// Registers the application of member `u` with a server of the peer.
    pub(crate) fn register_with_peer(self, server: &SlopServer, population: &Arc<Population>, u: u32) {
        match self {
            Self::Inbox => inbox::register_with_peer(server, population, u),
            Self::Mail => mail::register_with_peer(server, population, u),
        }
    }

    /// The path that a private change affects.
    pub(crate) const fn private_path(self) -> &'static str {
        match self {
            Self::Inbox => "todos",
            Self::Mail => "mail",
        }
    }

    /// The path that a shared change affects.
    pub(crate) const fn shared_path(self) -> &'static str {
        match self {
            Self::Inbox => "announcements",
            Self::Mail => "banner",
        }
    }

    /// An `invoke` message for an action that every tree offers and that changes nothing.
    pub(crate) fn invoke(self, number: u64) -> String {
        let (path, action) = match self {
            Self::Inbox => ("/todos/todo-1", "toggle"),
            Self::Mail => ("/mail/t-1", "archive"),
        };
        format!(r#"{{"type":"invoke","id":"call-{number}","path":"{path}","action":"{action}"}}"#)
    }
}
