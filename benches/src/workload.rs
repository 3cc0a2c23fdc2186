//! What the application shows, for Grove and for the peer alike.

pub(crate) mod corpus;
pub(crate) mod inbox;
pub(crate) mod mail;
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
    /// 101 nodes, about 35 KB: a list of 90 todos whose titles name the user, and a few things beside it.
    #[serde(rename = "inbox-101")]
    #[value(name = "inbox-101")]
    Inbox,
    /// About 500 nodes: 20 threads of 24 messages with texts that do not repeat.
    #[serde(rename = "mail-500")]
    #[value(name = "mail-500")]
    Mail,
}

/// How alike sessions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Likeness {
    /// No two sessions show the same texts.
    Distinct,
    /// Ten sessions each show the same, and the engine cannot know it before it has rendered them: the user was read.
    Tenth,
    /// All sessions show the same, and the descriptor reads an attribute that they have in common.
    One,
}

impl Workload {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Inbox => "inbox-101",
            Self::Mail => "mail-500",
        }
    }

    /// Registers the application for everybody in the population.
    pub(crate) fn register(self, engine: &Engine, population: &Arc<Population>) {
        match self {
            Self::Inbox => inbox::register(engine, population),
            Self::Mail => mail::register(engine, population),
        }
    }

    /// Makes the application for one session, whose closures know whose they are.
    pub(crate) fn factory(
        self,
        population: &Arc<Population>,
    ) -> Box<dyn Fn(&Session) -> SessionProvider + Send + Sync> {
        match self {
            Self::Inbox => Box::new(inbox::factory(population)),
            Self::Mail => Box::new(mail::factory(population)),
        }
    }

    /// Registers the application for member `u` alone, as the peer wants it.
    pub(crate) fn register_at_peer(self, server: &SlopServer, population: &Arc<Population>, u: u32) {
        match self {
            Self::Inbox => inbox::register_at_peer(server, population, u),
            Self::Mail => mail::register_at_peer(server, population, u),
        }
    }

    /// The path that shows what a private change changes.
    pub(crate) const fn private_path(self) -> &'static str {
        match self {
            Self::Inbox => "todos",
            Self::Mail => "mail",
        }
    }

    /// The path that shows what a shared change changes.
    pub(crate) const fn shared_path(self) -> &'static str {
        match self {
            Self::Inbox => "announcements",
            Self::Mail => "banner",
        }
    }
}

impl Workload {
    /// A call of an action that everybody's tree offers; it changes nothing.
    pub(crate) fn call(self, number: u64) -> String {
        let (path, action) = match self {
            Self::Inbox => ("/todos/todo-1", "toggle"),
            Self::Mail => ("/mail/t-1", "archive"),
        };
        format!(r#"{{"type":"invoke","id":"call-{number}","path":"{path}","action":"{action}"}}"#)
    }
}

impl Likeness {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Distinct => "distinct",
            Self::Tenth => "tenth",
            Self::One => "one",
        }
    }
}
