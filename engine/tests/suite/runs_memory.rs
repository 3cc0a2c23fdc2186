//! How agents read and write the memory of the room in which they run (rooms 3, 6).

use std::sync::Arc;

use futures_util::FutureExt;
use grove_engine::{
    Access, Agent, Delivery, Event, Expected, Facet, HistoryRole, Limit, MemoryQuery, NewRoom, NewRun, RunContext,
    RunMemory,
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::fixtures::{EventLog, user_session};
use crate::run_fixtures::{Workplace, code};

/// An agent whose every run hands its handle of the memory out and waits for what is to be returned.
fn lending(lent: &Arc<Mutex<Vec<RunMemory>>>) -> Agent {
    let lent = Arc::clone(lent);
    Agent::new("lending", move |run: RunContext, _: Value| {
        lent.lock().push(run.memory());
        async move { Ok(run.next_input().await.unwrap_or_default()) }
    })
}

fn keys(memory: &RunMemory, prefix: &str) -> Vec<String> {
    let page = memory.list(&MemoryQuery { prefix: prefix.into(), ..MemoryQuery::default() }).unwrap();
    page.entries.iter().map(|entry| entry.key.to_string()).collect()
}

/// Starts a run, and returns its handle.
async fn lend(place: &mut Workplace, lent: &Arc<Mutex<Vec<RunMemory>>>) -> (String, RunMemory) {
    let run = place.run(json!(null));
    place.expect("run.started").await;
    (run, lent_by(lent).await)
}

async fn lent_by(lent: &Arc<Mutex<Vec<RunMemory>>>) -> RunMemory {
    loop {
        if let Some(memory) = lent.lock().pop() {
            return memory;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_agent_keeps_values_in_its_room_and_everybody_is_told_who_did() {
    let agent = Agent::new("clerk", |run: RunContext, input: Value| async move {
        let memory = run.memory();
        let version = memory.put("note", &input).await?;
        let again = memory.put_if("note", &json!("second"), Expected::Version(version)).await?;
        let refused = memory.put_if("note", &json!("third"), Expected::Version(version)).await;
        memory.delete_if("old", Expected::Something).await?;
        let missing = memory.delete("old").await;
        let read = memory.get("note")?;
        Ok(json!([again > version, code(refused), code(missing), read.value, read.version == again]))
    });
    let mut place = Workplace::with([agent], |room| room.memory("old", 1), |_| {});
    let trace = "tx-123e4567-e89b-12d3-a456-426614174000";
    place.start(&NewRun::new(json!("first")).trace_id(trace).call_id("c1"));
    let mut events = Vec::new();
    while events.last().is_none_or(|event: &Value| event["kind"] != "run.done") {
        events.push(place.events.next().await.unwrap().data);
    }
    let result = &events.last().unwrap()["body"]["result"];
    assert_eq!(result, &json!([true, "conflict", "not_found", "second", true]));
    let changes: Vec<_> = events.iter().filter(|event| event["kind"] == "memory.changed").collect();
    let bodies: Vec<_> = changes.iter().map(|event| &event["body"]).collect();
    assert_eq!(bodies, [&json!({"key": "note"}), &json!({"key": "note"}), &json!({"key": "old", "deleted": true})]);
    for change in changes {
        let by = [&change["actor"], &change["trace_id"], &change["call_id"]];
        assert_eq!(by, [&json!({"name": "clerk", "kind": "agent"}), &json!(trace), &json!("c1")]);
    }
    let memory = place.engine.rooms().memory(&place.ann, place.room.id()).unwrap();
    assert_eq!(memory.get("note").unwrap().value, json!("second"));
}

#[tokio::test]
async fn a_run_sees_the_entries_as_they_are_when_it_reads_them() {
    let lent = Arc::default();
    let mut place = Workplace::of([lending(&lent)]);
    let (run, memory) = lend(&mut place, &lent).await;
    assert_eq!(code(memory.get("a")), "not_found");
    let own = place.engine.rooms().memory(&place.ann, place.room.id()).unwrap();
    for key in ["b", "a", "c"] {
        own.put(key, &json!(key)).unwrap();
    }
    own.delete("c").unwrap();
    assert_eq!((memory.get("a").unwrap().value, keys(&memory, "")), (json!("a"), vec!["a".into(), "b".into()]));
    assert_eq!(keys(&memory, "b"), ["b"]);
    let page = memory.list(&MemoryQuery { limit: Some(1), ..MemoryQuery::default() }).unwrap();
    assert_eq!((page.entries.len(), page.next.as_deref()), (1, Some("a")));
    let page = memory.list(&MemoryQuery { after: page.next, ..MemoryQuery::default() }).unwrap();
    assert_eq!((page.entries[0].key.as_str(), page.next), ("b", None));
    place.engine.rooms().send_input(&place.ann, place.room.id(), run, json!(1)).unwrap();
    place.expect("run.done").await;
}

#[tokio::test]
async fn an_agent_reads_what_its_room_inherits_and_writes_only_the_rooms_own() {
    let lent = Arc::default();
    let place = Workplace::with([lending(&lent)], |room| room.memory("shared", "parents").memory("mine", 1), |_| {});
    let new = NewRoom::new("Child").agent("lending").parent(place.room.id().clone(), [Facet::Memory]);
    let child = place.engine.rooms().create(&place.ann, &new).unwrap().room;
    place.engine.rooms().run(&place.ann, child.id(), &NewRun::new(json!(null))).unwrap();
    let memory = lent_by(&lent).await;
    let inherited = memory.get("shared").unwrap();
    assert_eq!((inherited.value, inherited.version), (json!("parents"), 0));
    memory.put("shared", &json!("childs")).await.unwrap();
    assert_eq!((memory.get("shared").unwrap().value, keys(&memory, "").len()), (json!("childs"), 2));
    let parents = place.engine.rooms().memory(&place.ann, place.room.id()).unwrap();
    assert_eq!(parents.get("shared").unwrap().value, json!("parents"));
    assert_eq!(code(memory.delete("mine").await), "not_found");
}

#[tokio::test]
async fn every_bound_on_memory_holds_for_agents_and_is_reported() {
    let lent = Arc::default();
    let bounds = |config: &mut grove_engine::Config| {
        (config.rooms.memory_bytes, config.rooms.memory_keys) = (40, 2);
    };
    let mut place = Workplace::with([lending(&lent)], |room| room, bounds);
    let log = EventLog::of(&place.engine);
    let (_, memory) = lend(&mut place, &lent).await;
    for key in ["", "a/b", "~", "meta"] {
        assert_eq!(code(memory.put(key, &json!(1)).await), "invalid_params", "{key}");
        assert_eq!(code(memory.get(key)), "invalid_params", "{key}");
    }
    let long = "x".repeat(30);
    assert_eq!(code(memory.put("k", &json!("x".repeat(40))).await), "invalid_params");
    assert_eq!(code(memory.put("k", &json!(long)).await), "");
    assert_eq!(code(memory.put("l", &json!(long)).await), "busy");
    assert_eq!(code(memory.put("l", &json!(1)).await), "");
    assert_eq!(code(memory.put("m", &json!(1)).await), "busy");
    assert_eq!((log.limit_count(Limit::RoomMemoryBytes), log.limit_count(Limit::RoomMemoryKeys)), (2, 1));
    assert_eq!(log.count(|event| matches!(event, Event::RoomRefused { .. })), 0, "no session was refused");
}

#[tokio::test]
async fn a_run_still_writes_while_its_room_is_about_to_end_and_sessions_do_not() {
    let agent = Agent::new("tidy", |run: RunContext, _: Value| async move {
        run.cancelled().await;
        run.next_input().await;
        run.memory().put("last", &json!(run.memory().get("first")?.value)).await?;
        Ok(Value::Null)
    });
    let lent = Arc::default();
    let mut place = Workplace::with([lending(&lent), agent], |room| room.memory("first", 1), |_| {});
    let (_, memory) = lend(&mut place, &lent).await;
    let own = place.engine.rooms().memory(&place.ann, place.room.id()).unwrap();
    let closing = place.engine.rooms().close(&place.ann, place.room.id(), None);
    // The run was cancelled, and has not returned yet.
    memory.put("last", &json!(true)).now_or_never().unwrap().unwrap();
    assert_eq!(code(own.put("first", &json!(2))), "conflict");
    assert_eq!((code(own.delete("first")), code(own.clear())), ("conflict".into(), "conflict".into()));
    assert_eq!((own.get("last").unwrap().value, own.get("first").unwrap().value), (json!(true), json!(1)));
    closing.await.unwrap();
    let mut kinds = Vec::new();
    while let Some(event) = place.events.next().await {
        kinds.push(event.kind.to_string());
    }
    assert_eq!(kinds[kinds.len() - 3..], ["memory.changed", "run.cancelled", "room.ended"]);
    assert_eq!(code(memory.get("last")), "conflict");
    assert_eq!(code(memory.put("last", &json!(1)).await), "conflict");
    assert_eq!(place.engine.rooms().stats().memory_bytes, 0);
}

#[tokio::test]
async fn a_stale_attempt_neither_reads_nor_writes() {
    let lent = Arc::default();
    let mut place = Workplace::of([lending(&lent)]);
    let run = place.start(&NewRun::new(json!(null)).delivery(Delivery::within_ms(100)));
    place.expect("run.started").await;
    let stale = lent_by(&lent).await;
    stale.put("k", &json!("first")).await.unwrap();
    place.pass(100).await;
    place.expect("run.redelivered").await;
    let current = lent_by(&lent).await;
    assert_eq!(code(stale.put("k", &json!("stale")).await), "conflict");
    assert_eq!(code(stale.delete("k").await), "conflict");
    assert_eq!(
        (code(stale.get("k")), code(stale.list(&MemoryQuery::default()))),
        ("conflict".into(), "conflict".into())
    );
    assert_eq!(current.get("k").unwrap().value, json!("first"));
    // It is no sign of life either (rooms 6).
    place.pass(99).await;
    current.put("k", &json!("second")).await.unwrap();
    place.pass(1).await;
    place.expect("run.redelivered").await;
    place.engine.rooms().send_input(&place.ann, place.room.id(), run, json!(1)).unwrap();
    place.expect("run.done").await;
    assert_eq!(code(current.get("k")), "conflict");
}

#[tokio::test]
async fn runs_beside_each_other_lose_nothing_of_memory_and_history() {
    let agent = Agent::new("count", |run: RunContext, _: Value| async move {
        let memory = run.memory();
        loop {
            let entry = memory.get("count").ok();
            let (count, version) = entry.map_or((0, 0), |entry| (entry.value.as_u64().unwrap(), entry.version));
            tokio::task::yield_now().await;
            let put = memory.put_if("count", &json!(count + 1), Expected::Version(version)).await;
            if put.is_ok() {
                return Ok(json!(count + 1));
            }
        }
    });
    let mut place =
        Workplace::with([agent], |room| room.queue(grove_engine::Queue::Parallel).access(Access::Project), |_| {});
    for _ in 0..20 {
        place.run(json!(null));
    }
    let mut results = Vec::new();
    while results.len() < 20 {
        let event = place.next().await;
        results.extend((event["kind"] == "run.done").then(|| event["body"]["result"].as_u64().unwrap()));
    }
    results.sort_unstable();
    assert!(results.into_iter().eq(1..=20));
    let own = place.engine.rooms().memory(&user_session("a", "ann"), place.room.id()).unwrap();
    assert_eq!(own.get("count").unwrap().value, json!(20));
    let history = place.engine.rooms().history(&place.ann, place.room.id()).unwrap();
    let said = |role| history.iter().filter(|entry| entry.role == role).count();
    assert_eq!([said(HistoryRole::User), said(HistoryRole::Agent)], [20, 20]);
}
