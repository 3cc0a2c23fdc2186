//! What is computed once for many sessions.

use grove_engine::testing::TestConsumer;
use grove_engine::{Config, Descriptor, Engine, Item, Scope, Session};

fn engine() -> Engine {
    Engine::builder("app", "App").config(Config::immediate()).build()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_reads_nothing_runs_once_for_a_thousand_sessions() {
    let engine = engine();
    engine.register("news", |_: &Session| Descriptor::collection().item(Item::new("n1").prop("text", "hello")));
    let mut consumers = Vec::new();
    for number in 0..1000 {
        let mut consumer = TestConsumer::connect(&engine, Session::new(format!("s{number}"))).await;
        consumer.subscribe("/").await;
        consumers.push(consumer);
    }
    let before = engine.stats().evaluations["/news"];
    assert_eq!(engine.refresh_now(Scope::all()).await, 1000);
    assert_eq!(engine.stats().evaluations["/news"] - before, 1);
}
