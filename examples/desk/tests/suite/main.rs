//! The desk as people and their AIs meet it: a running server, browsers with cookies, consumers on WebSockets.

mod agent;
mod board;
mod browser;
mod export;
mod inbox;
mod login;
mod metrics;
mod page;
mod program;
mod running;
mod tasks;
mod viewer;
