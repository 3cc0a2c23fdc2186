//! How many problems of one source are reported: a tab, or an application whose every item is wrong, could fill a disk.

use hashbrown::HashMap;

use crate::model::Text;

/// How many problems of one source are reported within a window.
const REPORTED: u64 = 32;

/// How long a window lasts, in ms.
const WINDOW_MS: u64 = 60_000;

/// For how many sources windows are kept; the sources beyond share one.
const SOURCES: usize = 1_024;

/// The problems of the last minute, by the path of their source.
#[derive(Debug, Default)]
pub(super) struct Problems(HashMap<Text, Window>);

#[derive(Debug)]
struct Window {
    since_ms: u64,
    reported: u64,
    counted: u64,
    /// Whether it was said that there are more than are reported.
    told: bool,
}

/// What is to be reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Admitted {
    /// How many of the window before were only counted.
    pub(super) counted_before: u64,
    /// How many are reported one by one.
    pub(super) reported: u64,
    /// How many are reported as a number, because with them it becomes too many.
    pub(super) as_number: u64,
}

impl Problems {
    /// A source has this many problems.
    pub(super) fn admit(&mut self, source: &Text, problems: u64, now_ms: u64) -> Admitted {
        let window = self.window(source, now_ms);
        let is_over = now_ms >= window.since_ms.saturating_add(WINDOW_MS);
        let before = if is_over { std::mem::replace(window, Window::from(now_ms)).counted } else { 0 };
        let reported = problems.min(REPORTED - window.reported);
        let rest = problems - reported;
        // The first that are too many are told at once, so that nobody takes the list for complete.
        let as_number = if window.told { 0 } else { rest };
        window.told |= rest > 0;
        window.reported += reported;
        window.counted += rest - as_number;
        Admitted { counted_before: before, reported, as_number }
    }

    fn window(&mut self, source: &Text, now_ms: u64) -> &mut Window {
        if self.0.len() >= SOURCES && !self.0.contains_key(source) {
            self.0.retain(|_, window| now_ms < window.since_ms.saturating_add(WINDOW_MS));
        }
        let is_known = self.0.len() < SOURCES || self.0.contains_key(source);
        let key = if is_known { source.clone() } else { Text::default() };
        self.0.entry(key).or_insert_with(|| Window::from(now_ms))
    }
}

impl Window {
    const fn from(now_ms: u64) -> Self {
        Self { since_ms: now_ms, reported: 0, counted: 0, told: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(counted_before: u64, reported: u64, as_number: u64) -> Admitted {
        Admitted { counted_before, reported, as_number }
    }

    #[test]
    fn what_is_too_much_within_a_minute_is_counted() {
        let (mut problems, path) = (Problems::default(), Text::from("list"));
        assert_eq!(problems.admit(&path, 30, 0), admitted(0, 30, 0));
        assert_eq!(problems.admit(&path, 30, 10), admitted(0, 2, 28));
        assert_eq!(problems.admit(&path, 30, 20), admitted(0, 0, 0));
        assert_eq!(problems.admit(&path, 7, 59_999), admitted(0, 0, 0));
        assert_eq!(problems.admit(&"other".into(), 1, 59_999), admitted(0, 1, 0));
        assert_eq!(problems.admit(&path, 1, 60_000), admitted(37, 1, 0));
        assert_eq!(problems.admit(&path, 1, 200_000), admitted(0, 1, 0));
    }

    #[test]
    fn that_there_are_more_is_told_once_also_if_they_come_one_by_one() {
        let (mut problems, path) = (Problems::default(), Text::from("list"));
        let mut admit = |now_ms| problems.admit(&path, 1, now_ms);
        assert!((0..32).all(|_| admit(0) == admitted(0, 1, 0)));
        assert_eq!([admit(1), admit(2)], [admitted(0, 0, 1), admitted(0, 0, 0)]);
        assert_eq!(admit(60_000), admitted(1, 1, 0));
    }

    #[test]
    fn the_number_of_sources_is_bounded() {
        let mut problems = Problems::default();
        for number in 0..5_000 {
            problems.admit(&number.to_string().into(), 1, 0);
        }
        assert_eq!(problems.0.len(), SOURCES + 1);
        problems.admit(&"late".into(), 1, 60_000);
        assert_eq!(problems.0.len(), 1);
    }
}
