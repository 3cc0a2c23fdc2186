//! The inputs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use grove_engine::testing::ManualClock;
use grove_engine::{Config, Connection, Descriptor, Engine, Frame, Item, Scope, Session, Source};
use serde_json::{Value, json};

use super::input::Input;
use crate::failure::Failure;
use crate::measure::stopwatch::Stopwatch;

/// How often each is measured; the least counts, since nothing makes a machine faster than it is.
const ATTEMPTS: usize = 5;

/// How long changes gather, in ms of a clock that does not go by itself.
const DEBOUNCE_MS: u64 = 50;

pub(super) fn all() -> Vec<Input> {
    let large: &[usize] = &[500, 4_000, 32_000];
    let sessions: &[usize] = &[1_000, 8_000, 64_000];
    let paths: &[usize] = &[20, 160, 1_280];
    vec![
        Input::new("properties of a node, one of which changes", large, |n| Box::pin(properties(n))),
        Input::new("filter types over 3,000 items", &[8, 64], |n| Box::pin(filter_types(n))),
        Input::new("items in a view that fits no frame, for one query", &[20_000, 160_000], |n| {
            Box::pin(large_view(n))
        }),
        Input::new("reads by one descriptor", large, |n| Box::pin(reads(n))),
        Input::new("items, and a tenth as many paths registered below them", &[500, 4_000], |n| {
            Box::pin(paths_below_items(n))
        }),
        Input::new("budgets on 5,000 nodes, one of which changes", &[8, 64], |n| Box::pin(budgets(n))),
        Input::of_constant_work("nodes put in order for budgets on 5,000 nodes, one of which changes", &[8, 64], |n| {
            Box::pin(collapse_orders(n))
        }),
        Input::new("paths refreshed one by one, for 100 sessions", paths, |n| Box::pin(single_paths(n))),
        Input::new("paths registered on 100 sessions", paths, |n| Box::pin(registrations(n))),
        Input::new("sessions counted by stats", sessions, |n| Box::pin(stats(n))),
        Input::new("sessions of a refresh that is requested again", sessions, |n| Box::pin(pending(n))),
        Input::new("operations of a tab's patch", &[100, 1_000], |n| Box::pin(tab_operations(n))),
        Input::new("siblings of a tab's node", &[200, 1_900], |n| Box::pin(tab_siblings(n))),
    ]
}

fn engine(change: impl FnOnce(&mut Config)) -> Engine {
    let mut config = Config::immediate();
    config.sizes.nodes = 200_000;
    change(&mut config);
    Engine::builder("app", "App").config(config).build()
}

/// The least time of several attempts, in us.
async fn least(mut attempt: impl AsyncFnMut(usize) -> Result<(), Failure>) -> Result<f64, Failure> {
    let mut least = f64::INFINITY;
    for number in 1..=ATTEMPTS {
        let start = Stopwatch::start();
        attempt(number).await?;
        least = least.min(start.elapsed_us());
    }
    Ok(least)
}

/// Takes all frames that are there. Fails if there are none, or the connection was closed.
fn drain(connection: &Connection) -> Result<(), Failure> {
    let mut frames = 0;
    while let Some(frame) = connection.try_next_frame() {
        if let Frame::Close { reason, .. } = frame {
            return Err(format!("the engine closed the connection: {reason}").into());
        }
        frames += 1;
    }
    if frames == 0 { Err("nothing came".into()) } else { Ok(()) }
}

fn subscribe(connection: &Connection, id: usize, options: &Value) {
    let mut message = json!({"type": "subscribe", "id": id, "path": "/", "depth": -1});
    if let (Some(message), Some(options)) = (message.as_object_mut(), options.as_object()) {
        message.extend(options.clone());
    }
    connection.receive(&message.to_string());
}

/// One consumer that is subscribed to everything.
async fn consumer(engine: &Engine, session: &str) -> Result<Connection, Failure> {
    let connection = engine.connect(&Session::new(session))?;
    subscribe(&connection, 0, &Value::Null);
    engine.settle().await;
    drain(&connection)?;
    Ok(connection)
}

/// A number that changes what a descriptor shows.
fn shared_number() -> (Arc<AtomicUsize>, impl Fn() -> usize + Send + Sync + Clone + 'static) {
    let number = Arc::new(AtomicUsize::new(0));
    let read = Arc::clone(&number);
    (number, move || read.load(Ordering::Relaxed))
}

async fn properties(n: usize) -> Result<f64, Failure> {
    let engine = engine(|config| config.sizes.properties = n);
    let (number, read) = shared_number();
    engine.register("x", move |_: &Session| {
        Descriptor::status().props((0..n).map(|at| (format!("p{at}"), if at == n / 2 { read() } else { 0 })))
    });
    let connection = consumer(&engine, "s").await?;
    least(async |attempt| {
        number.store(attempt, Ordering::Relaxed);
        engine.refresh_now(Scope::all()).await;
        drain(&connection)
    })
    .await
}

fn list(n: usize) -> Descriptor {
    Descriptor::collection().items((0..n).map(|at| Item::new(format!("i{at}")).prop("title", "x".repeat(40))))
}

async fn query(engine: &Engine, connection: &Connection, options: Value) -> Result<(), Failure> {
    let mut message = json!({"type": "query", "id": "q", "path": "/", "depth": -1});
    if let (Some(message), Value::Object(options)) = (message.as_object_mut(), options) {
        message.extend(options);
    }
    connection.receive(&message.to_string());
    engine.settle().await;
    drain(connection)
}

async fn filter_types(n: usize) -> Result<f64, Failure> {
    let engine = engine(|_| {});
    engine.register("list", |_: &Session| list(3_000));
    let connection = consumer(&engine, "s").await?;
    // The last one is that of the items, so that each is compared with all.
    let others = (0..n - 2).map(|at| format!("type-{at}"));
    let types: Vec<_> = others.chain(["collection".to_owned(), "item".to_owned()]).collect();
    least(async |_| query(&engine, &connection, json!({"filter": {"types": types}})).await).await
}

async fn large_view(n: usize) -> Result<f64, Failure> {
    let engine = engine(|_| {});
    engine.register("list", move |_: &Session| list(n));
    let connection = consumer(&engine, "s").await?;
    least(async |_| query(&engine, &connection, json!({"path": "/list"})).await).await
}

async fn reads(n: usize) -> Result<f64, Failure> {
    let engine = engine(|_| {});
    let names: Arc<[String]> = (0..n).map(|at| format!("right-{at}")).collect();
    let (number, read) = shared_number();
    engine.register("x", move |session: &Session| {
        Descriptor::status().prop("n", read()).prop("rights", names.iter().filter(|name| session.can(name)).count())
    });
    let connection = consumer(&engine, "s").await?;
    let _other = consumer(&engine, "other").await?;
    least(async |attempt| {
        number.store(attempt, Ordering::Relaxed);
        engine.refresh_now(Scope::all()).await;
        drain(&connection)
    })
    .await
}

async fn paths_below_items(n: usize) -> Result<f64, Failure> {
    let engine = engine(|_| {});
    engine.register("list", move |_: &Session| list(n));
    for at in 0..n / 10 {
        engine.register(&format!("list/i{at}/more"), |_: &Session| Descriptor::status());
    }
    let connection = consumer(&engine, "s").await?;
    least(async |_| query(&engine, &connection, json!({})).await).await
}

/// A consumer that is subscribed to 5,000 nodes with so many budgets, and a number that changes one of them.
async fn budgeted(engine: &Engine, n: usize) -> Result<(Connection, Arc<AtomicUsize>), Failure> {
    let (number, read) = shared_number();
    engine.register("list", move |_: &Session| {
        let parts = |at: usize| (0..4).map(move |part| Item::new(format!("part-{part}")).prop("number", at));
        let item = |at: usize| parts(at).fold(Item::new(format!("i{at}")), Item::item);
        Descriptor::collection().items((0..1_000).map(item)).prop("n", read())
    });
    let connection = engine.connect(&Session::new("s"))?;
    (0..n).for_each(|at| subscribe(&connection, at, &json!({"max_nodes": 1_100 + 60 * at})));
    engine.settle().await;
    drain(&connection)?;
    Ok((connection, number))
}

async fn budgets(n: usize) -> Result<f64, Failure> {
    let engine = engine(|_| {});
    let (connection, number) = budgeted(&engine, n).await?;
    least(async |attempt| {
        number.store(attempt, Ordering::Relaxed);
        engine.refresh_now(Scope::all()).await;
        drain(&connection)
    })
    .await
}

async fn collapse_orders(n: usize) -> Result<f64, Failure> {
    let engine = engine(|_| {});
    let (connection, number) = budgeted(&engine, n).await?;
    let before = engine.stats().collapse_orders;
    number.store(1, Ordering::Relaxed);
    engine.refresh_now(Scope::all()).await;
    drain(&connection)?;
    Ok((engine.stats().collapse_orders - before) as f64)
}

/// An engine that gathers changes until its clock is advanced.
fn gathering() -> (Engine, Arc<ManualClock>) {
    let (mut config, clock) = (Config::immediate(), ManualClock::new());
    config.times.debounce = Duration::from_millis(DEBOUNCE_MS);
    (Engine::builder("app", "App").config(config).clock(clock.clone()).build(), clock)
}

/// Renders the changes that were gathered.
async fn render(engine: &Engine, clock: &ManualClock) {
    clock.advance(DEBOUNCE_MS);
    engine.settle().await;
}

/// Consumers of as many sessions, each with its first tree.
async fn hundred_consumers(engine: &Engine, clock: &ManualClock) -> Result<Vec<Connection>, Failure> {
    let mut connections = Vec::new();
    for at in 0..100 {
        let connection = engine.connect(&Session::new(format!("s{at}")))?;
        subscribe(&connection, 0, &Value::Null);
        render(engine, clock).await;
        drain(&connection)?;
        connections.push(connection);
    }
    Ok(connections)
}

async fn single_paths(n: usize) -> Result<f64, Failure> {
    let (engine, clock) = gathering();
    for at in 0..n {
        engine.register(&format!("p{at}"), |_: &Session| Descriptor::status());
    }
    let _connections = hundred_consumers(&engine, &clock).await?;
    least(async |_| {
        for at in 0..n {
            engine.refresh(Scope::all().paths([format!("p{at}")]));
        }
        render(&engine, &clock).await;
        Ok(())
    })
    .await
}

async fn registrations(n: usize) -> Result<f64, Failure> {
    let (engine, clock) = gathering();
    let _connections = hundred_consumers(&engine, &clock).await?;
    least(async |attempt| {
        for at in 0..n {
            engine.try_register(&format!("p{attempt}-{at}"), Source::new(|_: &Session| Descriptor::status()))?;
        }
        render(&engine, &clock).await;
        for at in 0..n {
            engine.unregister(&format!("p{attempt}-{at}"));
        }
        render(&engine, &clock).await;
        Ok(())
    })
    .await
}

fn open_sessions(engine: &Engine, n: usize) -> Result<(), Failure> {
    (0..n).try_for_each(|at| Ok(engine.open_session(&Session::new(format!("s{at}")))?))
}

async fn stats(n: usize) -> Result<f64, Failure> {
    let engine = engine(|_| {});
    open_sessions(&engine, n)?;
    least(async |_| if engine.stats().sessions == n { Ok(()) } else { Err("sessions are missing".into()) }).await
}

async fn pending(n: usize) -> Result<f64, Failure> {
    let engine = engine(|config| config.times.debounce = Duration::from_secs(3_600));
    open_sessions(&engine, n)?;
    engine.refresh(Scope::all());
    least(async |_| {
        engine.refresh(Scope::all());
        Ok(())
    })
    .await
}

/// A tab with this many children.
async fn tab(engine: &Engine, children: usize) -> Result<Connection, Failure> {
    let tab = engine.connect_tab(&Session::new("s"))?;
    let children: Vec<_> = (0..children).map(|at| json!({"id": format!("n{at}"), "type": "item"})).collect();
    let tree = json!({"id": "ui", "type": "root", "children": children});
    tab.receive(&json!({"type": "snapshot", "id": "ui-mount", "version": 1, "tree": tree}).to_string());
    engine.settle().await;
    drain(&tab)?;
    Ok(tab)
}

fn patch(tab: &Connection, operations: &[Value]) {
    tab.receive(&json!({"type": "patch", "subscription": "ui-mount", "version": 2, "ops": operations}).to_string());
}

async fn tab_operations(n: usize) -> Result<f64, Failure> {
    let engine = engine(|_| {});
    let tab = tab(&engine, 1_990).await?;
    least(async |attempt| {
        let change = |at: usize| json!({"op": "add", "path": "/n1989/properties/x", "value": attempt + at});
        patch(&tab, &(0..n).map(change).collect::<Vec<_>>());
        engine.settle().await;
        // Nothing is asked for again.
        if tab.try_next_frame().is_some() { Err("the patch was not taken".into()) } else { Ok(()) }
    })
    .await
}

async fn tab_siblings(n: usize) -> Result<f64, Failure> {
    let engine = engine(|_| {});
    let tab = tab(&engine, n).await?;
    least(async |attempt| {
        let last = format!("/n{}/properties/x", n - 1);
        patch(&tab, &vec![json!({"op": "add", "path": last, "value": attempt}); 500]);
        engine.settle().await;
        if tab.try_next_frame().is_some() { Err("the patch was not taken".into()) } else { Ok(()) }
    })
    .await
}
