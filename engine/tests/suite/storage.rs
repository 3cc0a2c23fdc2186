//! What is kept of rooms, by each implementation.

use std::sync::Arc;

use grove_engine::testing::check_store;
use grove_engine::{EventLog, LogBounds, LoggedEvent, MemoryStore, PageSize, Store, Write};

#[test]
fn what_is_kept_in_memory_is_what_the_traits_say() {
    for seed in [1, 7, 4_711] {
        check_store(|| Arc::new(MemoryStore::new(usize::MAX)), seed);
    }
    let kept = Arc::new(MemoryStore::new(usize::MAX).surviving());
    check_store(|| Arc::clone(&kept) as Arc<dyn Store>, 99);
}

fn append(room: &str, seq: u64) -> Write {
    let event = LoggedEvent { seq, at_ms: seq, text: "x".repeat(100).into() };
    Write::Append { room: room.into(), event }
}

#[test]
fn memory_that_is_full_keeps_the_newest_of_every_log() {
    let store = MemoryStore::new(10_000);
    for seq in 1..=1_000 {
        store.commit(&[append("a", seq), append("b", seq)]).unwrap();
    }
    for room in ["a", "b"] {
        let LogBounds { first_seq, last_seq, .. } = store.bounds(room).unwrap().unwrap();
        assert_eq!(last_seq, 1_000);
        assert!(first_seq > 900, "{first_seq}");
        let events = store.read(room, 0, PageSize { events: usize::MAX, bytes: usize::MAX }).unwrap();
        assert!(events.iter().map(|event| event.seq).eq(first_seq..=last_seq));
    }
}

#[test]
fn memory_that_is_full_drops_archives_first() {
    let store = MemoryStore::new(10_000);
    (1..=20).for_each(|seq| store.commit(&[append("old", seq)]).unwrap());
    let archive = Write::Archive { room: "old".into(), id: "c_1".into(), at_ms: 1, about: "{}".into() };
    store.commit(&[archive]).unwrap();
    (1..=60).for_each(|seq| store.commit(&[append("new", seq)]).unwrap());
    assert_eq!(grove_engine::Archive::about_archive(&store, "c_1"), Ok(None));
    assert_eq!(store.bounds("new").unwrap().unwrap().first_seq, 1);
}
