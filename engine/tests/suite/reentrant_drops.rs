//! A value of the application's may call every method of the engine when it is dropped: none is dropped under a lock of the
//! engine's.

mod consumers;
mod running;
mod world;

use std::time::Duration;

use grove_engine::{Action, Clock, Connection, Descriptor, Frame, Invocation, Provider, Revocation, Scope, Session};

use world::{World, alice, drain, finishes, finishes_anywhere, finishes_per_session, plain};

use crate::fixtures::user_session;

/// The name under which the value of a scenario is registered.
const AT: &str = "n";

/// Replaces what is registered, and renders it: only who was sent the old tree still holds the value.
async fn replace(world: &World) {
    world.engine.register_source(AT, plain());
    world.engine.settle().await;
}

#[test]
fn when_a_source_is_replaced() {
    finishes(|world| async move {
        world.engine.register_source(AT, world.source());
        let connection = world.connect_and_subscribe(&alice()).await;
        world.arm();
        replace(&world).await;
        drain(&connection);
        world.engine.settle().await;
    });
}

#[test]
fn when_a_source_is_replaced_that_nobody_looks_at() {
    finishes(|world| async move {
        world.engine.register_source(AT, world.source());
        world.arm();
        world.engine.register_source(AT, plain());
    });
}

#[test]
fn when_a_source_is_refused() {
    finishes(|world| async move {
        world.arm();
        assert!(world.engine.try_register("ui/tab-1", world.source()).is_err());
        assert!(world.engine.register_for("nobody", AT, world.source()).is_err());
    });
}

#[test]
fn when_a_source_is_unregistered() {
    finishes(|world| async move {
        world.engine.register_source(AT, world.source());
        let connection = world.connect_and_subscribe(&alice()).await;
        world.arm();
        world.engine.unregister(AT);
        world.engine.settle().await;
        drain(&connection);
    });
}

#[test]
fn when_the_root_is_replaced_and_unregistered() {
    finishes(|world| async move {
        world.engine.register_source("", world.source());
        let connection = world.connect_and_subscribe(&alice()).await;
        world.arm();
        world.engine.register_source("", world.source());
        world.engine.settle().await;
        world.engine.unregister("");
        world.engine.settle().await;
        drain(&connection);
    });
}

#[test]
fn when_what_one_session_has_is_replaced_hidden_or_restored() {
    finishes(|world| async move {
        let connection = world.connect_and_subscribe(&alice()).await;
        for step in 0..3 {
            world.engine.register_for("s", AT, world.source()).unwrap();
            world.engine.settle().await;
            drain(&connection);
            world.arm();
            let _ = match step {
                0 => world.engine.register_for("s", AT, plain()),
                1 => world.engine.unregister_for("s", AT),
                _ => world.engine.restore_for("s", AT),
            };
            world.engine.settle().await;
            drain(&connection);
            // A value may have ended the session.
            let _ = world.engine.open_session(&alice());
        }
    });
}

/// A session that has a value of its own, and a consumer that was sent it.
async fn with_overlay(world: &World, session: &Session) -> Connection {
    let connection = world.connect_and_subscribe(session).await;
    world.engine.register_for("s", AT, world.source()).unwrap();
    world.engine.settle().await;
    drain(&connection);
    world.arm();
    connection
}

#[test]
fn when_a_session_is_closed() {
    finishes(|world| async move {
        let connection = with_overlay(&world, &alice()).await;
        world.engine.close_session("s");
        drain(&connection);
        drop(connection);
    });
}

#[test]
fn when_a_session_is_revoked() {
    finishes(|world| async move {
        let connection = with_overlay(&world, &alice()).await;
        world.engine.revoke(Revocation::user("alice"));
        drain(&connection);
        drop(connection);
    });
}

#[test]
fn when_a_session_expires() {
    finishes(|world| async move {
        let session = alice().with_expiry(world.clock.wall() + Duration::from_secs(1));
        let connection = with_overlay(&world, &session).await;
        world.clock.advance(1_000);
        world.engine.settle().await;
        drain(&connection);
        drop(connection);
    });
}

#[test]
fn when_a_tree_is_evicted_and_then_its_session() {
    finishes(|world| async move {
        drop(with_overlay(&world, &alice()).await);
        for _ in 0..4 {
            world.clock.advance(10_000);
            world.engine.settle().await;
        }
    });
}

#[test]
fn when_a_session_is_evicted_so_that_another_may_be_opened() {
    finishes(|world| async move {
        drop(with_overlay(&world, &alice()).await);
        for id in ["s2", "s3"] {
            world.clock.advance(1);
            let _ = world.engine.open_session(&user_session(id, "alice"));
        }
    });
}

#[test]
fn when_an_engine_shuts_down() {
    finishes(|world| async move {
        let connection = with_overlay(&world, &alice()).await;
        let engine = world.engine.clone();
        let ending = tokio::spawn(async move { engine.shutdown(Duration::ZERO).await });
        while !matches!(connection.next_frame().await, Frame::Close { .. }) {}
        drop(connection);
        ending.await.unwrap();
        world.engine.close_session("s");
    });
}

#[test]
fn when_a_commit_replaces_a_tree_that_nobody_was_sent() {
    finishes_anywhere(|world| async move {
        let each_time = world.clone();
        world.engine.register(AT, move |_: &Session| {
            let value = each_time.value();
            Descriptor::status().action(&Action::new("act", move |_: Invocation<()>| value.touch()))
        });
        let connection = world.connect_and_subscribe(&alice()).await;
        drop(connection);
        world.clock.advance(5_000);
        world.engine.settle().await;
        world.arm();
        world.engine.refresh_now(Scope::all()).await;
    });
}

#[test]
fn when_claims_change_or_a_session_with_data_ends() {
    finishes_anywhere(|world| async move {
        world.engine.register(AT, |session: &Session| Descriptor::status().prop("n", session.user()));
        let connection = world.connect_and_subscribe(&alice().with_data(world.value())).await;
        world.arm();
        world.engine.update_session(&alice().with_data(world.value()));
        world.engine.settle().await;
        drop(world.engine.connect(&alice().with_data(world.value())));
        let _ = world.engine.renew(alice().with_data(world.value()));
        world.engine.close_session("s");
        drain(&connection);
    });
}

#[test]
fn when_a_session_with_data_is_refused() {
    finishes_anywhere(|world| async move {
        world.engine.revoke(Revocation::user("bob"));
        world.arm();
        assert!(world.engine.connect(&user_session("b", "bob").with_data(world.value())).is_err());
        assert!(!world.engine.update_session(&user_session("nobody", "carol").with_data(world.value())));
        assert!(world.engine.open_session(&user_session("b", "bob").with_data(world.value())).is_err());
    });
}

#[test]
fn when_an_engine_ends_with_all_that_is_registered() {
    finishes(|world| async move {
        world.engine.register_source(AT, world.source());
        let connection = world.connect_and_subscribe(&alice()).await;
        world.engine.register_for("s", "own", world.source()).unwrap();
        world.engine.settle().await;
        world.call_another_engine();
        world.arm();
        let World { engine, .. } = world;
        drop(engine);
        drain(&connection);
        drop(connection);
    });
}

#[test]
fn when_the_provider_of_one_session_is_made_closed_and_made_for_other_claims() {
    finishes_per_session(|world| async move {
        world.arm();
        let connection = world.connect_and_subscribe(&alice()).await;
        world.engine.update_session(&alice().with_permission("write"));
        world.engine.settle().await;
        drain(&connection);
        world.engine.close_session("s");
    });
}
