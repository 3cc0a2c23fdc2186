//! A small provider with a fixed tree and actions that change it in every way that the protocol allows. Any SLOP client can
//! drive it, so the same black-box tests run against any build.
//!
//! ```text
//!   POST /control/..      an action
//!          |                  |
//!       control            catalog -> driver, step by step
//!          |                  |
//!          '------.    .------'
//!                 v    v
//!                 state        own: the nodes of one session
//!                   |
//!                 tree         descriptor functions
//!                   |
//!                 engine       /slop
//! ```
//!
//! | module | what it knows |
//! |---|---|
//! | `options`, `tokens` | the command line; which tokens may connect, and their sessions |
//! | `node`, `seed` | the model of a node, and the tree that each session starts with |
//! | `state`, `own` | the app's data, and every way to change it |
//! | `step`, `content`, `driver` | the driver actions: how a call is parsed, and what it does |
//! | `catalog`, `tree` | actions and descriptors for the engine |
//! | `notes`, `rooms` | with `--rooms`: what the app shows in rooms, and who may do what in them |
//! | `noted`, `agents` | with `--rooms`: the scripted agents, and what one of them notes for good |
//! | `audit` | with `--rooms`: what was refused, created, closed, revoked and taken over |
//! | `bus` | with `--nats`: what connects this instance with the others |
//! | `control` | what can be done over HTTP |
//! | `app`, `server` | all of it together, and how it is served |

mod agents;
mod app;
mod audit;
mod bus;
mod catalog;
mod content;
mod control;
mod driver;
mod members;
mod node;
mod noted;
mod notes;
mod options;
mod own;
mod rooms;
mod seed;
mod server;
mod state;
mod step;
mod tokens;
mod tree;

pub use options::Options;
pub use server::{Running, start};
pub use tokens::session_of;
