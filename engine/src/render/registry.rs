//! Which source is registered under which path.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::layout::Layout;
use super::source::Source;
use crate::model::Text;

/// What is registered for every session. A session's own registrations are laid over it.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    /// How often it was changed before.
    generation: u64,
    sources: BTreeMap<Text, Arc<Source>>,
    layout: Arc<Layout>,
}

impl Registry {
    /// Lays out sources by path, among which is the root.
    pub(crate) fn new(generation: u64, sources: BTreeMap<Text, Arc<Source>>) -> Self {
        let layout = Layout::build(&sources);
        Self { generation, sources, layout }
    }

    /// The higher of two is the newer.
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) const fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The layout for a session that has an instance, or registrations of its own; `None` hides a path.
    pub(crate) fn layout_with(
        &self,
        instance: &BTreeMap<Text, Arc<Source>>,
        own: &BTreeMap<Text, Option<Arc<Source>>>,
    ) -> Arc<Layout> {
        let mut sources = self.sources.clone();
        sources.extend(instance.iter().map(|(path, source)| (path.clone(), Arc::clone(source))));
        for (path, source) in own {
            match source {
                Some(source) => sources.insert(path.clone(), Arc::clone(source)),
                None if path.is_empty() => sources.insert(Text::default(), Arc::new(Source::bare())),
                None => sources.remove(path),
            };
        }
        Layout::build(&sources)
    }
}
