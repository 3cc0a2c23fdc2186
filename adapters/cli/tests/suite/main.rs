//! The program, as its users run it: real processes, a real server.

mod acting;
mod daemon;
mod demonstrated;
mod home;
mod hostile;
mod http;
mod launch;
mod links;
mod many;
mod older_server;
mod session;
mod using;
