//! Which of a session's paths a refresh means.

use std::cmp::Ordering;
use std::iter::once;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::model::Text;
use crate::model::path;

/// Which registered paths shall be rendered again. Cheap to clone: many sessions are often meant at once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Paths {
    All,
    /// These, what is above and what is below them.
    Only(Arc<PathSet>),
    /// This one alone; in the normal spelling.
    Exactly(Text),
    /// These alone.
    Each(Arc<PathSet>),
}

/// Paths in the normal spelling, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PathSet(SmallVec<[Text; 1]>);

impl FromIterator<Text> for Paths {
    /// The root means everything.
    fn from_iter<I: IntoIterator<Item = Text>>(paths: I) -> Self {
        let mut paths: SmallVec<[Text; 1]> = paths.into_iter().collect();
        paths.sort_unstable();
        paths.dedup();
        let all = paths.first().is_some_and(Text::is_empty);
        if all { Self::All } else { Self::Only(Arc::new(PathSet(paths))) }
    }
}

impl Paths {
    /// One path, in the normal spelling.
    pub(crate) fn one(path: Text) -> Self {
        Self::from_iter([path])
    }

    /// Paths, in the normal spelling, without what is above or below them.
    pub(crate) fn each(paths: impl IntoIterator<Item = Text>) -> Self {
        let mut paths: SmallVec<[Text; 1]> = paths.into_iter().collect();
        paths.sort_unstable();
        paths.dedup();
        Self::Each(Arc::new(PathSet(paths)))
    }

    /// Their names, for somebody to whom they are paths with what is above and below them; `None` means all.
    pub(crate) fn names(&self) -> Option<Vec<Text>> {
        match self {
            Self::All => None,
            Self::Only(paths) | Self::Each(paths) => Some(paths.0.to_vec()),
            Self::Exactly(path) => Some(vec![path.clone()]),
        }
    }

    /// Whether there is none.
    pub(crate) fn are_none(&self) -> bool {
        matches!(self, Self::Only(paths) | Self::Each(paths) if paths.0.is_empty())
    }

    pub(crate) fn touches(&self, registered: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(paths) => paths.touch(registered),
            Self::Exactly(path) => registered == path,
            Self::Each(paths) => paths.contains(registered),
        }
    }

    /// Adds what another refresh means, or more.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self == other {
            return;
        }
        if let (Self::Each(mine), Self::Each(theirs)) = (&mut *self, other) {
            Arc::make_mut(mine).merge(theirs);
            return;
        }
        let both = (std::mem::replace(self, Self::All).with_what_is_near(), other.clone().with_what_is_near());
        // Otherwise one of them means everything.
        if let (Self::Only(mut mine), Self::Only(theirs)) = both {
            Arc::make_mut(&mut mine).merge(&theirs);
            *self = Self::Only(mine);
        }
    }

    /// One path becomes a set, which means what is above and what is below it as well.
    fn with_what_is_near(self) -> Self {
        match self {
            Self::Exactly(path) => Self::one(path),
            // They are sorted already. The root among them means everything.
            Self::Each(paths) if paths.contains("") => Self::All,
            Self::Each(paths) => Self::Only(paths),
            all_or_some => all_or_some,
        }
    }
}

impl PathSet {
    fn contains(&self, path: &str) -> bool {
        self.0.binary_search_by(|known| known.as_str().cmp(path)).is_ok()
    }

    /// Adds what is not among these.
    fn merge(&mut self, other: &Self) {
        let missing = other.0.iter().filter(|path| !self.contains(path)).cloned().collect();
        self.add(missing);
    }

    /// Adds paths that are sorted and not among these.
    fn add(&mut self, paths: SmallVec<[Text; 1]>) {
        if let [path] = &*paths {
            let gap = self.0.partition_point(|known| known < path);
            self.0.insert(gap, path.clone());
        } else {
            self.0.extend(paths);
            self.0.sort_unstable();
        }
    }

    fn touch(&self, registered: &str) -> bool {
        if let [path] = &*self.0 {
            return path::covers(registered, path) || path::covers(path, registered);
        }
        let ends = registered.match_indices('/').map(|(end, _)| end).chain(once(registered.len()));
        let mut above = ends.map(|end| &registered[..end]);
        above.any(|path| self.contains(path)) || self.holds_below(registered)
    }

    /// Whether a path lies below this one.
    fn holds_below(&self, registered: &str) -> bool {
        if registered.is_empty() {
            return !self.0.is_empty();
        }
        let comes_before = |path: &Text| path.bytes().cmp(registered.bytes().chain(once(b'/'))) == Ordering::Less;
        let first = self.0.partition_point(comes_before);
        self.0.get(first).is_some_and(|path| path::covers(registered, path))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn paths() -> impl Strategy<Value = Vec<Text>> {
        prop::collection::vec("[ab]([-/0][ab]){0,3}".prop_map(Text::from), 0..8)
    }

    proptest! {
        #[test]
        fn a_set_touches_what_any_of_its_paths_touches(
            mut wanted in paths(),
            more in paths(),
            registered in paths(),
        ) {
            let mut set: Paths = wanted.iter().cloned().collect();
            set.merge(&more.iter().cloned().collect());
            wanted.extend(more);
            for registered in registered.iter().map(Text::as_str).chain([""]) {
                let touches = |path: &Text| path::covers(registered, path) || path::covers(path, registered);
                prop_assert_eq!(set.touches(registered), wanted.iter().any(touches), "{:?} {}", set, registered);
            }
        }
    }

    #[test]
    fn single_paths_stay_single_with_others_of_their_kind_alone() {
        let touched = |paths: &Paths| ["", "a", "a/b", "a/b/c", "d"].map(|path| paths.touches(path));
        let mut paths = Paths::each(["a/b".into()]);
        paths.merge(&Paths::each(["d".into(), "a/b".into()]));
        assert_eq!(touched(&paths), [false, false, true, false, true]);
        paths.merge(&Paths::Exactly("d".into()));
        assert_eq!(touched(&paths), [true; 5]);
    }

    #[test]
    fn the_root_means_everything() {
        assert_eq!(["a".into(), Text::default()].into_iter().collect::<Paths>(), Paths::All);
    }
}
