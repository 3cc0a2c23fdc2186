//! The desk as people and their AIs meet it: a running server, browsers with cookies, consumers on WebSockets.

mod agent;
mod board;
mod browser;
mod export;
mod guest;
mod inbox;
mod launched;
mod login;
mod metrics;
mod page;
mod program;
mod room;
mod running;
mod tasks;
mod viewer;
