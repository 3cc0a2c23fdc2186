//! Two instances of one application: each serves its own sessions (S1.87).

use grove_engine::{Config, Engine, Scope, Session};
use serde_json::{Value, json};

use crate::fixtures::{EventLog, Todos, child_ids, connect_and_subscribe, evaluations, node_at, user_session};

/// One instance of the application. All instances run the same code and read one store.
fn instance(store: &Todos) -> Engine {
    let engine = Engine::builder("app", "App").config(Config::immediate()).build();
    store.serve_in(&engine);
    engine
}

fn writer(id: &str, user: &str) -> Session {
    user_session(id, user).with_permission("write")
}

#[tokio::test]
async fn two_instances_serve_disjoint_sessions_and_neither_does_work_for_the_other() {
    let store = Todos::default();
    let (first, second) = (instance(&store), instance(&store));
    let (log_of_first, log_of_second) = (EventLog::of(&first), EventLog::of(&second));
    let (mut alice, alice_id) = connect_and_subscribe(&first, writer("s1", "alice")).await;
    let (mut bob, bob_id) = connect_and_subscribe(&second, writer("s2", "bob")).await;
    assert_eq!(alice.invoke("/todos", "add", json!({"title": "alice's"})).await["status"], "ok");
    assert_eq!(bob.invoke("/todos", "add", json!({"title": "bob's"})).await["status"], "ok");
    for (consumer, subscription, title) in [(&mut alice, &alice_id, "alice's"), (&mut bob, &bob_id, "bob's")] {
        consumer.check_mirrors().await;
        let todos = node_at(consumer.tree(subscription), "todos");
        assert_eq!((child_ids(todos), &node_at(todos, "t1")["properties"]["title"]), (vec!["t1"], &json!(title)));
    }
    assert_eq!((log_of_first.work_for("s2"), log_of_second.work_for("s1")), (0, 0));
    assert_eq!((first.stats().sessions, second.stats().sessions), (1, 1));
}

#[tokio::test]
async fn a_session_that_moves_to_another_instance_continues_there_with_a_snapshot() {
    let store = Todos::default();
    let (first, second) = (instance(&store), instance(&store));
    let session = writer("s1", "alice");
    let (mut before, _) = connect_and_subscribe(&first, session.clone()).await;
    before.invoke("/todos", "add", json!({"title": "kept"})).await;
    drop(before);
    first.close_session("s1");
    let (mut after, subscription) = connect_and_subscribe(&second, session).await;
    assert_eq!(node_at(after.tree(&subscription), "todos/t1")["properties"]["title"], "kept");
    assert_eq!(after.invoke("/todos/t1", "toggle", Value::Null).await["status"], "ok");
    after.check_mirrors().await;
    assert_eq!(evaluations(&first, "/todos"), 2, "once for the subscription, once for the call, and never again");
}

#[tokio::test]
async fn a_refresh_on_one_instance_reaches_only_its_own_sessions() {
    let store = Todos::default();
    let (first, second) = (instance(&store), instance(&store));
    let _here = connect_and_subscribe(&first, user_session("s1", "alice")).await;
    let (mut there, subscription) = connect_and_subscribe(&second, user_session("s2", "alice")).await;
    store.push("alice", "new");
    assert_eq!(first.refresh_now(Scope::user("alice")).await, 1);
    there.settled().await;
    assert!(child_ids(node_at(there.tree(&subscription), "todos")).is_empty(), "it has not been refreshed");
    assert_eq!(second.refresh_now(Scope::user("alice")).await, 1);
    there.check_mirrors().await;
    assert_eq!(child_ids(node_at(there.tree(&subscription), "todos")), ["t1"]);
}
