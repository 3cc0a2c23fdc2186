//! Two instances of one application: each serves sessions of its own (S1.87).

use grove_engine::{Config, Engine, Scope, Session};
use serde_json::{Value, json};

use crate::apps::{Log, Todos, at, ids, person, runs, watching};

/// The application's code, the same wherever it runs. Its data is one store that every instance reads.
fn instance(store: &Todos) -> Engine {
    let engine = Engine::builder("app", "App").config(Config::immediate()).build();
    store.serve_in(&engine);
    engine
}

fn writer(id: &str, user: &str) -> Session {
    person(id, user).with_permission("write")
}

#[tokio::test]
async fn two_instances_serve_disjoint_sessions_and_neither_does_work_for_the_other() {
    let store = Todos::default();
    let (first, second) = (instance(&store), instance(&store));
    let (log_of_first, log_of_second) = (Log::of(&first), Log::of(&second));
    let (mut alice, alices) = watching(&first, writer("s1", "alice")).await;
    let (mut bob, bobs) = watching(&second, writer("s2", "bob")).await;
    assert_eq!(alice.invoke("/todos", "add", json!({"title": "hers"})).await["status"], "ok");
    assert_eq!(bob.invoke("/todos", "add", json!({"title": "his"})).await["status"], "ok");
    for (consumer, subscription, title) in [(&mut alice, &alices, "hers"), (&mut bob, &bobs, "his")] {
        consumer.check_mirrors().await;
        let todos = at(consumer.tree(subscription), "todos");
        assert_eq!((ids(todos), &at(todos, "t1")["properties"]["title"]), (vec!["t1"], &json!(title)));
    }
    assert_eq!((log_of_first.work_for("s2"), log_of_second.work_for("s1")), (0, 0));
    assert_eq!((first.stats().sessions, second.stats().sessions), (1, 1));
}

#[tokio::test]
async fn a_session_that_moves_to_another_instance_continues_there_with_a_snapshot() {
    let store = Todos::default();
    let (first, second) = (instance(&store), instance(&store));
    let session = writer("s1", "alice");
    let (mut before, _) = watching(&first, session.clone()).await;
    before.invoke("/todos", "add", json!({"title": "kept"})).await;
    drop(before);
    first.close_session("s1");
    let (mut after, subscription) = watching(&second, session).await;
    assert_eq!(at(after.tree(&subscription), "todos/t1")["properties"]["title"], "kept");
    assert_eq!(after.invoke("/todos/t1", "toggle", Value::Null).await["status"], "ok");
    after.check_mirrors().await;
    assert_eq!(runs(&first, "/todos"), 2, "once for the subscription and once for the call, and not since");
}

#[tokio::test]
async fn a_refresh_on_one_instance_reaches_only_its_own_sessions() {
    let store = Todos::default();
    let (first, second) = (instance(&store), instance(&store));
    let _here = watching(&first, person("s1", "alice")).await;
    let (mut there, subscription) = watching(&second, person("s2", "alice")).await;
    store.push("alice", "new");
    assert_eq!(first.refresh_now(Scope::user("alice")).await, 1);
    there.settled().await;
    assert!(ids(at(there.tree(&subscription), "todos")).is_empty(), "it has not been told");
    assert_eq!(second.refresh_now(Scope::user("alice")).await, 1);
    there.check_mirrors().await;
    assert_eq!(ids(at(there.tree(&subscription), "todos")), ["t1"]);
}
