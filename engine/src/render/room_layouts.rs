//! Where a session's rooms stand: sessions that see the same rooms share one layout.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use hashbrown::HashMap;

use super::layout::{LaidOutRooms, Layout, wanted};
use super::room_source::RoomSource;
use super::source::Source;
use crate::model::Text;
use crate::model::room::memberships::{Membership, Memberships};
use crate::sync::Mutex;

/// Under which path rooms stand.
pub(crate) const ROOMS: &str = "rooms";

/// What is registered for rooms, by path below a room; the room itself is the empty one.
pub(crate) type RoomSources = BTreeMap<Text, Arc<RoomSource>>;

/// What is registered for rooms, and what was made of it for sessions that see some.
#[derive(Debug, Default)]
pub(super) struct RoomLayouts {
    registered: RoomSources,
    made: Mutex<Made>,
}

/// What trees and layouts that are in use hold. The lock is held while a layout is made; entries are weak, so what they
/// free is memory, and what is found goes to whoever looked for it.
#[derive(Debug, Default)]
struct Made {
    /// By room and path below it.
    sources: HashMap<(u64, Text), Weak<Source>>,
    layouts: HashMap<LaidOutRooms, Weak<Layout>>,
    /// How many entries there were after the last sweep.
    swept: usize,
}

/// So few entries are not swept.
const FEW: usize = 64;

impl RoomLayouts {
    pub(super) fn new(registered: RoomSources) -> Self {
        Self { registered, made: Mutex::default() }
    }

    pub(super) fn has_async(&self) -> bool {
        self.registered.values().any(|source| source.is_async())
    }

    /// The layout that shows these rooms over what is registered for everybody, if it was not `make`d before.
    pub(super) fn layout(
        &self,
        memberships: &Memberships,
        common: &BTreeMap<Text, Arc<Source>>,
        make: impl FnOnce(&BTreeMap<Text, Arc<Source>>, LaidOutRooms) -> Arc<Layout>,
    ) -> Arc<Layout> {
        let rooms: LaidOutRooms = wanted(memberships).collect();
        let mut made = self.made.lock();
        if let Some(known) = made.layouts.get(&rooms).and_then(Weak::upgrade) {
            return known;
        }
        let mut sources = common.clone();
        sources.extend(made.sources(&self.registered, memberships));
        let layout = make(&sources, rooms.clone());
        made.layouts.insert(rooms, Arc::downgrade(&layout));
        made.sweep();
        layout
    }

    /// The sources of these rooms, by path.
    pub(super) fn sources(&self, memberships: &Memberships) -> Vec<(Text, Arc<Source>)> {
        self.made.lock().sources(&self.registered, memberships)
    }
}

impl Made {
    fn sources(&mut self, registered: &RoomSources, memberships: &Memberships) -> Vec<(Text, Arc<Source>)> {
        let mut all = Vec::new();
        for membership in memberships.all() {
            for (below, source) in registered {
                if below.is_empty() || membership.is_joined() {
                    all.push((path(membership, below), self.source(membership, below, source)));
                }
            }
        }
        all
    }

    /// The same for all sessions that see the room, so that they share its evaluations.
    fn source(&mut self, membership: &Membership, below: &Text, registered: &Arc<RoomSource>) -> Arc<Source> {
        let room = &membership.room;
        let key = (room.rank(), below.clone());
        if let Some(known) = self.sources.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        let mut source = registered.of_room(room);
        if below.is_empty() {
            source.order = room.rank();
        }
        let source = Arc::new(source);
        self.sources.insert(key, Arc::downgrade(&source));
        source
    }

    /// Frees what belonged to things that are gone; seldom enough that it costs little for each.
    fn sweep(&mut self) {
        if self.sources.len() + self.layouts.len() < FEW.max(2 * self.swept) {
            return;
        }
        self.sources.retain(|_, source| source.strong_count() > 0);
        self.layouts.retain(|_, layout| layout.strong_count() > 0);
        self.swept = self.sources.len() + self.layouts.len();
        self.sources.shrink_to(self.swept);
        self.layouts.shrink_to(self.swept);
    }
}

fn path(membership: &Membership, below: &str) -> Text {
    let mut path = Text::from(ROOMS);
    for segment in [membership.room.id().as_str(), below] {
        if !segment.is_empty() {
            path.push('/');
            path.push_str(segment);
        }
    }
    path
}
