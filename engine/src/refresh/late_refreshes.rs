//! Sessions for which something is still rendered that their calls did not wait for.

use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::gathered::address;
use crate::sessions::slot::Slot;
use crate::sync::Mutex;

/// The sessions with a late refresh, by address, and whether all of it is to be rendered once more. There is one entry,
/// and one refresh that goes on, for each session, however many calls it makes meanwhile.
#[derive(Debug, Default)]
pub(super) struct LateRefreshes(Mutex<HashMap<usize, bool>>);

/// One late refresh. It holds its slot, so the address is this slot's alone.
#[derive(Debug)]
pub(super) struct LateRefresh {
    all: Arc<LateRefreshes>,
    pub(super) slot: Arc<Slot>,
    ended: bool,
}

impl LateRefreshes {
    pub(super) fn contains(&self, slot: &Arc<Slot>) -> bool {
        self.0.lock().contains_key(&address(slot))
    }

    /// A refresh of this session is late. `None` if another one is already; then everything is rendered once more when
    /// that one has ended.
    pub(super) fn begin(self: &Arc<Self>, slot: &Arc<Slot>) -> Option<LateRefresh> {
        match self.0.lock().entry(address(slot)) {
            Entry::Occupied(mut again) => {
                again.insert(true);
                return None;
            }
            Entry::Vacant(gap) => gap.insert(false),
        };
        Some(LateRefresh { all: Arc::clone(self), slot: Arc::clone(slot), ended: false })
    }
}

impl LateRefresh {
    /// What was late is rendered. True if everything is to be rendered once more; otherwise it has ended.
    pub(super) fn again(&mut self) -> bool {
        let mut late = self.all.0.lock();
        let again = late.get_mut(&address(&self.slot)).is_some_and(std::mem::take);
        if !again {
            late.remove(&address(&self.slot));
            self.ended = true;
        }
        again
    }
}

impl Drop for LateRefresh {
    fn drop(&mut self) {
        if !self.ended {
            self.all.0.lock().remove(&address(&self.slot));
        }
    }
}
