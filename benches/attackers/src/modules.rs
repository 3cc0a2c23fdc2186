//! Modules of the application that misbehave for hostile users: they block, hang, ask again, read or register too much.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use grove_engine::{Action, Descriptor, Invocation, Scope, Session, Source};
use parking_lot::Mutex;
use serde_json::json;

use crate::attacker::{Attacker, Strike};
use crate::peer::Peer;
use crate::stage::{HOSTILE_USER, Stage};

/// For how long a function blocks or hangs: long enough that everybody else has to go on without it.
const LONG: Duration = Duration::from_millis(300);

/// How many sessions the hostile user has.
const SESSIONS: usize = 20;

/// All of them.
pub(crate) fn all() -> Vec<Attacker> {
    vec![
        Attacker::new("a function that blocks for one user of a source that all see", |stage| {
            stage.block_notes_of_hostile_user(LONG);
            refreshed(stage, watchers(stage))
        }),
        Attacker::new("functions that block, of many sessions", |stage| {
            with_source(stage, || {
                Source::new(|_: &Session| {
                    thread::sleep(LONG);
                    Descriptor::status()
                })
            })
        }),
        Attacker::new("async functions that hang, of many sessions", |stage| {
            with_source(stage, || {
                Source::new_async(|_: Session| async {
                    Later::after(LONG).await;
                    Descriptor::status()
                })
            })
        }),
        Attacker::new("functions that refresh themselves", |stage| {
            let engine = stage.engine().clone();
            with_source(stage, move || {
                let engine = engine.clone();
                Source::new(move |_: &Session| {
                    engine.refresh(Scope::user(HOSTILE_USER));
                    Descriptor::status()
                })
            })
        }),
        Attacker::new("functions that ask for 32,000 permissions", |stage| {
            with_source(stage, || {
                Source::new(|session: &Session| {
                    let granted = (0..32_000).any(|n| session.can(&format!("p{n}")));
                    Descriptor::status().prop("granted", granted)
                })
            })
        }),
        Attacker::new("1,000 paths that are registered one by one", one_by_one),
        Attacker::new("calls that block", calls),
    ]
}

fn name(n: usize) -> String {
    format!("m{n}")
}

fn watchers(stage: &Stage) -> Vec<Peer> {
    (0..SESSIONS).map(|n| stage.watcher(&name(n))).collect()
}

/// Sessions for each of which a source is registered, and which are refreshed again and again.
fn with_source(stage: &Stage, source: impl Fn() -> Source) -> Strike {
    let peers = watchers(stage);
    for n in 0..SESSIONS {
        // Refused only if the session was refused.
        drop(stage.engine().register_for(&name(n), "bad", source()));
    }
    refreshed(stage, peers)
}

fn refreshed(stage: &Stage, mut peers: Vec<Peer>) -> Strike {
    let stage = stage.clone();
    let mut n = stage.note_of(HOSTILE_USER);
    Box::new(move |_| {
        n += 1;
        stage.set_note(HOSTILE_USER, n);
        stage.engine().refresh(Scope::user(HOSTILE_USER));
        peers.iter_mut().for_each(Peer::read);
    })
}

fn one_by_one(stage: &Stage) -> Strike {
    let engine = stage.engine().clone();
    let mut peer = stage.watcher("m");
    Box::new(move |strike| {
        for n in 0..1_000 {
            let path = format!("p{n}");
            // Refused only if the session was refused.
            if strike % 2 == 0 {
                drop(engine.register_for("m", &path, Source::new(|_: &Session| Descriptor::status())));
            } else {
                drop(engine.restore_for("m", &path));
            }
        }
        peer.read();
    })
}

fn calls(stage: &Stage) -> Strike {
    let mut peers = watchers(stage);
    let engine = stage.engine().clone();
    for n in 0..SESSIONS {
        let block = Action::new("block", |_: Invocation<()>| thread::sleep(LONG / 10));
        let source = Source::new(move |_: &Session| Descriptor::group().action(&block));
        // Refused only if the session was refused.
        drop(engine.register_for(&name(n), "slow", source));
    }
    Box::new(move |strike| {
        for peer in &mut peers {
            for n in 0..4 {
                let id = format!("{strike}-{n}");
                peer.send(&json!({"type": "invoke", "id": id, "path": "/slow", "action": "block"}));
            }
            peer.read();
        }
    })
}

/// A future that is ready after a while, by a thread of its own.
#[derive(Default)]
struct Later(Arc<(AtomicBool, Mutex<Option<Waker>>)>);

impl Later {
    fn after(time: Duration) -> Self {
        let later = Self::default();
        let shared = Arc::clone(&later.0);
        thread::spawn(move || {
            thread::sleep(time);
            let (is_over, waker) = &*shared;
            is_over.store(true, Ordering::SeqCst);
            let waker = waker.lock().take();
            waker.iter().for_each(Waker::wake_by_ref);
        });
        later
    }
}

impl Future for Later {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let (is_over, waker) = &*self.0;
        *waker.lock() = Some(context.waker().clone());
        if is_over.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }
}
