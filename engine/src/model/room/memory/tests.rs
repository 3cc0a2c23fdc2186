//! Random writes against a list in which everything is looked up from the start.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const BOUNDS: MemoryBounds = MemoryBounds { keys: 4, bytes: 40 };

/// What may happen to a memory. Versions are counted back from the latest one.
#[derive(Debug, Clone)]
enum Step {
    Put(u8, usize, Expectation),
    Delete(u8, Expectation),
}

#[derive(Debug, Clone, Copy)]
enum Expectation {
    Anything,
    Nothing,
    Something,
    Version(u64),
}

fn expectation() -> impl Strategy<Value = Expectation> {
    prop_oneof![
        4 => Just(Expectation::Anything),
        1 => Just(Expectation::Nothing),
        1 => Just(Expectation::Something),
        3 => (0..6_u64).prop_map(Expectation::Version),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..6_u8, 0..30_usize, expectation()).prop_map(|(key, bytes, expected)| Step::Put(key, bytes, expected)),
        2 => (0..6_u8, expectation()).prop_map(|(key, expected)| Step::Delete(key, expected)),
    ]
}

/// Of different lengths, and not in the order of their numbers.
fn key(number: u8) -> String {
    ["b", "aa", "ä", "a", "A1", "a-b"][usize::from(number)].to_owned()
}

/// Key, text and version of each entry, and the versions given.
#[derive(Debug, Default)]
struct Reference {
    entries: Vec<(String, String, u64)>,
    writes: u64,
}

impl Reference {
    fn expected(&self, expectation: Expectation) -> Expected {
        match expectation {
            Expectation::Anything => Expected::Anything,
            Expectation::Nothing => Expected::Nothing,
            Expectation::Something => Expected::Something,
            Expectation::Version(back) => Expected::Version(self.writes.saturating_sub(back)),
        }
    }

    fn holds(&self, key: &str, expected: Expected) -> bool {
        let version = self.entries.iter().find(|entry| entry.0 == key).map_or(0, |entry| entry.2);
        match expected {
            Expected::Anything => true,
            Expected::Nothing => version == 0,
            Expected::Something => version > 0,
            Expected::Version(wanted) => version == wanted,
        }
    }

    fn bytes(&self) -> usize {
        self.entries.iter().map(|(key, text, _)| key.len() + text.len()).sum()
    }

    fn put(&mut self, key: &str, text: String, expected: Expected) -> Result<u64, NotKept> {
        if !self.holds(key, expected) {
            return Err(NotKept::Unexpected);
        }
        let before = (self.entries.clone(), self.bytes());
        self.entries.retain(|entry| entry.0 != key);
        if self.entries.len() == BOUNDS.keys {
            self.entries = before.0;
            return Err(NotKept::Keys);
        }
        self.entries.push((key.to_owned(), text, self.writes + 1));
        if self.bytes() > BOUNDS.bytes {
            self.entries = before.0;
            return Err(NotKept::Bytes);
        }
        self.writes += 1;
        Ok(self.writes)
    }

    fn delete(&mut self, key: &str, expected: Expected) -> Result<(), NotKept> {
        if !self.holds(key, expected) {
            return Err(NotKept::Unexpected);
        }
        let before = self.entries.len();
        self.entries.retain(|entry| entry.0 != key);
        if self.entries.len() == before {
            return Err(NotKept::Unknown);
        }
        self.writes += 1;
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_memory_holds_what_was_written_last(steps in prop::collection::vec(step(), 0..60)) {
        let mut memory = Memory::default();
        let mut known = Reference::default();
        for step in steps {
            match step {
                Step::Put(number, bytes, expectation) => {
                    let (key, value) = (key(number), json!("x".repeat(bytes)));
                    let expected = known.expected(expectation);
                    let new = NewEntry::new(&key, &value, BOUNDS).expect("each alone fits");
                    let kept = memory.put(new, expected, BOUNDS);
                    prop_assert_eq!(kept, known.put(&key, value.to_string(), expected));
                }
                Step::Delete(number, expectation) => {
                    let (key, expected) = (key(number), known.expected(expectation));
                    prop_assert_eq!(memory.delete(&key, expected), known.delete(&key, expected));
                }
            }
            known.entries.sort();
            let of = |(key, entry): (&Text, &Entry)| (key.to_string(), entry.value.to_string(), entry.version);
            prop_assert_eq!(memory.all().map(of).collect::<Vec<_>>(), known.entries.clone());
            prop_assert_eq!((memory.bytes(), memory.len()), (known.bytes(), known.entries.len()));
            for (prefix, after) in [("", None), ("a", None), ("a", Some("a")), ("a", Some("A")), ("", Some("aa")), ("b", Some("z"))] {
                let wanted = known.entries.iter().filter(|entry| entry.0.starts_with(prefix));
                let wanted = wanted.filter(|entry| after.is_none_or(|after| entry.0.as_str() > after));
                prop_assert_eq!(memory.range(prefix, after).map(of).collect::<Vec<_>>(), wanted.cloned().collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn a_key_can_be_the_id_of_a_node() {
    let long = "x".repeat(256);
    for good in ["a", "a.b c", "ключ", "-", long.as_str()] {
        assert_eq!(check_key(good), Ok(()), "{good}");
    }
    let longer = "x".repeat(257);
    for bad in ["", "a/b", "a~0", "line\nbreak", "\u{85}", "meta", "children", "id", longer.as_str()] {
        assert!(check_key(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_can_never_be_kept_is_told_apart_from_what_does_not_fit_now() {
    let value = json!("x".repeat(37));
    assert!(fits("a", &value, 40) && !fits("ab", &value, 40) && !fits(&"k".repeat(257), &json!(1), 1_000));
    assert!(NewEntry::new("a", &value, BOUNDS).is_ok());
    assert!(NewEntry::new("ab", &value, BOUNDS).unwrap_err().0.contains("at most 40 bytes"));
    let deep = |levels: usize| (0..levels).fold(json!(1), |below, _| json!([below]));
    let wide = MemoryBounds { keys: 1, bytes: 10_000 };
    assert!(NewEntry::new("a", &deep(115), wide).is_ok());
    assert!(NewEntry::new("a", &deep(116), wide).unwrap_err().0.contains("nested"));
}

#[test]
fn what_was_written_under_other_bounds_can_become_less() {
    let wide = MemoryBounds { keys: 4, bytes: 1_000 };
    let mut memory = Memory::default();
    let new = |bytes: usize| NewEntry::new("a", &json!("x".repeat(bytes)), wide).unwrap();
    assert_eq!(memory.put(new(100), Expected::Anything, wide), Ok(1));
    assert_eq!(memory.put(new(90), Expected::Anything, BOUNDS), Ok(2));
    assert_eq!(memory.put(new(95), Expected::Anything, BOUNDS), Err(NotKept::Bytes));
}
