//! What the application itself does for or to hostile users, and must be able to do without the others noticing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use grove_engine::{Descriptor, Item, Revocation, Scope, Session, Source};
use serde_json::json;

use crate::attacker::Attacker;
use crate::peer::Peer;
use crate::stage::HOSTILE_USER;

/// All of them.
pub(crate) fn all() -> Vec<Attacker> {
    vec![
        Attacker::new("a storm of revocations", |stage| {
            let engine = stage.engine().clone();
            let mut peer = stage.consumer("m");
            Box::new(move |strike| {
                for n in 0..100 {
                    engine.revoke(Revocation::session(format!("m-{strike}-{n}")));
                }
                engine.revoke(Revocation::session("m"));
                peer.read();
                engine.unrevoke(&Revocation::session("m"));
                peer.reconnect();
            })
        }),
        Attacker::new("events to every session of one user", |stage| {
            let engine = stage.engine().clone();
            let mut peers: Vec<_> = (0..20).map(|n| stage.consumer(&format!("m{n}"))).collect();
            Box::new(move |strike| {
                let data = json!({"n": strike, "text": "x".repeat(1_000)});
                for _ in 0..50 {
                    engine.emit(Scope::user(HOSTILE_USER), "news", Some(&data)).ok();
                }
                if strike % 4 == 0 {
                    peers.iter_mut().for_each(Peer::read);
                }
            })
        }),
        Attacker::new("texts of an application that are always new", |stage| {
            let (engine, number) = (stage.engine().clone(), Arc::new(AtomicUsize::new(0)));
            let (mut peer, read) = (stage.watcher("m"), Arc::clone(&number));
            let churn = Source::new(move |_: &Session| {
                let n = read.load(Ordering::SeqCst);
                let text = |at: usize| format!("c{n}-{at}");
                Descriptor::collection().items((0..300).map(|at| Item::new(text(at)).prop(text(at), text(at))))
            });
            // Refused only if the session was refused.
            drop(engine.register_for("m", "churn", churn));
            Box::new(move |strike| {
                number.store(strike, Ordering::SeqCst);
                engine.refresh(Scope::user(HOSTILE_USER));
                peer.read();
            })
        }),
    ]
}
