//! What the peers of one project are to be told of each other: a pure type.
//!
//! There is no queue for each peer. A reader remembers how far it has been told; what it is told next is what the rows are by
//! then. So a peer that reads slowly misses what was over in between, and costs the others nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use axum::extract::ws::Utf8Bytes;

/// How many rows that are gone are remembered for readers that have been told of them, and not yet that they left; twice as
/// many before they are looked through.
const MOST_GONE: usize = 10_000;

/// What is shown.
pub(crate) trait Shows {
    /// The frame that says that it joined, changed or left, as those see it that are of the same member, or of another one.
    fn frame(&self, kind: &str, is_own: bool) -> String;
}

/// One reads as one member.
#[derive(Debug)]
struct Reader {
    /// Whose own row it is not told of.
    number: u64,
    member: String,
    /// Up to which change it has been told.
    position: u64,
    /// It will never learn that some rows left.
    is_behind: bool,
}

/// A row as it became with one change.
#[derive(Debug)]
struct Shown<R> {
    number: u64,
    member: String,
    row: R,
    /// The change with which it joined.
    since: u64,
    /// The change with which it became this.
    at: u64,
    /// The frames with it by [`Kind`], for its own member and for others; each is encoded once, when the first is told.
    texts: [[OnceLock<Utf8Bytes>; 2]; 3],
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Joined,
    Changed,
    Left,
}

/// How the rows of a project became what they are, by number of change.
///
/// | step | what follows |
/// |---|---|
/// | `show` | a row is there, or is another one |
/// | `leave` | a row is gone |
/// | `open` | one more reads, who is told of what follows |
/// | `take` | a reader is told |
/// | `close` | a reader is gone |
#[derive(Debug)]
pub(crate) struct Feed<R> {
    rows: HashMap<u64, Arc<Shown<R>>>,
    /// Which row joined with a change. Those that have left are here as long as they are in `gone`.
    joined: BTreeMap<u64, Arc<Shown<R>>>,
    /// Which row changed last with a change, of those that are there.
    changed: BTreeMap<u64, Arc<Shown<R>>>,
    /// Which row left with a change, of those of which a reader has been told.
    gone: BTreeMap<u64, Arc<Shown<R>>>,
    /// How many there may be before they are looked through again.
    look_through_at: usize,
    readers: HashMap<u64, Reader>,
    /// The latest change.
    last: u64,
    next_reader: u64,
}

/// A reader can never be told of everything any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Behind;

impl<R> Default for Feed<R> {
    fn default() -> Self {
        Self {
            rows: HashMap::new(),
            joined: BTreeMap::new(),
            changed: BTreeMap::new(),
            gone: BTreeMap::new(),
            look_through_at: 0,
            readers: HashMap::new(),
            last: 0,
            next_reader: 0,
        }
    }
}

impl<R: Shows> Feed<R> {
    /// The latest change.
    pub(crate) const fn last(&self) -> u64 {
        self.last
    }

    /// A row is there, or is another one than before.
    pub(crate) fn show(&mut self, number: u64, member: &str, row: R) {
        self.last += 1;
        let before = self.rows.get(&number);
        let since = before.map_or(self.last, |before| before.since);
        let (member, texts) = (member.to_owned(), Default::default());
        let shown = Arc::new(Shown { number, member, row, since, at: self.last, texts });
        if let Some(before) = before {
            self.changed.remove(&before.at);
            self.changed.insert(self.last, Arc::clone(&shown));
        }
        self.joined.insert(since, Arc::clone(&shown));
        self.rows.insert(number, shown);
    }

    /// A row is gone, if it was there.
    pub(crate) fn leave(&mut self, number: u64) {
        let Some(shown) = self.rows.remove(&number) else { return };
        self.last += 1;
        self.changed.remove(&shown.at);
        self.gone.insert(self.last, shown);
        if self.gone.len() > self.look_through_at {
            self.look_through();
        }
    }

    /// One more reads, for the row with this number.
    pub(crate) fn open(&mut self, number: u64, member: &str) -> u64 {
        let reader = self.next_reader;
        self.next_reader += 1;
        let position = self.last;
        self.readers.insert(reader, Reader { number, member: member.to_owned(), position, is_behind: false });
        reader
    }

    pub(crate) fn close(&mut self, reader: u64) {
        self.readers.remove(&reader);
    }

    /// What a reader is told next: at most so many changes. It has been told of everything if its position is the latest
    /// change then.
    pub(crate) fn take(&mut self, reader: u64, most: usize) -> Result<(Vec<Utf8Bytes>, bool), Behind> {
        let Some(reader) = self.readers.get_mut(&reader) else { return Ok((Vec::new(), true)) };
        if reader.is_behind {
            return Err(Behind);
        }
        let mut next: Vec<_> = [(&self.joined, Kind::Joined), (&self.changed, Kind::Changed), (&self.gone, Kind::Left)]
            .into_iter()
            .flat_map(|(changes, kind)| {
                changes.range(reader.position + 1..).take(most + 1).map(move |(at, shown)| (*at, kind, shown))
            })
            .collect();
        next.sort_unstable_by_key(|(at, ..)| *at);
        let is_all = next.len() <= most;
        next.truncate(most);
        reader.position = if is_all { self.last } else { next.last().map_or(self.last, |(at, ..)| *at) };
        let others = next.into_iter().filter(|(_, _, shown)| shown.number != reader.number);
        Ok((others.map(|(_, kind, shown)| shown.text(kind, shown.member == reader.member)).collect(), is_all))
    }

    /// Keeps of what is gone only that of which a reader has been told, and not yet that it left. What was never told, nobody
    /// is told.
    fn look_through(&mut self) {
        let mut positions: Vec<u64> = self.readers.values().map(|reader| reader.position).collect();
        positions.sort_unstable();
        let is_known = |since: u64, left: u64| {
            let first = positions.partition_point(|position| *position < since);
            positions.get(first).is_some_and(|position| *position < left)
        };
        let joined = &mut self.joined;
        self.gone.retain(|left, shown| {
            let is_known = is_known(shown.since, *left);
            if !is_known {
                joined.remove(&shown.since);
            }
            is_known
        });
        while self.gone.len() > MOST_GONE {
            self.drop_oldest();
        }
        self.look_through_at = (2 * self.gone.len()).clamp(64, 2 * MOST_GONE);
    }

    fn drop_oldest(&mut self) {
        let Some((left, shown)) = self.gone.pop_first() else { return };
        self.joined.remove(&shown.since);
        for reader in self.readers.values_mut() {
            reader.is_behind |= (shown.since..left).contains(&reader.position);
        }
    }
}

impl<R: Shows> Shown<R> {
    fn text(&self, kind: Kind, is_own: bool) -> Utf8Bytes {
        let name = match kind {
            Kind::Joined => "joined",
            Kind::Changed => "changed",
            Kind::Left => "left",
        };
        let encode = || self.row.frame(name, is_own).into();
        self.texts[kind as usize][usize::from(is_own)].get_or_init(encode).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap as Model, HashSet};

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    struct Row(u64, u64);

    impl Shows for Row {
        fn frame(&self, kind: &str, is_own: bool) -> String {
            json!({"type": kind, "row": format!("p_{}", self.0), "name": self.1.to_string(), "is_own": is_own})
                .to_string()
        }
    }

    fn show(feed: &mut Feed<Row>, number: u64, name: u64) {
        feed.show(number, ["ann", "bob"][number as usize % 2], Row(number, name));
    }

    /// What a reader knows after it was told: every `joined` is of a row that it did not know, and so on.
    fn learn(known: &mut Model<String, String>, text: &str) {
        let frame: Value = serde_json::from_str(text).unwrap();
        let [participant, name] = ["row", "name"].map(|key| frame[key].as_str().unwrap().to_owned());
        let before = match frame["type"].as_str().unwrap() {
            "left" => known.remove(&participant),
            _ => known.insert(participant, name),
        };
        assert_eq!(before.is_none(), frame["type"] == "joined", "{text}");
    }

    proptest! {
        #[test]
        fn whoever_has_been_told_of_everything_knows_what_there_is(
            steps in proptest::collection::vec((0_u8..8, 0_u64..12, 1_usize..5), 0..400)
        ) {
            let mut feed = Feed::default();
            let (mut there, mut name) = (Model::new(), 0);
            // What each of three readers knows, which began at some time with what there was.
            let mut readers: Model<u64, (u64, Model<String, String>)> = Model::new();
            for (step, number, most) in steps {
                match step {
                    0..=2 => {
                        name += 1;
                        show(&mut feed, number, name);
                        there.insert(format!("p_{number}"), name.to_string());
                    }
                    3 | 4 => {
                        feed.leave(number);
                        there.remove(&format!("p_{number}"));
                        feed.look_through();
                    }
                    5 => {
                        let reader = readers.entry(number % 3).or_insert_with(|| (feed.open(99, "ann"), there.clone()));
                        prop_assert!(feed.readers.contains_key(&reader.0));
                    }
                    6 => if let Some((reader, _)) = readers.remove(&(number % 3)) {
                        feed.close(reader);
                    },
                    _ => for (reader, known) in readers.values_mut() {
                        let (texts, is_all) = feed.take(*reader, most).unwrap();
                        prop_assert!(texts.len() <= most);
                        texts.iter().for_each(|text| learn(known, text));
                        prop_assert!(!is_all || *known == there);
                    },
                }
                prop_assert!(feed.joined.len() == feed.rows.len() + feed.gone.len());
                prop_assert!(feed.changed.len() <= feed.rows.len());
            }
        }
    }

    #[test]
    fn a_change_is_encoded_once_for_those_of_its_member_and_once_for_the_others_however_many_they_are() {
        let mut feed = Feed::default();
        let readers: Vec<_> =
            (0..1_000).map(|number| feed.open(10 + number, ["ann", "bob"][number as usize % 2])).collect();
        let mut texts = HashSet::new();
        for changes in [vec![0], vec![0, 1], vec![]] {
            changes.iter().for_each(|number| show(&mut feed, *number, 0));
            feed.leave(if changes.is_empty() { 0 } else { 77 });
            for reader in &readers {
                let (told, is_all) = feed.take(*reader, 64).unwrap();
                assert!(is_all && told.len() == changes.len().max(1));
                texts.extend(told.iter().map(|text| text.as_str().as_ptr()));
            }
        }
        assert_eq!(texts.len(), 8, "joined, changed, joined and left, twice");
    }

    #[test]
    fn who_reads_nothing_holds_up_nothing_and_is_told_what_there_is_in_the_end() {
        let mut feed = Feed::default();
        (0..10).for_each(|number| show(&mut feed, number, 0));
        let slow = feed.open(99, "ann");
        // Others come, change and go.
        for number in 0..20_000 {
            show(&mut feed, 100 + number, 1);
            show(&mut feed, 5, number);
            feed.leave(100 + number);
        }
        assert!(feed.gone.len() <= 64 && feed.joined.len() < 100, "{}", feed.gone.len());
        feed.leave(7);
        let (told, is_all) = feed.take(slow, 1_000).unwrap();
        let of = |row: &str| {
            told.iter().filter(|text| text.contains(row)).map(|text| text.as_str().to_owned()).collect::<Vec<_>>()
        };
        let frame = |kind: &str, row: u64, name: u64| Row(row, name).frame(kind, false);
        assert!(is_all && told.len() < 200, "{}", told.len());
        assert_eq!(of("\"p_5\""), [frame("changed", 5, 19_999)]);
        assert_eq!(of("\"p_7\""), [frame("left", 7, 0)]);
    }

    #[test]
    fn more_rows_than_may_be_remembered_leave_readers_behind_that_knew_them() {
        let mut feed = Feed::default();
        let (slow, quick) = (feed.open(1, "ann"), feed.open(2, "ann"));
        let many = 2 * MOST_GONE as u64 + 200;
        (0..many).for_each(|number| show(&mut feed, 10 + number, 0));
        while !feed.take(slow, 1_000).unwrap().1 {}
        (0..many).for_each(|number| feed.leave(10 + number));
        assert!(feed.gone.len() <= 2 * MOST_GONE, "{}", feed.gone.len());
        assert_eq!(feed.take(slow, 1), Err(Behind));
        assert!(feed.take(quick, 1).is_ok(), "it never knew them");
    }
}
