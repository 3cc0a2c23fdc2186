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

/// A source that is no longer registered, if there was one, and the layout that held it.
pub(crate) type Replaced = (Option<Arc<Source>>, Arc<Layout>);

impl Registry {
    pub(crate) fn new() -> Self {
        // There is always a root, and it is the first.
        let sources = BTreeMap::from([(Text::default(), Arc::new(Source::bare()))]);
        let layout = Layout::build(&sources);
        Self { generation: 0, sources, layout }
    }

    /// Registers a source. Returns what was there before, to be dropped without a lock.
    #[must_use]
    pub(crate) fn insert(&mut self, path: Text, source: Arc<Source>) -> Replaced {
        let before = self.sources.insert(path, source);
        self.generation += 1;
        (before, std::mem::replace(&mut self.layout, Layout::build(&self.sources)))
    }

    /// Removes exactly this path; what is registered below it stays (contract 2.3), and so does a bare root.
    #[must_use]
    pub(crate) fn remove(&mut self, path: &str) -> Replaced {
        let before = self.sources.remove(path);
        self.generation += 1;
        self.sources.entry(Text::default()).or_insert_with(|| Arc::new(Source::bare()));
        (before, std::mem::replace(&mut self.layout, Layout::build(&self.sources)))
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
