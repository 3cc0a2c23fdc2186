//! The chunks of runs as watchers receive them.

/// What stands before the time of a chunk.
const STAMP: &str = "due ";

/// About as much as a model says at once, and when it was due.
pub(super) fn stamped(due_us: u64) -> String {
    format!("and so on, {STAMP}{due_us}; ")
}

/// When the chunks of a text were due: a frame may hold several, if the watcher was slow.
fn stamps(text: &str) -> impl Iterator<Item = u64> {
    text.split(STAMP).skip(1).filter_map(|after| after.split(';').next()?.parse().ok())
}

/// What a frame is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard<'f> {
    /// A text, and at which character of the output it begins.
    Chunk {
        offset: u64,
        text: &'f str,
    },
    /// Events are missing.
    Gap,
    /// The run has ended, and how.
    End(&'f str),
    Other,
}

/// The start of every event; its name follows.
const EVENT: &str = r#"{"type":"event","name":""#;

/// The value of the last field of this name: the body stands behind everything else.
fn field<'f>(frame: &'f str, name: &str) -> Option<&'f str> {
    frame.rfind(name).map(|at| &frame[at + name.len()..])
}

impl<'f> Heard<'f> {
    /// What a frame is about, of texts without anything that JSON escapes.
    pub(super) fn of(frame: &'f str) -> Self {
        let kind = frame.strip_prefix(EVENT).and_then(|name| name.split('"').next()).unwrap_or_default();
        match kind {
            "run.chunk" => Self::chunk(frame).unwrap_or(Self::Other),
            "room.gap" => Self::Gap,
            "run.done" | "run.failed" | "run.cancelled" | "run.timed_out" => Self::End(kind),
            _ => Self::Other,
        }
    }

    fn chunk(frame: &'f str) -> Option<Self> {
        let digits = field(frame, r#""offset":"#)?;
        let end = digits.find(|digit: char| !digit.is_ascii_digit())?;
        let text = field(frame, r#""text":""#)?.split('"').next()?;
        Some(Self::Chunk { offset: digits[..end].parse().ok()?, text })
    }
}

/// What a watcher has heard of one run.
#[derive(Debug, Default)]
pub(super) struct Watched {
    pub(super) latencies_us: Vec<f64>,
    /// Characters without a gap.
    pub(super) chars: u64,
    pub(super) gaps: u64,
    /// What is wrong with it.
    pub(super) problem: Option<String>,
    pub(super) has_ended: bool,
}

impl Watched {
    /// Takes a frame that arrived now.
    pub(super) fn take(&mut self, frame: &str, now_us: u64) {
        match Heard::of(frame) {
            Heard::Chunk { offset, text } => {
                if offset != self.chars {
                    self.problem.get_or_insert(format!("a chunk begins at {offset} and not at {}", self.chars));
                }
                self.chars = offset + text.len() as u64;
                self.latencies_us.extend(stamps(text).map(|due_us| now_us.saturating_sub(due_us) as f64));
            }
            Heard::Gap => self.gaps += 1,
            Heard::End(kind) => {
                self.has_ended = true;
                if kind != "run.done" {
                    self.problem.get_or_insert(format!("a run ended with {kind}"));
                }
            }
            Heard::Other => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_may_hold_the_times_of_several_chunks() {
        let text = format!("{}{}", stamped(7), stamped(9));
        let frame = format!(
            r#"{{"type":"event","name":"run.chunk","data":{{"body":{{"run":"r","offset":12,"text":"{text}"}}}}}}"#
        );
        assert_eq!(Heard::of(&frame), Heard::Chunk { offset: 12, text: &text });
        let mut watched = Watched { chars: 12, ..Watched::default() };
        watched.take(&frame, 10);
        assert_eq!((watched.latencies_us, watched.problem), (vec![3.0, 1.0], None));
    }

    #[test]
    fn text_that_is_missing_is_noticed() {
        let mut watched = Watched::default();
        watched.take(r#"{"type":"event","name":"run.chunk","data":{"body":{"offset":3,"text":"abc"}}}"#, 0);
        watched.take(r#"{"type":"event","name":"room.gap","data":{"body":{"from_seq":4}}}"#, 0);
        assert!(watched.problem.is_some() && watched.gaps == 1);
    }
}
