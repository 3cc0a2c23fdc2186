//! The events of rooms as consumers receive them.

/// The text of every event with something that was said.
const MESSAGE: &str = r#""kind":"message""#;

/// Whether a frame is something that was said in a room.
pub(super) fn is_message(frame: &str) -> bool {
    frame.starts_with(r#"{"type":"event""#) && frame.contains(MESSAGE)
}

/// The number of an event of a room.
pub(super) fn seq(frame: &str) -> Option<u64> {
    let at = frame.find(r#""seq":"#)?;
    number(&frame[at + r#""seq":"#.len()..])
}

/// When a message was due, which says so in its data.
pub(super) fn due_us(frame: &str) -> Option<u64> {
    let at = frame.rfind(r#""t":"#)?;
    number(&frame[at + r#""t":"#.len()..])
}

fn number(text: &str) -> Option<u64> {
    let end = text.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

/// Verifies that the numbers of messages have no hole.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Sequence {
    last: Option<u64>,
    pub(super) count: u64,
    pub(super) holes: u64,
}

impl Sequence {
    pub(super) fn take(&mut self, frame: &str) {
        let seq = seq(frame);
        let follows = self.last.is_none_or(|last| seq == Some(last + 1));
        self.holes += u64::from(!follows || seq.is_none());
        self.last = seq;
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_in_the_numbers_is_counted() {
        let mut sequence = Sequence::default();
        for seq in [4, 5, 7] {
            sequence.take(&format!(r#"{{"type":"event","data":{{"seq":{seq},"kind":"message","body":{{"t":9}}}}}}"#));
        }
        assert_eq!((sequence.count, sequence.holes), (3, 1));
        assert_eq!(due_us(r#"{"seq":7,"body":{"data":{"t":93}}}"#), Some(93));
    }
}
