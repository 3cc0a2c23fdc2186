//! Which source is registered under which path.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::layout::{Entry, Layout, wanted};
use super::room_layouts::{ROOMS, RoomLayouts, RoomSources};
use super::source::Source;
use crate::model::Text;
use crate::model::path;
use crate::model::room::memberships::Memberships;

/// What is registered for every session. A session's own registrations are laid over it.
#[derive(Debug)]
pub(crate) struct Registry {
    /// How often it was changed before.
    generation: u64,
    sources: BTreeMap<Text, Arc<Source>>,
    layout: Arc<Layout>,
    rooms: RoomLayouts,
}

impl Registry {
    /// Lays out sources by path, among which is the root.
    pub(crate) fn new(generation: u64, sources: BTreeMap<Text, Arc<Source>>, rooms: RoomSources) -> Self {
        let layout = Layout::build(&sources);
        Self { generation, sources, layout, rooms: RoomLayouts::new(rooms) }
    }

    /// The higher of two is the newer.
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether anything that it lays out awaits.
    pub(crate) fn has_async(&self) -> bool {
        self.layout.has_async() || self.rooms.has_async()
    }

    /// Whether what stands somewhere is common to several sessions, and not one session's own.
    pub(crate) fn is_common(&self, entry: &Entry) -> bool {
        let known = self.sources.get(&entry.path);
        known.is_some_and(|source| Arc::ptr_eq(source, &entry.source)) || path::covers(ROOMS, &entry.path)
    }

    /// Whether a layout is that of a session with these rooms and nothing of its own.
    pub(crate) fn is_layout(&self, layout: &Arc<Layout>, rooms: Option<&Memberships>) -> bool {
        match rooms {
            Some(rooms) => layout.shows(self.generation, wanted(rooms)),
            None => Arc::ptr_eq(layout, &self.layout),
        }
    }

    /// The layout of a session with these rooms and nothing of its own.
    pub(crate) fn layout_of(&self, rooms: Option<&Memberships>) -> Arc<Layout> {
        match rooms {
            Some(rooms) => self.rooms.layout(rooms, &self.sources, |sources, shown| {
                Layout::with_rooms(sources, Some((self.generation, shown)))
            }),
            None => Arc::clone(&self.layout),
        }
    }

    /// The layout for a session that has an instance, or registrations of its own; `None` hides a path.
    pub(crate) fn layout_with(
        &self,
        rooms: Option<&Memberships>,
        instance: &BTreeMap<Text, Arc<Source>>,
        own: &BTreeMap<Text, Option<Arc<Source>>>,
    ) -> Arc<Layout> {
        let mut sources = self.sources.clone();
        sources.extend(instance.iter().map(|(path, source)| (path.clone(), Arc::clone(source))));
        sources.extend(rooms.map(|rooms| self.rooms.sources(rooms)).unwrap_or_default());
        for (path, source) in own {
            match source {
                Some(source) => sources.insert(path.clone(), Arc::clone(source)),
                None if path.is_empty() => sources.insert(Text::default(), Arc::new(Source::bare())),
                None => sources.remove(path),
            };
        }
        match rooms {
            Some(_) => Layout::with_rooms(&sources, None),
            None => Layout::build(&sources),
        }
    }
}
