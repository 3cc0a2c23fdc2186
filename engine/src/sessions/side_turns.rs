//! Turns beside the main one of a slot, and what each turn leaves alone when it commits.

use std::collections::BTreeSet;

use smallvec::SmallVec;

use super::paths::Paths;
use super::turn::TurnId;
use crate::model::Text;
use crate::render::layout::Layout;

/// The turns that work on one slot at the same time. Each began with the tree of that moment; when it commits, what later
/// ones have committed meanwhile is newer and stays.
///
/// Made when the first turn beside the main one begins.
#[derive(Debug, Default)]
pub(super) struct SideTurns {
    /// How many turns began since this was made.
    begun: u32,
    main: Running,
    beside: SmallVec<[Running; 1]>,
}

#[derive(Debug, Default)]
struct Running {
    /// By when it began; 0 for a main turn that was there first.
    number: u32,
    later: Later,
}

/// What turns committed that began later than one that still runs.
#[derive(Debug, Default)]
pub(super) struct Later {
    committed: bool,
    all: bool,
    /// The registered paths that they rendered.
    paths: BTreeSet<Text>,
}

impl SideTurns {
    /// The main turn begins while others run.
    pub(super) fn begin_main(&mut self) {
        self.begun += 1;
        self.main = Running { number: self.begun, later: Later::default() };
    }

    /// A turn begins beside the main one.
    pub(super) fn begin_beside(&mut self) -> TurnId {
        self.begun += 1;
        self.beside.push(Running { number: self.begun, later: Later::default() });
        TurnId::Beside(self.begun)
    }

    /// A turn ends; with the paths that it rendered and their layout if it commits. Returns what it has to leave alone.
    pub(super) fn end(&mut self, turn: TurnId, main_runs: bool, commits: Option<(&Paths, &Layout)>) -> Later {
        let ended = match turn {
            TurnId::Main => std::mem::take(&mut self.main),
            TurnId::Beside(number) => {
                let at = self.beside.iter().position(|running| running.number == number);
                at.map(|at| self.beside.remove(at)).unwrap_or_default()
            }
        };
        if let Some((paths, layout)) = commits {
            let main = (turn != TurnId::Main && main_runs).then_some(&mut self.main);
            let earlier = self.beside.iter_mut().chain(main).filter(|running| running.number < ended.number);
            earlier.for_each(|running| running.later.add(paths, layout));
        }
        ended.later
    }

    pub(super) fn is_empty(&self) -> bool {
        self.beside.is_empty() && !self.main.later.committed
    }

    /// How many turns run beside the main one.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn beside(&self) -> usize {
        self.beside.len()
    }
}

impl Later {
    fn add(&mut self, paths: &Paths, layout: &Layout) {
        self.committed = true;
        if *paths == Paths::All {
            self.all = true;
            self.paths.clear();
        }
        if self.all {
            return;
        }
        let rendered = layout.entries().iter().map(|entry| &entry.path).filter(|path| paths.touches(path));
        self.paths.extend(rendered.cloned());
        // What is not registered any more stands nowhere: no more is kept than there are paths.
        if self.paths.len() > layout.entries().len() {
            self.paths.retain(|path| layout.position(path).is_some());
        }
    }

    /// Whether anything was committed; then its layout is the newer one.
    pub(super) const fn has_committed(&self) -> bool {
        self.committed
    }

    /// Whether what is registered here was rendered.
    pub(super) fn has_rendered(&self, registered: &str) -> bool {
        self.all || self.paths.contains(registered)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::render::source::Source;

    fn layout() -> Arc<Layout> {
        let sources = ["", "a", "b", "c"].map(|path| (Text::from(path), Arc::new(Source::bare())));
        Layout::build(&BTreeMap::from(sources))
    }

    fn left_alone(later: &Later) -> Vec<&'static str> {
        ["", "a", "b", "c"].into_iter().filter(|path| later.has_rendered(path)).collect()
    }

    #[test]
    fn a_turn_leaves_alone_what_later_ones_committed_while_it_ran() {
        let (layout, mut turns) = (layout(), SideTurns::default());
        let exactly = |path: &str| Paths::Exactly(path.into());
        let (a, b) = (turns.begin_beside(), turns.begin_beside());
        let of_b = turns.end(b, true, Some((&exactly("b"), &layout)));
        assert!(!of_b.has_committed());
        let of_a = turns.end(a, true, Some((&exactly("a"), &layout)));
        assert_eq!(left_alone(&of_a), ["b"]);
        let of_main = turns.end(TurnId::Main, true, Some((&Paths::All, &layout)));
        assert_eq!(left_alone(&of_main), ["a", "b"]);
        assert!(turns.is_empty());
    }

    #[test]
    fn a_turn_beside_that_outlives_the_main_one_is_older_than_the_next() {
        let (layout, mut turns) = (layout(), SideTurns::default());
        let a = turns.begin_beside();
        turns.end(TurnId::Main, true, Some((&Paths::All, &layout)));
        assert_eq!(left_alone(&turns.end(a, false, None)), Vec::<&str>::new());
        let a = turns.begin_beside();
        turns.begin_main();
        turns.end(TurnId::Main, true, Some((&Paths::All, &layout)));
        assert_eq!(left_alone(&turns.end(a, false, Some((&Paths::All, &layout)))), ["", "a", "b", "c"]);
        assert!(turns.is_empty());
    }

    #[test]
    fn a_turn_that_commits_nothing_overtakes_nothing() {
        let mut turns = SideTurns::default();
        let a = turns.begin_beside();
        turns.end(a, true, None);
        assert!(!turns.end(TurnId::Main, true, None).has_committed());
        assert!(turns.is_empty());
    }
}
