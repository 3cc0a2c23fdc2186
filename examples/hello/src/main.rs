//! The smallest Grove server: one counter that an AI can see and push. Start it, then look at it with the example
//! consumer from a second terminal:
//!
//! ```text
//! cargo run -p hello
//! cargo run -p agent -- tree
//! cargo run -p agent -- invoke /counter increment
//! ```
//!
//! It has the four parts that every Grove server has:
//!
//! 1. An **action** is declared once, outside of all descriptors. Its handler changes the state and need not tell
//!    anybody: when it returns, the caller's tree is rendered again, and the patch arrives before the result.
//! 2. A **descriptor** is a function from a session to a node. It runs again whenever its path is refreshed, and what
//!    came out the same as before is sent to nobody.
//! 3. An **authenticator** says whose session a connection is. `anonymous()` lets in whoever is on this machine, all as
//!    one session. For people who log in see `examples/desk`.
//! 4. The **router** adds `/slop` and `/.well-known/slop` to any axum application.
//!
//! With `--announce` it also writes a file to `~/.slop/providers`, where consumers on this machine look for providers,
//! and removes it when it is stopped.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use grove_axum::LocalDescriptor;
use grove_engine::{Action, Descriptor, Engine, Invocation, Provider, Session};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listen = std::env::args().skip_while(|argument| argument != "--listen").nth(1);
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    let increment = Action::new("increment", move |_: Invocation<()>| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let engine = Engine::builder("hello", "Hello").build();
    engine.register("counter", move |_: &Session| {
        Descriptor::collection().prop("count", count.load(Ordering::Relaxed)).action(&increment)
    });
    let discovery = engine.discovery();
    let app: Router = grove_axum::router(engine, grove_axum::anonymous());
    let listener = TcpListener::bind(listen.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    let address = listener.local_addr()?;
    let stop = grove_axum::shutdown_signal();
    let announced = std::env::args()
        .any(|argument| argument == "--announce")
        .then(|| LocalDescriptor::publish(&discovery, &format!("ws://{address}/slop")))
        .transpose()?;
    writeln!(std::io::stdout(), "listening on http://{address}")?;
    // `anonymous` lets in by the peer's address, so it has to be told the address.
    let serve = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>());
    tokio::select! {
        ended = serve => ended?,
        () = stop => {}
    }
    drop(announced);
    Ok(())
}
