//! What a consumer was sent, what it may resume from, and what was loaded for it.

use grove_engine::testing::TestConsumer;
use grove_engine::{Action, Connection, Descriptor, Invocation, Item, Session, Source, WindowRequest};
use serde_json::json;

use super::world::{World, alice, drain, finishes, finishes_anywhere, say};
use super::{AT, replace};

/// A consumer that was sent a tree with the value, and not yet the one that is current.
async fn slow_consumer(world: &World) -> Connection {
    world.engine.register_source(AT, world.source());
    let connection = world.connect_and_subscribe(&alice()).await;
    replace(world).await;
    world.arm();
    assert_eq!(world.returned(), 0, "something let go of the value too early");
    connection
}

#[test]
fn when_a_slow_consumer_reads_on() {
    finishes(|world| async move {
        let connection = slow_consumer(&world).await;
        drain(&connection);
    });
}

#[test]
fn when_a_slow_consumer_unsubscribes() {
    finishes(|world| async move {
        let connection = slow_consumer(&world).await;
        say(&connection, &json!({"type": "unsubscribe", "id": "sub"}));
    });
}

#[test]
fn when_a_slow_consumer_subscribes_again_with_the_same_id() {
    finishes(|world| async move {
        let connection = slow_consumer(&world).await;
        say(&connection, &json!({"type": "subscribe", "id": "sub", "path": "/"}));
        world.engine.settle().await;
        drain(&connection);
    });
}

#[test]
fn when_the_path_of_a_slow_consumer_vanishes() {
    finishes(|world| async move {
        world.engine.register_source(AT, world.source());
        let connection = world.engine.connect(&alice()).unwrap();
        say(&connection, &json!({"type": "subscribe", "id": "sub", "path": "/n"}));
        world.engine.settle().await;
        drain(&connection);
        world.engine.unregister(AT);
        world.engine.settle().await;
        world.arm();
        drain(&connection);
    });
}

#[test]
fn when_the_session_of_a_slow_consumer_ends() {
    finishes(|world| async move {
        let connection = slow_consumer(&world).await;
        world.engine.close_session("s");
        drain(&connection);
        drop(connection);
    });
}

#[test]
fn when_the_resume_points_of_a_lost_connection_expire() {
    finishes(|world| async move {
        let connection = slow_consumer(&world).await;
        drop(connection);
        world.clock.advance(5_000);
        world.engine.settle().await;
    });
}

#[test]
fn when_the_resume_points_of_a_lost_connection_are_evicted_by_later_ones() {
    finishes(|world| async move {
        let connection = slow_consumer(&world).await;
        drop(connection);
        drop(world.connect_and_subscribe(&alice()).await);
    });
}

#[test]
fn when_the_resume_points_of_a_lost_connection_end_with_the_session() {
    finishes(|world| async move {
        let connection = slow_consumer(&world).await;
        drop(connection);
        world.engine.close_session("s");
    });
}

#[test]
fn when_a_lost_subscription_that_shows_nothing_ends() {
    finishes(|world| async move {
        let connection = world.connect_and_subscribe(&alice()).await;
        say(&connection, &json!({"type": "subscribe", "id": "n", "path": "/gone"}));
        world.engine.register_source("gone", world.source());
        world.engine.settle().await;
        drain(&connection);
        world.engine.unregister("gone");
        world.engine.settle().await;
        world.arm();
        drop(connection);
        world.engine.close_session("s");
    });
}

/// A consumer that was sent the value's tree, lost its socket, and is back while the next tree waits.
async fn back(world: &World, supersedes: bool) -> TestConsumer {
    world.engine.register_source(AT, world.source());
    let mut consumer = TestConsumer::connect(&world.engine, alice()).await;
    consumer.subscribe("/").await;
    replace(world).await;
    match supersedes {
        true => drop(consumer.supersede().await),
        false => consumer.reconnect().await,
    }
    world.arm();
    consumer
}

#[test]
fn when_a_subscription_that_resumed_is_brought_up_to_date() {
    finishes(|world| async move {
        let consumer = back(&world, false).await;
        drain(consumer.connection());
    });
}

#[test]
fn when_a_connection_that_took_the_place_of_another_is_brought_up_to_date() {
    finishes(|world| async move {
        let consumer = back(&world, true).await;
        drain(consumer.connection());
    });
}

/// A list of which every item that is loaded has an action of its own.
fn loads_values(world: &World) -> Source {
    let (window, item) = (world.clone(), world.clone());
    let load = |world: &World, id: &str| {
        let value = world.value();
        Item::new(id).action(&Action::new("act", move |_: Invocation<()>| value.touch()))
    };
    Source::new(|_: &Session| Descriptor::collection().lazy(9))
        .on_window(move |_: &Session, wanted: &WindowRequest| {
            (0..wanted.count).map(|at| load(&window, &format!("i{at}"))).collect::<Vec<_>>()
        })
        .on_item(move |_: &Session, id: &str| Some(load(&item, id)))
}

/// A query whose reply waits, and holds what was loaded for it.
async fn loaded(world: &World, path: &str) -> Connection {
    world.engine.register_source(AT, loads_values(world));
    let connection = world.connect_and_subscribe(&alice()).await;
    say(&connection, &json!({"type": "query", "id": "q", "path": path, "window": [0, 3]}));
    world.engine.settle().await;
    world.arm();
    connection
}

#[test]
fn when_a_query_for_which_something_was_loaded_is_answered() {
    finishes_anywhere(|world| async move {
        for path in ["/n", "/n/i1"] {
            let connection = loaded(&world, path).await;
            drain(&connection);
        }
    });
}

#[test]
fn when_a_query_for_which_something_was_loaded_is_thrown_away() {
    finishes_anywhere(|world| async move {
        drop(loaded(&world, "/n").await);
    });
}

#[test]
fn when_a_query_for_which_something_was_loaded_ends_with_its_session() {
    finishes_anywhere(|world| async move {
        let connection = loaded(&world, "/n").await;
        world.engine.close_session("s");
        drain(&connection);
    });
}

#[test]
fn when_an_item_that_was_loaded_for_a_call_has_been_called() {
    finishes_anywhere(|world| async move {
        world.engine.register_source(AT, loads_values(&world));
        let connection = world.connect_and_subscribe(&alice()).await;
        world.arm();
        say(&connection, &json!({"type": "invoke", "id": "c", "path": "/n/i1", "action": "act"}));
        world.engine.settle().await;
        drain(&connection);
    });
}
