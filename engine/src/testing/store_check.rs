//! Whether a store does what its traits say.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::reference_store::ReferenceStore;
use crate::model::Text;
use crate::storage::event_log::{LoggedEvent, PageSize};
use crate::storage::room_store::{Part, PartKind};
use crate::storage::store::{Store, Write};

/// How many batches are committed.
const BATCHES: u64 = 300;

/// How many batches there are from one restart to the next.
const RESTART_EVERY: u64 = 37;

/// All that fits.
const WHOLE: PageSize = PageSize { events: usize::MAX, bytes: usize::MAX };

/// Checks that a store does what [`Store`] and the traits in it say, by random batches of changes and a reference.
///
/// `open` is called at the start, when nothing is kept, and again and again after everything of the store was dropped; then
/// what was committed has to be there, if the store says that it survives.
///
/// # Panics
/// At the first difference, with the number of the batch.
pub fn check_store(mut open: impl FnMut() -> Arc<dyn Store>, seed: u64) {
    let mut chance = Chance(seed | 1);
    let mut reference = ReferenceStore::default();
    let mut seqs = BTreeMap::new();
    let mut store = open();
    for number in 0..BATCHES {
        let count = chance.below(6);
        let batch: Vec<_> = (0..count).map(|_| write(&mut chance, &mut seqs, number)).collect();
        store.commit(&batch).unwrap_or_else(|why| panic!("batch {number}: {why}"));
        if chance.below(8) == 0 {
            // The commit had succeeded, but who made it could not know.
            store.commit(&batch).unwrap_or_else(|why| panic!("batch {number}, again: {why}"));
            batch.iter().for_each(|write| reference.write(write.clone()));
        }
        batch.into_iter().for_each(|write| reference.write(write));
        if number % RESTART_EVERY == 0 && store.survives() {
            drop(store);
            store = open();
        }
        compare(&*store, &reference, &mut chance, number);
    }
}

/// Numbers that look like chance and are the same for the same seed.
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn room(number: u64) -> Text {
    ["m_1", "m_2", "board", "with'quote"][usize::try_from(number % 4).unwrap_or(0)].into()
}

fn write(chance: &mut Chance, seqs: &mut BTreeMap<Text, u64>, at_ms: u64) -> Write {
    let room = room(chance.below(4));
    let kind = PartKind::ALL[usize::try_from(chance.below(6)).unwrap_or(0)];
    let key = Text::from(["", "a", "ä", "b\u{1}"][usize::try_from(chance.below(4)).unwrap_or(0)]);
    match chance.below(20) {
        0..5 => {
            let value = format!("{at_ms} {}", "v".repeat(usize::try_from(chance.below(40)).unwrap_or(0)));
            Write::Put { room, part: Part { kind, key, value: value.into() } }
        }
        5..7 => Write::Delete { room, kind, key },
        7..15 => {
            let seq = seqs.entry(room.clone()).or_insert(0);
            *seq += 1;
            let text = format!(r#"{{"seq":{seq},"text":"{}"}}"#, "ü".repeat(usize::try_from(*seq % 9).unwrap_or(0)));
            Write::Append { room, event: LoggedEvent { seq: *seq, at_ms, text: text.into() } }
        }
        15..17 => {
            let to_seq = seqs.get(&room).copied().unwrap_or(0).saturating_sub(chance.below(12));
            Write::Purge { room, to_seq, before_ms: at_ms.saturating_sub(chance.below(100)) }
        }
        17 => Write::Remove { room },
        18 if at_ms.is_multiple_of(5) => Write::LossTold,
        18 => Write::Archive { room, id: format!("c_{}", at_ms / 2).into(), at_ms, about: format!("{at_ms}").into() },
        _ => Write::PurgeArchives { before_ms: at_ms.saturating_sub(60) },
    }
}

fn compare(store: &dyn Store, reference: &ReferenceStore, chance: &mut Chance, number: u64) {
    let fine = "what was committed can be read";
    assert_eq!(store.rooms().expect(fine), reference.rooms(), "rooms after batch {number}");
    for room in (0..4).map(room) {
        assert_eq!(store.parts(&room).expect(fine), reference.parts(&room), "parts of {room} after batch {number}");
        assert_eq!(store.bounds(&room).expect(fine), reference.bounds(&room), "bounds of {room} after batch {number}");
        let after = chance.below(40);
        for page in [WHOLE, page(chance)] {
            let (read, expected) = (store.read(&room, after, page).expect(fine), reference.read(&room, after, page));
            assert_eq!(read, expected, "{page:?} of {room} after {after} after batch {number}");
        }
    }
    let kinds: Vec<_> = PartKind::ALL.into_iter().filter(|_| chance.below(2) == 0).collect();
    let mut shown = Vec::new();
    store
        .each_room(&kinds, &mut |room, parts, unread| {
            assert!(unread.is_empty(), "{unread:?} of {room} cannot be read after batch {number}");
            shown.push((room, parts));
        })
        .expect(fine);
    let of_kinds = |room: &Text| reference.parts(room).into_iter().filter(|part| kinds.contains(&part.kind)).collect();
    let expected: Vec<(Text, Vec<Part>)> =
        reference.rooms().iter().map(|room| (room.clone(), of_kinds(room))).collect();
    assert_eq!(shown, expected, "{kinds:?} of each room after batch {number}");
    let id = format!("c_{}", chance.below(number / 2 + 1));
    assert_eq!(store.about_archive(&id).expect(fine), reference.about_archive(&id), "{id} after batch {number}");
    let page = page(chance);
    let (read, expected) = (store.read_archive(&id, 0, page).expect(fine), reference.read_archive(&id, 0, page));
    assert_eq!(read, expected, "{page:?} of {id} after batch {number}");
}

fn page(chance: &mut Chance) -> PageSize {
    let mut size = |bound| usize::try_from(chance.below(bound)).unwrap_or(0);
    PageSize { events: size(6), bytes: size(120) }
}
