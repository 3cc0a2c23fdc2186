//! Where registered paths stand in the tree: the same for every session that has no registrations of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::source::Source;
use crate::model::Text;
use crate::model::path;

/// The registered paths as a trie; node 0 is the root.
#[derive(Debug)]
pub(crate) struct Layout {
    places: Vec<Place>,
    entries: Vec<Entry>,
    has_async: bool,
}

/// A node of the trie: a registered path, or an ancestor that must exist because something below it is registered.
#[derive(Debug, Default)]
pub(crate) struct Place {
    pub(crate) id: Text,
    /// Which entry is registered exactly here.
    pub(crate) entry: Option<usize>,
    /// The places below, sorted by id (contract 2.3).
    pub(crate) below: Vec<usize>,
}

/// One registered path.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) path: Text,
    /// Where it stands.
    pub(crate) place: usize,
    pub(crate) source: Arc<Source>,
}

impl Layout {
    /// Lays out sources that are sorted by path.
    pub(crate) fn build(sources: &BTreeMap<Text, Arc<Source>>) -> Arc<Self> {
        let mut layout =
            Self { places: vec![Place::default()], entries: Vec::with_capacity(sources.len()), has_async: false };
        for (path, source) in sources {
            let place = path::segments(path).fold(0, |at, id| layout.below_or_new(at, id));
            layout.places[place].entry = Some(layout.entries.len());
            layout.has_async |= source.is_async();
            layout.entries.push(Entry { path: path.clone(), place, source: Arc::clone(source) });
        }
        Arc::new(layout)
    }

    fn below_or_new(&mut self, at: usize, id: &str) -> usize {
        match self.places[at].below.binary_search_by(|below| self.places[*below].id.as_str().cmp(id)) {
            Ok(found) => self.places[at].below[found],
            Err(gap) => {
                let new = self.places.len();
                self.places.push(Place { id: id.into(), ..Place::default() });
                self.places[at].below.insert(gap, new);
                new
            }
        }
    }

    /// How many places there are, registered or above what is.
    pub(crate) const fn places(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn place(&self, at: usize) -> &Place {
        &self.places[at]
    }

    /// The place with this id directly below another.
    pub(crate) fn below(&self, at: usize, id: &str) -> Option<usize> {
        let below = &self.places[at].below;
        let found = below.binary_search_by(|below| self.places[*below].id.as_str().cmp(id)).ok()?;
        Some(below[found])
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether any source awaits.
    pub(crate) const fn has_async(&self) -> bool {
        self.has_async
    }

    /// The entry that renders a path: the longest registered one that covers it.
    pub(crate) fn covering(&self, path: &str) -> Option<&Entry> {
        self.entries.iter().filter(|entry| path::covers(&entry.path, path)).max_by_key(|entry| entry.path.len())
    }

    /// Which entry is registered under exactly this path.
    pub(crate) fn position(&self, path: &str) -> Option<usize> {
        self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()
    }
}
