//! Parses JSON as tolerantly as its senders need: a bad leaf costs that leaf, never the frame.
//!
//! `serde_json` refuses a whole text for half a surrogate pair, which JavaScript makes of `"😀".slice(0, 1)`, and for a
//! number that no `f64` can hold. So a text that it refuses is repaired, and parsed once more.

use serde_json::Value;

/// How many levels a value may have. `serde_json` refuses 128.
const MAX_LEVELS: usize = 120;

/// How much of a place is named.
const NAMED_STEPS: usize = 12;

/// A parsed text, and which of its values are null because they could not be read: the first of each message of a batch,
/// and the first outside of any.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) value: Value,
    pub(super) unreadable: Vec<Unreadable>,
}

/// A value that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) place: Vec<Step>,
    why: &'static str,
    /// Which message of a batch it is in.
    message: Option<usize>,
}

/// A step from a value to one that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

impl Unreadable {
    /// Where it is: `params.tags[1]`.
    pub(super) fn place(&self) -> String {
        let mut named = String::new();
        for step in self.place.iter().take(NAMED_STEPS) {
            match step {
                Step::Key(key) if named.is_empty() => named.push_str(key),
                Step::Key(key) => named.extend([".", key]),
                Step::Index(index) => named.push_str(&format!("[{index}]")),
            }
        }
        if self.place.len() > NAMED_STEPS {
            named.push_str("...");
        }
        named
    }

    /// The same value as a part of another one that holds it.
    pub(super) fn below(&self, steps: &[Step]) -> Option<Self> {
        let place = self.place.strip_prefix(steps)?.to_vec();
        Some(Self { place, why: self.why, message: self.message })
    }

    /// What is wrong with it.
    pub(super) const fn why(&self) -> &'static str {
        self.why
    }
}

/// Parses a text.
///
/// # Errors
/// If it is not JSON.
pub(super) fn parse(text: &str) -> Result<Parsed, serde_json::Error> {
    let error = match serde_json::from_str(text) {
        Ok(value) => return Ok(Parsed { value, unreadable: Vec::new() }),
        Err(error) => error,
    };
    let repair = Repair::of(text);
    if repair.flushed == 0 {
        return Err(error);
    }
    let (text, unreadable) = repair.finish();
    Ok(Parsed { value: serde_json::from_str(&text)?, unreadable })
}

/// A walk over the tokens of a text that replaces what cannot be read. It does not check the grammar: the parser does.
struct Repair<'t> {
    text: &'t str,
    at: usize,
    /// The repaired text up to `flushed`.
    repaired: String,
    flushed: usize,
    open: Vec<Open>,
    unreadable: Vec<Unreadable>,
    /// Something outside of the messages of a batch is unreadable.
    is_refused: bool,
}

/// An array or object whose end was not reached yet.
enum Open {
    Array { index: usize },
    Object { key: String, is_at_value: bool },
}

impl<'t> Repair<'t> {
    fn of(text: &'t str) -> Self {
        let (repaired, open, unreadable) = (String::new(), Vec::new(), Vec::new());
        let mut repair = Self { text, at: 0, repaired, flushed: 0, open, unreadable, is_refused: false };
        while let Some(byte) = repair.byte() {
            repair.token(byte);
        }
        repair
    }

    fn finish(mut self) -> (String, Vec<Unreadable>) {
        self.repaired.push_str(&self.text[self.flushed..]);
        (self.repaired, self.unreadable)
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'t [u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn token(&mut self, byte: u8) {
        match byte {
            b'"' => self.string(),
            b'[' | b'{' if self.open.len() == MAX_LEVELS => self.too_deep(),
            b'[' => self.enter(Open::Array { index: 0 }),
            b'{' => self.enter(Open::Object { key: String::new(), is_at_value: false }),
            b']' | b'}' => self.leave(),
            b',' | b':' => self.separator(byte),
            b'-' | b'0'..=b'9' | b'N' | b'I' => self.number(),
            _ => self.at += 1,
        }
    }

    fn enter(&mut self, open: Open) {
        self.open.push(open);
        self.at += 1;
    }

    fn leave(&mut self) {
        self.open.pop();
        self.at += 1;
    }

    fn separator(&mut self, byte: u8) {
        match self.open.last_mut() {
            Some(Open::Array { index }) => *index += 1,
            Some(Open::Object { is_at_value, .. }) => *is_at_value = byte == b':',
            None => {}
        }
        self.at += 1;
    }

    /// Replaces what stands between `from` and here.
    fn replace(&mut self, from: usize, with: &str) {
        self.repaired.push_str(&self.text[self.flushed..from]);
        self.repaired.push_str(with);
        self.flushed = self.at;
    }

    /// Only the first one of a message is recorded: it suffices to refuse the message, and a place may be long.
    fn give_up(&mut self, from: usize, why: &'static str) {
        self.replace(from, "null");
        let message = self.message();
        let known = match message {
            Some(_) => self.unreadable.last().is_some_and(|known| known.message == message),
            None => std::mem::replace(&mut self.is_refused, true),
        };
        if known {
            return;
        }
        let step = |open: &Open| match open {
            Open::Array { index } => Step::Index(*index),
            Open::Object { key, .. } => Step::Key(key.clone()),
        };
        self.unreadable.push(Unreadable { place: self.open.iter().map(step).collect(), why, message });
    }

    /// Which message of a batch this is in.
    fn message(&self) -> Option<usize> {
        match self.open.as_slice() {
            [Open::Object { key, .. }, Open::Array { index }, ..] if key == "messages" => Some(*index),
            _ => None,
        }
    }

    fn number(&mut self) {
        let from = self.at;
        let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        self.at += self.rest().iter().take_while(is_part).count();
        let number = &self.text[from..self.at];
        match number {
            "NaN" | "Infinity" | "-Infinity" => self.give_up(from, "is not a number"),
            _ if number.parse().is_ok_and(f64::is_infinite) => self.give_up(from, "is out of range"),
            _ => {}
        }
    }

    /// Steps over an array or object that has too many levels around it.
    fn too_deep(&mut self) {
        let from = self.at;
        let mut levels = 0_usize;
        while let Some(byte) = self.byte() {
            match byte {
                b'"' => {
                    self.skip_string();
                    continue;
                }
                b'[' | b'{' => levels += 1,
                b']' | b'}' => levels -= 1,
                _ => {}
            }
            self.at += 1;
            if levels == 0 {
                break;
            }
        }
        self.give_up(from, "is nested too deeply");
    }

    fn skip_string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.byte() {
            self.skip(if byte == b'\\' { 2 } else { 1 });
            if byte == b'"' {
                break;
            }
        }
    }

    /// Steps over a string, in which each half of a surrogate pair without the other becomes U+FFFD.
    fn string(&mut self) {
        let from = self.at;
        self.at += 1;
        while let Some(byte) = self.byte() {
            match byte {
                b'\\' => self.escape(),
                _ => self.at += 1,
            }
            if byte == b'"' {
                break;
            }
        }
        if let Some(Open::Object { key, is_at_value: false }) = self.open.last_mut() {
            let (repaired, _) = Self::of(&self.text[from..self.at]).finish();
            *key = serde_json::from_str(&repaired).unwrap_or_default();
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.text.len());
    }

    fn escape(&mut self) {
        let from = self.at;
        let Some(unit) = unit_at(self.rest()) else {
            self.skip(2);
            return;
        };
        self.at += ESCAPE;
        match unit {
            HIGH_FIRST..LOW_FIRST if unit_at(self.rest()).is_some_and(is_low) => self.at += ESCAPE,
            HIGH_FIRST..=LOW_LAST => self.replace(from, "\\ufffd"),
            _ => {}
        }
    }
}

const HIGH_FIRST: u16 = 0xd800;
const LOW_FIRST: u16 = 0xdc00;
const LOW_LAST: u16 = 0xdfff;

/// The length of `\ud83d`.
const ESCAPE: usize = 6;

fn is_low(unit: u16) -> bool {
    (LOW_FIRST..=LOW_LAST).contains(&unit)
}

/// The UTF-16 unit that an escape at the beginning stands for.
fn unit_at(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.get(..ESCAPE)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)? as u16))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parsed(text: &str) -> (Value, Vec<String>) {
        let Parsed { value, unreadable } = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        (value, unreadable.iter().map(|one| format!("{} {}", one.place(), one.why())).collect())
    }

    #[test]
    fn half_a_surrogate_pair_becomes_the_replacement_character() {
        for (text, wanted) in [
            (r#""cut \ud83d""#, "cut \u{fffd}"),
            (r#""\ud83d\ude00 \uD83D""#, "\u{1f600} \u{fffd}"),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
            (r#""\\ud83d \ud83dx\n""#, "\\ud83d \u{fffd}x\n"),
            (r#""\ud83d\"""#, "\u{fffd}\""),
        ] {
            assert_eq!(parsed(text), (json!(wanted), Vec::new()), "{text}");
        }
    }

    #[test]
    fn a_number_out_of_range_is_null_and_named() {
        let (value, unreadable) = parsed(r#"{"a":[1,{"b":1e400}],"c":-1e999,"d":1e30,"e":NaN,"f":[-Infinity,2]}"#);
        assert_eq!(value, json!({"a": [1, {"b": null}], "c": null, "d": 1e30, "e": null, "f": [null, 2]}));
        assert_eq!(unreadable, ["a[1].b is out of range"], "the first one suffices");
    }

    #[test]
    fn a_place_is_named_by_repaired_keys() {
        for (text, place) in [
            (r#"{"x\ud83d":{"y\ude00z":1e400}}"#, "x\u{fffd}.y\u{fffd}z"),
            (r#"{"\"\\":1e400}"#, "\"\\"),
            (r#"{"ok\n":1e400}"#, "ok\n"),
        ] {
            assert_eq!(parsed(text).1, [format!("{place} is out of range")], "{text}");
        }
    }

    #[test]
    fn one_place_is_recorded_for_each_message_of_a_batch_and_one_for_the_rest() {
        let text = r#"{"a":NaN,"messages":[{"b":[1e400,NaN]},{"c":1},{"d":{"e":NaN,"f":1e400}}],"g":1e400}"#;
        let (_, unreadable) = parsed(text);
        let wanted = ["a is not a number", "messages[0].b[0] is out of range", "messages[2].d.e is not a number"];
        assert_eq!(unreadable, wanted);
        assert_eq!(parsed(&format!("[{}1]", "1e400,".repeat(10_000))).1.len(), 1);
    }

    #[test]
    fn what_is_nested_too_deeply_is_null_and_the_rest_is_read() {
        let deep = format!("{}\"]}}\\\"\"{}", "[".repeat(50_000), "]".repeat(50_000));
        let (value, unreadable) = parsed(&format!(r#"{{"deep":{deep},"id":"x"}}"#));
        assert_eq!(value["id"], "x");
        assert!(unreadable[0].ends_with("... is nested too deeply"), "{unreadable:?}");
    }

    #[test]
    fn what_is_not_json_stays_refused() {
        for text in
            ["", "nonsense", "{", "\"", "\"\\", "\"\\u", "\"\\ud8", "[1e400", "{\"a\":NaN", "[[[\"\\", "NaN,", "}]"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_repair(text in r#"[\[\]{}",:\\ud83NaIe4+. é😀-]{0,60}"#) {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_json_comes_out_as_it_is(strings in prop::collection::vec(any::<String>(), 0..5), number: i64) {
            let value = json!({"strings": strings, "number": number, "bad": "BAD"});
            // One unreadable leaf makes the repair run over all the rest.
            let text = value.to_string().replacen("\"BAD\"", "1e400", 1);
            let strings_hold_it = strings.iter().any(|text| text.contains("BAD"));
            prop_assume!(!strings_hold_it);
            let (read, _) = parsed(&text);
            prop_assert_eq!(read, json!({"strings": strings, "number": number, "bad": null}));
        }
    }
}
