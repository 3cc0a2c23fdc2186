//! Where a node stands while its tree is built.

/// The position of a node, and how many levels may still follow. The path is put together only when somebody needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct NodePosition<'p> {
    /// The path, for the topmost; the id, for those below.
    name: &'p str,
    above: Option<&'p Self>,
    /// Levels from this node on, itself included.
    pub(super) depth: u32,
}

impl<'p> NodePosition<'p> {
    /// The topmost node of what is built, at a path in the normal spelling.
    pub(super) const fn top(path: &'p str, depth: u32) -> Self {
        Self { name: path, above: None, depth }
    }

    pub(super) fn below<'c>(&'c self, id: &'c str) -> NodePosition<'c> {
        NodePosition { name: id, above: Some(self), depth: self.depth.saturating_sub(1) }
    }

    /// The path in the normal spelling.
    pub(super) fn path(&self) -> String {
        let Some(above) = self.above else { return self.name.to_owned() };
        let mut path = above.path();
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(self.name);
        path
    }
}
