//! Where registered paths stand in the tree: the same for every session that has no registrations of its own and sees the
//! same rooms.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::source::Source;
use crate::model::Text;
use crate::model::path;
use crate::model::room::memberships::Memberships;

/// The registered paths as a trie; node 0 is the root.
#[derive(Debug)]
pub(crate) struct Layout {
    places: Vec<Place>,
    entries: Vec<Entry>,
    has_async: bool,
    /// Present if a session's rooms are laid out.
    rooms: Option<Box<Rooms>>,
}

/// Which of the rooms are laid out, by their place in the order of creation, and whether what is below them is.
pub(super) type LaidOutRooms = Box<[(u64, bool)]>;

/// Which rooms a session's layout has to have.
pub(super) fn wanted(memberships: &Memberships) -> impl Iterator<Item = (u64, bool)> {
    memberships.all().iter().map(|membership| (membership.room.rank(), membership.is_joined()))
}

/// What a layout with rooms has beside the others.
#[derive(Debug)]
struct Rooms {
    /// The generation of what everybody has and of what is registered for rooms, and the rooms. Absent if something of a
    /// session's own is laid out too: then it is nobody else's, and not that session's either once that is gone.
    common: Option<(u64, LaidOutRooms)>,
    /// The places below one, where they do not stand in the order of their ids. Sorted by the place above.
    orders: Vec<(usize, Box<[usize]>)>,
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
        Arc::new(Self::of(sources))
    }

    /// Lays out sources among which are those of rooms. They are common to all who see these rooms, or (`None`) some of
    /// them are a session's own.
    pub(super) fn with_rooms(sources: &BTreeMap<Text, Arc<Source>>, common: Option<(u64, LaidOutRooms)>) -> Arc<Self> {
        let mut layout = Self::of(sources);
        let orders = layout.orders();
        layout.rooms = Some(Box::new(Rooms { common, orders }));
        Arc::new(layout)
    }

    fn of(sources: &BTreeMap<Text, Arc<Source>>) -> Self {
        let entries = Vec::with_capacity(sources.len());
        let mut layout = Self { places: vec![Place::default()], entries, has_async: false, rooms: None };
        for (path, source) in sources {
            let place = path::segments(path).fold(0, |at, id| layout.below_or_new(at, id));
            layout.places[place].entry = Some(layout.entries.len());
            layout.has_async |= source.is_async();
            layout.entries.push(Entry { path: path.clone(), place, source: Arc::clone(source) });
        }
        layout
    }

    /// The orders of those places below which something has an order of its own.
    fn orders(&self) -> Vec<(usize, Box<[usize]>)> {
        let order = |place: &usize| {
            let entry = self.places[*place].entry.map(|entry| &self.entries[entry]);
            entry.map_or(Source::LAST, |entry| entry.source.order)
        };
        let has_order = |place: &Place| place.below.iter().any(|below| order(below) != Source::LAST);
        let ordered = self.places.iter().enumerate().filter(|(_, place)| has_order(place));
        let sorted = ordered.map(|(at, place)| {
            let mut below = place.below.clone();
            // Stable: those with the same order stay in that of their ids.
            below.sort_by_key(order);
            (at, below.into())
        });
        sorted.collect()
    }

    /// Whether it shows these rooms, of the registry of this generation, and nothing of a session's own.
    pub(super) fn shows(&self, generation: u64, mut rooms: impl Iterator<Item = (u64, bool)>) -> bool {
        let common = self.rooms.as_ref().and_then(|rooms| rooms.common.as_ref());
        common.is_some_and(|(of, shown)| {
            *of == generation && shown.iter().all(|shown| rooms.next() == Some(*shown)) && rooms.next().is_none()
        })
    }

    /// The places below one, in the order in which consumers see them.
    pub(crate) fn in_order(&self, place: usize) -> &[usize] {
        let order = self.rooms.as_ref().and_then(|rooms| {
            let at = rooms.orders.binary_search_by_key(&place, |(above, _)| *above).ok()?;
            Some(&*rooms.orders[at].1)
        });
        order.unwrap_or(&self.places[place].below)
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
