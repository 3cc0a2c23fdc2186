//! Code of the application that runs, or waits to be run: predicates, futures, tasks, handlers, observers.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use grove_engine::testing::ManualClock;
use grove_engine::{Action, ActionError, Clock, Config, Descriptor, Engine, Invocation, Outcome, Scope, Session};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::AT;
use super::world::{World, alice, drain, finishes_anywhere, finishes_built, in_time, plain, say};
use crate::fixtures::{Gate, user_session};

#[test]
fn when_a_predicate_has_been_asked() {
    finishes_anywhere(|world| async move {
        let _connection = world.connect_and_subscribe(&alice()).await;
        let scope = || {
            let value = world.value();
            Scope::matching(move |_: &Session| {
                value.touch();
                true
            })
        };
        let scopes = [scope(), scope(), scope()];
        world.arm();
        let [first, second, third] = scopes;
        world.engine.refresh(first);
        world.engine.emit(second, "ding", None).unwrap();
        world.engine.refresh_now(third).await;
    });
}

#[test]
fn when_the_future_of_a_descriptor_ends_late_or_is_given_up() {
    finishes_anywhere(|world| async move {
        let each_time = world.clone();
        world.engine.register_async(AT, move |session: Session| {
            let value = each_time.value();
            async move {
                value.touch();
                if session.user() == Some("bob") {
                    std::future::pending::<()>().await;
                }
                Descriptor::status()
            }
        });
        world.arm();
        let _alice = world.connect_and_subscribe(&alice()).await;
        let bob = world.engine.connect(&user_session("t", "bob")).unwrap();
        say(&bob, &json!({"type": "subscribe", "id": "sub", "path": "/"}));
        while world.returned() < 2 {
            tokio::task::yield_now().await;
            world.clock.advance(500);
        }
        let refresh = world.engine.refresh_now(Scope::session("t"));
        let yielded = tokio::task::yield_now();
        tokio::select! { _ = refresh => {}, () = yielded => {} }
    });
}

#[test]
fn when_a_task_ends_or_is_cancelled() {
    finishes_anywhere(|world| async move {
        let start = |name: &'static str, ends: bool| {
            let world = world.clone();
            Action::new(name, move |call: Invocation<()>| {
                let (before, within) = (world.value(), world.value());
                call.start_task("work", move |_| {
                    before.touch();
                    async move {
                        within.touch();
                        if !ends {
                            std::future::pending::<()>().await;
                        }
                        Ok(Value::Null)
                    }
                })
            })
        };
        let (ends, waits) = (start("ends", true), start("waits", false));
        world.engine.register(AT, move |_: &Session| Descriptor::group().action(&ends).action(&waits));
        let connection = world.connect_and_subscribe(&alice()).await;
        world.arm();
        // The second `waits` is refused: one task may run.
        for (path, action) in [("/n", "ends"), ("/n", "waits"), ("/n", "waits"), ("/tasks/task-2", "cancel")] {
            say(
                &connection,
                &json!({"type": "invoke", "id": format!("{action} {path}"), "path": path, "action": action}),
            );
            world.engine.settle().await;
            drain(&connection);
        }
        say(&connection, &json!({"type": "invoke", "id": "last", "path": "/n", "action": "waits"}));
        world.engine.settle().await;
        world.engine.close_session("s");
    });
}

#[test]
fn when_a_handler_has_run_or_goes_on_while_its_connection_and_its_source_are_gone() {
    finishes_anywhere(|world| async move {
        let (gate, values) = (Gate::default(), world.clone());
        let (stand, value) = (gate.clone(), world.value());
        let blocking = Action::new("blocking", move |_: Invocation<()>| {
            let (own, _held) = (values.value(), &value);
            own.touch();
            stand.wait();
            Err::<Outcome, _>(ActionError::conflict("late"))
        });
        let offered = Mutex::new(Some(blocking));
        world.engine.register(AT, move |_: &Session| match &*offered.lock() {
            Some(action) => Descriptor::group().action(action),
            None => Descriptor::group(),
        });
        let connection = world.connect_and_subscribe(&alice()).await;
        say(&connection, &json!({"type": "invoke", "id": "c", "path": "/n", "action": "blocking"}));
        gate.wait_for_arrivals(1).await;
        world.arm();
        drop(connection);
        world.engine.unregister(AT);
        world.engine.close_session("s");
        gate.open();
        world.engine.settle().await;
    });
}

#[test]
fn when_an_authorisation_and_an_observer_end_with_their_engine() {
    finishes_built(
        |builder, value| {
            let value = Arc::new(value);
            let observed = Arc::clone(&value);
            builder.observer(move |_| observed.touch()).authorize(move |_: &Session, _: &str, _: &Action| {
                value.touch();
                Ok(())
            })
        },
        |world| async move {
            let connection = world.connect_and_subscribe(&alice()).await;
            world.engine.register_source(AT, world.source());
            world.engine.settle().await;
            world.call_another_engine();
            world.arm();
            let World { engine, clock, .. } = world;
            drop((connection, engine));
            // The task that waits for time holds the engine no longer than it takes to look.
            clock.advance(1);
            tokio::task::yield_now().await;
        },
    );
}

/// A clock that asks the engine whenever it is asked.
#[derive(Debug)]
struct AskingClock {
    time: Arc<ManualClock>,
    engine: Mutex<Option<Engine>>,
}

impl AskingClock {
    /// Unless it is asked meanwhile: the engine asks for the time as well.
    fn ask(&self) {
        let engine = self.engine.lock().take();
        if let Some(engine) = engine {
            let _ = engine.stats();
            engine.emit(Scope::all(), "tick", None).unwrap();
            let _ = engine.register_for("s", "own", plain());
            *self.engine.lock() = Some(engine);
        }
    }
}

impl Clock for AskingClock {
    fn now_ms(&self) -> u64 {
        self.ask();
        self.time.now_ms()
    }

    fn wall(&self) -> SystemTime {
        self.ask();
        self.time.wall()
    }

    fn sleep_until(&self, at_ms: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.time.sleep_until(at_ms)
    }
}

#[test]
fn when_a_clock_is_asked_for_the_time() {
    in_time(|| {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let clock = Arc::new(AskingClock { time: ManualClock::new(), engine: Mutex::new(None) });
            let config = Config::immediate();
            let engine = Engine::builder("app", "App").config(config).clock(Arc::clone(&clock) as Arc<_>).build();
            engine.register_source(AT, plain());
            *clock.engine.lock() = Some(engine.clone());
            let session = alice().with_expiry(clock.time.wall() + Duration::from_secs(60));
            let connection = engine.connect(&session).unwrap();
            say(&connection, &json!({"type": "subscribe", "id": "sub", "path": "/"}));
            for _ in 0..100 {
                tokio::task::yield_now().await;
                drop(connection.try_next_frame());
            }
            engine.update_session(&alice());
            clock.time.advance(60_000);
            tokio::task::yield_now().await;
            engine.close_session("s");
            let held = clock.engine.lock().take();
            drop((held, engine));
        });
    });
}
