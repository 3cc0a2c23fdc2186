//! What a refresh here says to the other instances.

use std::sync::Arc;

use super::scope::{Scope, Target};
use crate::cluster::bus::Bus;
use crate::cluster::notice::{Notice, Reason};
use crate::model::Text;
use crate::model::selector::Selector;
use crate::sessions::paths::Paths;
use crate::sessions::slot::Slot;
use crate::sessions::table::Table;

/// Tells the other instances what was refreshed here, as far as it can be said.
#[derive(Debug)]
pub(crate) struct Notifier {
    bus: Arc<Bus>,
    table: Arc<Table>,
}

impl Notifier {
    pub(crate) const fn new(bus: Arc<Bus>, table: Arc<Table>) -> Self {
        Self { bus, table }
    }

    /// The application refreshes a scope. One with a closure stays here.
    pub(super) fn refreshed(&self, scope: &Scope) {
        self.bus.notify(|| {
            let Target::Selected(whom) = scope.target() else { return None };
            // The same session has the same project everywhere; of one that is not open here it is not known.
            let slot = if let Selector::Session(id) = whom { self.table.get(id) } else { None };
            let (whom, paths, after) = (whom.clone(), scope.wanted().names(), scope.commit().cloned());
            Some((Notice { whom, paths, reason: Reason::Refresh, after }, slot.map(|slot| project_of(&slot))))
        });
    }

    /// A call may have changed what this session sees.
    pub(super) fn called(&self, slot: &Slot, paths: &Paths) {
        self.bus.notify(|| {
            let notice = || Notice {
                whom: Selector::Session(slot.id()),
                paths: paths.names(),
                reason: Reason::Call,
                after: None,
            };
            (!paths.are_none()).then(|| (notice(), Some(project_of(slot))))
        });
    }
}

fn project_of(slot: &Slot) -> Text {
    slot.context().project().cloned().unwrap_or_default()
}
