//! The server of a soak: what it shows is little, and its times are short, so that much happens in minutes.
//!
//! Orders come as lines on standard input, and each is answered with a line.

use std::io::{BufRead as _, Write as _};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use axum::serve::ListenerExt as _;
use grove_axum::{Drain, Refusal, UpgradeRequest, authenticate_with, shutdown_signal};
use grove_engine::{Action, Config, Descriptor, Engine, Invocation, Item, Revocation, Scope, Session};

use super::growth::Usage;
use super::world::{GROUPS, Pass};
use super::{TABS, USERS};
use crate::trial::secrets::Secrets;
use crate::{Failure, heap, process};

const NOTES: u64 = 60;

/// What makes a note long enough that a few hundred trees fill a socket.
const WORDS: &str = "Whoever reads this has read a sentence that is long for a note, and says so himself.";

const DRAINS: Duration = Duration::from_secs(5);
const SPREAD: Duration = Duration::from_millis(500);

/// All that changes: counters for everybody, for each group, and for each user.
struct Data {
    all: AtomicU64,
    groups: Vec<AtomicU64>,
    users: Vec<AtomicU64>,
}

/// Serves until it is told to stop. The first line on standard output is the address.
pub(crate) async fn run(listen: &str) -> Result<(), Failure> {
    let signal = shutdown_signal();
    let counters = |count: u32| (0..count).map(|_| AtomicU64::new(0)).collect();
    let data = Arc::new(Data { all: AtomicU64::new(0), groups: counters(GROUPS), users: counters(USERS) });
    let engine = Engine::builder("soak", "Soak").config(hasty()).build();
    register(&engine, &data);
    let authenticator = authenticate_with(|request: UpgradeRequest| {
        let pass = request.query("token").and_then(|token| Pass::from_token(&token));
        async move { pass.map(session_of).ok_or_else(Refusal::unauthorized) }
    });
    let app: axum::Router = grove_axum::router(engine.clone(), authenticator);
    let listener = tokio::net::TcpListener::bind(listen).await?;
    answer(&listener.local_addr()?.to_string())?;
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    let told = engine.clone();
    std::thread::spawn(move || take_orders(&told, &data));
    Drain::new(engine)
        .deadline(DRAINS)
        .spread(SPREAD)
        .batch(TABS)
        .serve(signal, |stop| axum::serve(listener, app).with_graceful_shutdown(stop))
        .await?;
    Ok(())
}

/// Short times and tight bounds.
fn hasty() -> Config {
    let mut config = Config::default();
    config.limits.messages_per_second = NonZeroU32::new(2_000);
    config.times.ping_interval = Duration::from_millis(2_000);
    config.times.silence_timeout = Duration::from_millis(5_000);
    config.times.resume_window = Duration::from_millis(3_000);
    config.times.idle_tree = Duration::from_millis(1_000);
    config.times.idle_session = Duration::from_millis(4_000);
    config.memory.idle_trees = 8;
    config.limits.sessions = 2 * USERS as usize;
    config.times.expiry_warning = Duration::from_millis(1_000);
    config.times.tab_call_timeout = Duration::from_millis(2_000);
    config
}

fn session_of(pass: Pass) -> Session {
    let session = Session::new(pass.session())
        .with_user(pass.user_name())
        .with_attribute("group", (pass.user % GROUPS).to_string());
    match pass.expires_ms {
        0 => session,
        at => session.with_expiry(UNIX_EPOCH + Duration::from_millis(at)),
    }
}

fn register(engine: &Engine, data: &Arc<Data>) {
    engine.register("context", |session: &Session| {
        Descriptor::context().prop("secret", Secrets::of_session(session.id())).prop("user", session.user())
    });
    let counted = Arc::clone(data);
    engine.register("news", move |_: &Session| Descriptor::status().prop("count", counted.all.load(Ordering::SeqCst)));
    let counted = Arc::clone(data);
    engine.register("group", move |session: &Session| {
        let group = session.attribute("group").unwrap_or_default().to_owned();
        let count = counted.of_group(&group).load(Ordering::SeqCst);
        Descriptor::status().prop("group", group).prop("count", count)
    });
    let (counted, users) = (Arc::clone(data), engine.clone());
    let bump = Action::new("bump", move |call: Invocation<()>| {
        let user = call.session.user().unwrap_or_default().to_owned();
        counted.of_user(&user).fetch_add(1, Ordering::SeqCst);
        users.refresh(Scope::user(user));
    });
    let counted = Arc::clone(data);
    engine.register("notes", move |session: &Session| {
        let user = session.user().unwrap_or_default();
        notes(user, counted.of_user(user).load(Ordering::SeqCst)).action(&bump)
    });
}

/// Notes that come, change and go as the count rises.
fn notes(user: &str, count: u64) -> Descriptor {
    let first = count / 7;
    Descriptor::collection().prop("count", count).items((first..first + NOTES).map(|number| {
        Item::new(format!("note-{number}"))
            .prop("text", format!("{} {number}: {WORDS}", Secrets::of_user(user)))
            .prop("read", number * 7 < count + 3)
    }))
}

impl Data {
    fn of_user(&self, name: &str) -> &AtomicU64 {
        let number = name.strip_prefix('u').and_then(|number| number.parse::<usize>().ok()).unwrap_or(0);
        &self.users[number % self.users.len()]
    }

    fn of_group(&self, name: &str) -> &AtomicU64 {
        &self.groups[name.parse::<usize>().unwrap_or(0) % self.groups.len()]
    }
}

/// Does what the lines say. When there are no more, whoever gave them is gone, and so goes the server.
fn take_orders(engine: &Engine, data: &Data) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if answer(&obey(engine, data, &line)).is_err() {
            break;
        }
    }
    std::process::exit(1);
}

fn obey(engine: &Engine, data: &Data, order: &str) -> String {
    match order.split(' ').collect::<Vec<_>>().as_slice() {
        ["change", "all"] => {
            data.all.fetch_add(1, Ordering::SeqCst);
            engine.refresh(Scope::all()).to_string()
        }
        ["change", "group", group] => {
            data.of_group(group).fetch_add(1, Ordering::SeqCst);
            engine.refresh(Scope::attribute("group", *group)).to_string()
        }
        ["change", "user", user] => {
            let user = format!("u{user}");
            data.of_user(&user).fetch_add(1, Ordering::SeqCst);
            engine.refresh(Scope::user(user)).to_string()
        }
        ["revoke", session] => engine.revoke(Revocation::session(*session)).to_string(),
        ["usage"] => usage(engine).unwrap_or_else(|failure| failure.to_string()),
        _ => "unknown".to_owned(),
    }
}

fn usage(engine: &Engine) -> Result<String, Failure> {
    let stats = engine.stats();
    Ok(serde_json::to_string(&Usage {
        rss_bytes: process::rss_bytes()?,
        heap_bytes: heap::live()? as u64,
        symbol_bytes: stats.dictionary_bytes,
        sessions: stats.sessions,
        trees: stats.trees,
        connections: stats.connections,
        subscriptions: stats.subscriptions,
        tabs: stats.tabs,
        tree_bytes: stats.tree_bytes,
        outbox_bytes: stats.outbox_bytes,
    })?)
}

fn answer(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
