//! What peers and their server say to each other, over real sockets.
#![cfg(feature = "axum")]

mod bounds;
mod fuzz;
mod peers;
mod restart;
mod server;
