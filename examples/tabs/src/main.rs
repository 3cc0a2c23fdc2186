//! A page that publishes what only the page knows: the route, the selection and the draft.
//! Open it in two tabs, and look at both from a terminal:
//!
//! ```text
//! cargo run -p tabs
//! cargo run -p agent -- tree
//! cargo run -p agent -- invoke /ui/tab-1/route navigate '{"to":"/compose"}'
//! cargo run -p agent -- invoke /ui/tab-1/compose/draft fill '{"text":"Dear Bob,"}'
//! cargo run -p agent -- invoke /notice say '{"text":"Lunch at noon"}'
//! ```
//!
//! `/watch` is a page at the other end: a consumer in the browser, with `/slop/consumer.js`, that shows the whole tree.
//!
//! The server knows nothing about routes and drafts. `src/page/page.js` publishes them with `/slop/tab.js`, which the
//! adapter serves; each tab is mounted under `/ui` until it is closed. The server's own data, here the notice, is an
//! ordinary descriptor, and the page is notified when it should fetch it again.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::Html;
use axum::routing::get;
use clap::Parser;
use grove_axum::{serve, shutdown_signal};
use grove_engine::{Action, Descriptor, Engine, Invocation, Session};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::net::TcpListener;

/// A page that publishes its route, its selection and its draft.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    listen: String,
}

#[derive(Deserialize, JsonSchema)]
struct Say {
    text: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is no one left to tell when this fails.
            let _ = writeln!(std::io::stderr(), "tabs: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let stop = shutdown_signal();
    let listener = TcpListener::bind(&args.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}; give another address with --listen", args.listen))?;
    writeln!(std::io::stdout(), "listening on http://{}", listener.local_addr()?)?;
    Ok(serve(listener, app(), stop).await?)
}

fn app() -> Router {
    let notice = Arc::new(Mutex::new(String::from("Nothing new")));
    let script = |text: &'static str| get(async move || ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], text));
    Router::new()
        .route("/", get(async || Html(include_str!("page/page.html"))))
        .route("/page.js", script(include_str!("page/page.js")))
        .route("/watch", get(async || Html(include_str!("page/watch.html"))))
        .route("/watch.js", script(include_str!("page/watch.js")))
        .route(
            "/notice",
            get({
                let notice = Arc::clone(&notice);
                async move || notice.lock().clone()
            }),
        )
        .merge(grove_axum::router(engine(notice), grove_axum::anonymous()))
}

fn engine(notice: Arc<Mutex<String>>) -> Engine {
    let said = Arc::clone(&notice);
    let say = Action::new("say", move |call: Invocation<Say>| *said.lock() = call.params.text);
    let engine = Engine::builder("tabs", "Tabs").build();
    engine.register("notice", move |_: &Session| {
        Descriptor::new("status").prop("text", notice.lock().clone()).action(&say)
    });
    engine
}
