//! What of a tree is wanted.

use crate::model::Text;
use crate::model::path;
use crate::render::view::{Filter, TypeSet, ViewOptions};

/// What of a tree is wanted: a path and, as for any consumer, a depth, a filter, a budget or a window (contract 1.4).
#[derive(Debug, Clone, PartialEq)]
pub struct Query(ViewOptions);

impl Query {
    /// Everything at a path and below it; `/` is the whole tree.
    #[must_use]
    pub fn at(path: &str) -> Self {
        Self(ViewOptions { path: path::normal(path), ..ViewOptions::default() })
    }

    /// At most so many levels below the path.
    #[must_use]
    pub fn depth(mut self, levels: u32) -> Self {
        self.0.depth = Some(levels);
        self
    }

    /// Only children of these types.
    #[must_use]
    pub fn types<T: Into<Text>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.0.filter = Filter { types: Some(types.into_iter().map(Into::into).collect::<TypeSet>()), ..self.0.filter };
        self
    }

    /// Only children whose salience is at least this.
    #[must_use]
    pub fn min_salience(mut self, salience: f64) -> Self {
        self.0.filter.min_salience = Some(salience);
        self
    }

    /// At most so many nodes: others are collapsed.
    #[must_use]
    pub fn max_nodes(mut self, nodes: usize) -> Self {
        self.0.max_nodes = Some(nodes);
        self
    }

    /// These children of the path's node, counted over the whole list.
    #[must_use]
    pub fn window(mut self, offset: u64, count: u64) -> Self {
        self.0.window = Some([offset, count]);
        self
    }

    pub(super) const fn options(&self) -> &ViewOptions {
        &self.0
    }
}
