//! A page that publishes what only the page knows: where the person is, what they have selected, what they are writing.
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
//! `/watch` is a page at the other end: a consumer in the browser, by `/slop/consumer.js`, that shows the whole tree.
//!
//! The server knows nothing of routes and drafts. `src/page/page.js` publishes them with `/slop/tab.js`, which the
//! adapter serves; each tab stands under `/ui` until it is closed. The server's own data, here the notice, is a
//! descriptor as always, and the page is told to fetch it again when it has changed.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::Html;
use axum::routing::get;
use grove_engine::{Action, Descriptor, Engine, Invocation, Session};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::net::TcpListener;

#[derive(Deserialize, JsonSchema)]
struct Say {
    text: String,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listen = std::env::args().skip_while(|argument| argument != "--listen").nth(1);
    let listener = TcpListener::bind(listen.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    writeln!(std::io::stdout(), "listening on http://{}", listener.local_addr()?)?;
    axum::serve(listener, app().into_make_service_with_connect_info::<SocketAddr>()).await
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
