//! The scripted agents: each does one thing that a test can observe.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use grove_engine::{ActionError, Agent, Engine, MemoryQuery, RunContext, RunError, RunResult, Tool};
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::noted::Noted;

/// The contract of all of them.
const CONTRACT: &str = "base_node_contract_v1";

/// What `panic` panics with; nobody is told.
const SECRET: &str = "secret-panic-text";

/// What the agents of one app share.
#[derive(Debug)]
struct Shared {
    /// What `serial` counts.
    counter: AtomicU64,
    /// What `once` has noted.
    once: Arc<Noted>,
}

/// Registers all of them, for every project.
pub(crate) fn register(engine: &Engine, noted: Noted) {
    let shared = Arc::new(Shared { counter: AtomicU64::new(0), once: Arc::new(noted) });
    let all = [
        Agent::new("echo", echo),
        Agent::new("count", count),
        Agent::new("fail", fail),
        Agent::new("panic", panic),
        Agent::new("tool", tool).tools(tools()),
        Agent::new("ask", ask),
        Agent::new("silent", silent),
        Agent::new("late", late),
        Agent::new("stubborn", stubborn),
        Agent::new("remember", remember),
        Agent::new("store", store),
        Agent::new("loop", iterate).max_iterations(10),
        Agent::new("big", big),
        serial(&shared),
        Agent::new("whoami", whoami),
        strict(),
        once(&shared),
    ];
    all.into_iter().for_each(|agent| engine.register_agent(agent.contract(CONTRACT)));
}

/// Registers an agent that returns this reply from now on.
pub(crate) fn replace(engine: &Engine, name: &str, reply: Value) {
    let agent = Agent::new(name, move |_: RunContext, _: Value| {
        let reply = reply.clone();
        async move { Ok(json!({ "reply": reply })) }
    });
    engine.register_agent(agent.contract(CONTRACT));
}

fn number(input: &Value, field: &str) -> u64 {
    input[field].as_u64().unwrap_or_default()
}

/// Waits, but no longer than until the run is cancelled. False if it was.
async fn wait(run: &RunContext, ms: u64) -> bool {
    tokio::select! {
        () = run.cancelled() => false,
        () = sleep(Duration::from_millis(ms)) => true,
    }
}

async fn echo(run: RunContext, input: Value) -> RunResult {
    run.chunk(input.to_string());
    Ok(json!({ "echo": input }))
}

async fn count(run: RunContext, input: Value) -> RunResult {
    let (n, ms) = (number(&input, "n"), number(&input, "ms"));
    for i in 1..=n {
        run.progress(i as f64 / n as f64, "");
        run.chunk(format!("{i} "));
        if !wait(&run, ms).await {
            break;
        }
    }
    Ok(json!({ "n": n }))
}

async fn fail(run: RunContext, input: Value) -> RunResult {
    wait(&run, number(&input, "after_ms")).await;
    let text = |field: &str| input[field].as_str().unwrap_or("failed").to_owned();
    Err(RunError::new(text("code"), text("message")))
}

async fn panic(_: RunContext, _: Value) -> RunResult {
    panic!("{SECRET}")
}

fn tools() -> [Tool; 2] {
    let add =
        |_: RunContext, arguments: Value| async move { Ok(json!(number(&arguments, "a") + number(&arguments, "b"))) };
    let broken = |_: RunContext, _: Value| async { Err(ActionError::internal("the tool is broken")) };
    [Tool::new("add", add), Tool::new("broken", broken)]
}

async fn tool(run: RunContext, _: Value) -> RunResult {
    let sum = run.tool("add", json!({"a": 1, "b": 2})).await;
    let broken = run.tool("broken", json!({})).await;
    Ok(json!({"sum": sum.result, "broken": !broken.ok}))
}

async fn ask(run: RunContext, _: Value) -> RunResult {
    run.chunk("?");
    Ok(json!({"got": run.next_input().await}))
}

async fn silent(run: RunContext, input: Value) -> RunResult {
    if u64::from(run.attempt()) < number(&input, "answer_at_attempt") {
        run.cancelled().await;
    }
    Ok(json!({"attempt": run.attempt()}))
}

/// What its first attempt returns comes too late, and counts no more.
async fn late(run: RunContext, _: Value) -> RunResult {
    if run.attempt() < 2 {
        sleep(run.deadline().unwrap_or_default().mul_f64(1.5)).await;
    }
    Ok(json!({"attempt": run.attempt()}))
}

async fn stubborn(_: RunContext, _: Value) -> RunResult {
    sleep(Duration::from_secs(60)).await;
    Ok(json!({}))
}

/// Returns what it sees of the room's memory, and of what was said there.
async fn remember(run: RunContext, _: Value) -> RunResult {
    let (memory, mut query, mut seen) = (run.memory(), MemoryQuery::default(), Map::new());
    loop {
        let page = memory.list(&query)?;
        seen.extend(page.entries.into_iter().map(|entry| (entry.key.to_string(), entry.value)));
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    let texts: Vec<_> = run.history().into_iter().map(|entry| entry.text).collect();
    Ok(json!({"memory": seen, "history": texts}))
}

async fn store(run: RunContext, input: Value) -> RunResult {
    run.memory().put(input["key"].as_str().unwrap_or_default(), &input["value"]).await?;
    Ok(json!({"ok": true}))
}

async fn iterate(run: RunContext, _: Value) -> RunResult {
    loop {
        run.iteration()?;
        tokio::task::yield_now().await;
    }
}

async fn big(run: RunContext, input: Value) -> RunResult {
    let (bytes, chunk) = (number(&input, "bytes"), number(&input, "chunk").max(1));
    let mut left = bytes;
    while left > 0 && !run.is_cancelled() {
        let part = left.min(chunk);
        run.chunk("x".repeat(part as usize));
        left -= part;
        tokio::task::yield_now().await;
    }
    Ok(json!({ "bytes": bytes }))
}

/// One run at a time: what it has counted shows that no two overlap.
fn serial(shared: &Arc<Shared>) -> Agent {
    let shared = Arc::clone(shared);
    let run = move |run: RunContext, input: Value| {
        let shared = Arc::clone(&shared);
        async move {
            let next = || shared.counter.fetch_add(1, Ordering::SeqCst) + 1;
            let began = next();
            wait(&run, number(&input, "ms")).await;
            Ok(json!({"began": began, "ended": next()}))
        }
    };
    Agent::new("serial", run).concurrency(1)
}

async fn whoami(run: RunContext, _: Value) -> RunResult {
    let (actor, room) = (run.actor(), run.room());
    Ok(json!({
        "user": actor.user.as_str(),
        "participant": actor.participant.as_ref().map(|id| id.as_str()),
        "kind": actor.kind.as_str(),
        "role": actor.role.as_str(),
        "origin": room.origin().as_str(),
        "trust": room.trust().as_str(),
        "mode": room.mode().as_str(),
        "trace_id": run.trace_id().as_str(),
        "call_id": run.call_id().map(|id| id.as_str()),
    }))
}

/// Twice an integer, which may be written as `3.0`; `None` if that needs more than 64 bits.
fn doubled(x: &Value) -> Option<Value> {
    let whole = |number: f64| (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i128);
    let x = x.as_i64().map(i128::from).or_else(|| x.as_u64().map(i128::from)).or_else(|| x.as_f64().and_then(whole))?;
    let doubled = x * 2;
    i64::try_from(doubled).map(Value::from).or_else(|_| u64::try_from(doubled).map(Value::from)).ok()
}

fn strict() -> Agent {
    let double = |_: RunContext, input: Value| async move {
        let doubled =
            doubled(&input["x"]).ok_or_else(|| RunError::new("too_large", "twice `x` is no integer of JSON"))?;
        Ok(json!({ "x2": doubled }))
    };
    Agent::new("strict", double).input_schema(json!({
        "type": "object",
        "required": ["x"],
        "properties": {"x": {"type": "integer"}},
        "additionalProperties": false,
    }))
}

/// Notes a key once for each call, however often the work is tried.
fn once(shared: &Arc<Shared>) -> Agent {
    let shared = Arc::clone(shared);
    Agent::new("once", move |run: RunContext, input: Value| {
        let shared = Arc::clone(&shared);
        async move {
            let key = input["key"].as_str().unwrap_or_default().to_owned();
            let (noted, pair) =
                (Arc::clone(&shared.once), (key.clone(), run.call_id().unwrap_or(run.id()).to_string()));
            let written = spawn_blocking(move || noted.note(pair)).await.map_err(std::io::Error::other).flatten();
            written.map_err(|error| RunError::new("not_noted", error.to_string()))?;
            wait(&run, 300).await;
            Ok(json!({"count": shared.once.count(&key)}))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_is_doubled_exactly_or_not_at_all() {
        let big = i64::MAX;
        for (x, expected) in [
            (json!(21), Some(json!(42))),
            (json!(3.0), Some(json!(6))),
            (json!(-4), Some(json!(-8))),
            (json!(1_u64 << 62), Some(json!(1_u64 << 63))),
            (json!(big), Some(json!(u64::MAX - 1))),
            (json!(u64::MAX), None),
            (json!(i64::MIN), None),
            (json!(1e30), None),
        ] {
            assert_eq!(doubled(&x), expected, "{x}");
        }
    }
}
