//! What only one session has: its own sources, tasks and tabs. Most sessions have none of these.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::source_edit::SourceEdit;
use super::tab::Tab;
use crate::model::Text;
use crate::model::room::memberships::Memberships;
use crate::render::layout::Layout;
use crate::render::registry::Registry;
use crate::render::source::Source;
use crate::render::task::TaskControl;

/// The layout of everybody who sees the same rooms, and that layout with a session's own sources laid over it.
pub(crate) type OverlaidLayout = (Arc<Layout>, Arc<Layout>);

/// What a session's factory made, by path.
pub(crate) type ProviderSources = BTreeMap<Text, Arc<Source>>;

/// What only one session has.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    /// What its factory made, in provider-per-session mode.
    pub(super) provider: ProviderSources,
    /// What was registered for it alone, over its provider; `None` hides a path.
    pub(super) sources: BTreeMap<Text, Option<Arc<Source>>>,
    layout: Option<OverlaidLayout>,
    pub(super) tasks: BTreeMap<Text, Arc<dyn TaskControl>>,
    /// Tasks that ended and are still shown, the oldest first.
    ended: VecDeque<Text>,
    /// Connected tabs by number, mounted or not.
    pub(super) tabs: BTreeMap<u32, Arc<Tab>>,
}

impl Overlay {
    /// A layout that is still here counts: whoever takes it drops it without a lock.
    pub(super) fn is_empty(&self) -> bool {
        let no_tasks = self.tasks.is_empty() && self.ended.is_empty();
        self.layout.is_none() && no_tasks && !self.has_sources() && self.tabs.is_empty()
    }

    pub(super) fn has_sources(&self) -> bool {
        !self.provider.is_empty() || !self.sources.is_empty()
    }

    /// Where everything stands in this session's tree; made again when either side changed. With it comes the layout that
    /// is not current any more, to be dropped without a lock.
    pub(super) fn layout(
        &mut self,
        registry: &Registry,
        rooms: Option<&Memberships>,
    ) -> (Arc<Layout>, Option<OverlaidLayout>) {
        match &self.layout {
            Some((base, layout)) if registry.is_layout(base, rooms) => (Arc::clone(layout), None),
            _ => {
                let layout = registry.layout_with(rooms, &self.provider, &self.sources);
                let stale = self.layout.replace((registry.layout_of(rooms), Arc::clone(&layout)));
                (layout, stale)
            }
        }
    }

    /// Changes sources. Hands over those that are replaced, to be dropped without a lock.
    pub(super) fn edit_sources(&mut self, edits: BTreeMap<Text, SourceEdit>) -> Vec<Arc<Source>> {
        let edit = |(path, edit)| match edit {
            SourceEdit::Set(source) => self.sources.insert(path, source),
            SourceEdit::Restore => self.sources.remove(&path),
        };
        edits.into_iter().filter_map(edit).flatten().collect()
    }

    /// The sources changed. Hands the layout over, to be dropped without a lock.
    pub(super) const fn take_layout(&mut self) -> Option<OverlaidLayout> {
        self.layout.take()
    }

    /// The lowest number that no tab has, if there are fewer than `max`.
    pub(super) fn free_tab(&self, max: usize) -> Option<u32> {
        let gap = (1..).zip(self.tabs.keys()).find(|(number, taken)| number != *taken);
        let next = gap.map_or(self.tabs.len() as u32 + 1, |(number, _)| number);
        (self.tabs.len() < max).then_some(next)
    }

    /// A task ended and is shown for a while. Returns the one that has to go for it, if too many are shown.
    pub(super) fn end_task(&mut self, id: &Text, max: usize) -> Option<Text> {
        self.tasks.remove(id)?;
        self.ended.push_back(id.clone());
        if self.ended.len() > max { self.ended.pop_front() } else { None }
    }

    /// The node of an ended task is removed. False if it is gone already.
    pub(super) fn remove_task(&mut self, id: &str) -> bool {
        let known = self.ended.len();
        self.ended.retain(|ended| ended != id);
        self.ended.len() < known
    }
}
