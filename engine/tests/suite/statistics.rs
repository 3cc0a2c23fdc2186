//! The statistics are kept, and right whatever happens.

use std::time::Duration;

use grove_engine::{Descriptor, Revocation, Scope, Session, Source};
use serde_json::json;

use crate::fixtures::{SharedNumber, connect_and_subscribe, engine_with_clock, user_session};

#[tokio::test]
async fn what_ends_in_whatever_way_does_not_count_any_more() {
    let (engine, clock) = engine_with_clock(|config| {
        config.times.idle_tree = Duration::from_secs(1);
        config.times.resume_window = Duration::ZERO;
    });
    SharedNumber::serve(&engine, "n");
    let trees = || (engine.stats().sessions, engine.stats().trees, engine.stats().subscriptions);
    let mut consumers = Vec::new();
    for number in 0..6 {
        let session = user_session(&format!("s{number}"), "alice").with_attribute("number", number.to_string());
        consumers.push(connect_and_subscribe(&engine, session).await.0);
    }
    let tab = engine.connect_tab(&user_session("s0", "alice")).unwrap();
    tab.receive(&json!({"type": "hello", "provider": {"id": "p"}}).to_string());
    tab.receive(
        &json!({"type": "snapshot", "id": "ui-mount", "version": 1, "tree": {"id": "t", "type": "root"}}).to_string(),
    );
    engine.settle().await;
    while tab.try_next_frame().is_some() {}
    assert_eq!((trees(), engine.stats().tabs), ((6, 6, 6), 1));
    assert_eq!(engine.stats().outbox_bytes, 0);
    engine.emit(Scope::all(), "news", None).unwrap();
    assert!(engine.stats().outbox_bytes > 6 * 20);
    drop(tab);
    engine.settle().await;
    assert_eq!(engine.stats().tabs, 0);
    engine.close_session("s0");
    engine.revoke(Revocation::session("s1"));
    drop(consumers.remove(2));
    assert_eq!(trees().2, 5 - 2 + 2, "those that were ended are there until their connections are");
    clock.advance(1_000);
    engine.settle().await;
    assert_eq!((trees().0, trees().1), (4, 3), "one is idle and has no tree");
    engine.update_session(&user_session("s3", "alice").with_permission("write"));
    consumers[2].settled().await;
    assert_eq!((trees().0, trees().1), (4, 3));
    consumers.clear();
    assert_eq!((trees().1, trees().2, engine.stats().outbox_bytes), (3, 0, 0));
    clock.advance(1_000);
    engine.settle().await;
    assert_eq!((trees(), engine.stats().connections), ((4, 0, 0), 0));
}

#[tokio::test]
async fn paths_of_single_sessions_do_not_become_labels() {
    let (engine, _) = engine_with_clock(|_| {});
    SharedNumber::serve(&engine, "n");
    let mut consumers = Vec::new();
    for number in 0..20 {
        let id = format!("s{number}");
        consumers.push(connect_and_subscribe(&engine, user_session(&id, "alice")).await.0);
        let own = || Source::new(|_: &Session| Descriptor::status());
        engine.register_for(&id, &format!("of-{id}"), own()).unwrap();
        engine.register_for(&id, "n", own()).unwrap();
        engine.settle().await;
    }
    let stats = engine.stats();
    assert_eq!(stats.evaluations.keys().collect::<Vec<_>>(), ["/n"]);
    assert!(stats.own_evaluations >= 20, "{stats:?}");
}
