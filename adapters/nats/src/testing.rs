//! What tests of applications need: a bus that loses messages, and servers that can be killed and listened to.

mod dropping;
mod server;
mod wiretap;

pub use dropping::Dropping;
pub use server::NatsServer;
pub use wiretap::{Heard, Wiretap};
