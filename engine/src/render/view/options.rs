//! What a consumer asked to see.

use std::sync::{Arc, LazyLock};

use crate::model::Text;
use crate::render::tree::TreeNode;

/// What a consumer asked to see.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct ViewOptions {
    /// The requested node, in the normal spelling.
    pub(crate) path: Text,
    /// How many levels below it; absent means all.
    pub(crate) depth: Option<u32>,
    /// How many nodes at most; 0 collapses all that may be.
    pub(crate) max_nodes: Option<usize>,
    pub(crate) filter: Filter,
    /// Offset and count of the requested node's children, over the whole list.
    pub(crate) window: Option<[u64; 2]>,
}

impl ViewOptions {
    /// How many bytes of what the consumer chose are kept with them.
    pub(crate) fn bytes(&self) -> usize {
        self.path.len() + self.filter.types.as_ref().map_or(0, TypeSet::bytes)
    }

    /// The same options, to be stored. Nearly everybody asks for the whole tree, so those options are stored once.
    pub(crate) fn shared(self) -> Arc<Self> {
        static WHOLE: LazyLock<Arc<ViewOptions>> = LazyLock::new(Arc::default);
        if self == **WHOLE { Arc::clone(&WHOLE) } else { Arc::new(self) }
    }
}

/// Which children are shown. The requested node itself is never filtered.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Filter {
    pub(crate) types: Option<TypeSet>,
    pub(crate) min_salience: Option<f64>,
}

impl Filter {
    /// Whether a node is shown.
    pub(super) fn admits(&self, node: &TreeNode<'_>) -> bool {
        if self.types.is_none() && self.min_salience.is_none() {
            return true;
        }
        let salience = node.fields().map_or(0.5, |fields| fields.salience());
        self.min_salience.is_none_or(|least| salience >= least)
            && self.types.as_ref().is_none_or(|types| types.contains(node.kind()))
    }
}

/// Different types of nodes. They are few, and asked for once per node of a view.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TypeSet(Box<[Text]>);

impl TypeSet {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|kind| size_of::<Text>() + kind.len()).sum()
    }

    fn contains(&self, kind: &str) -> bool {
        self.0.binary_search_by(|known| known.as_str().cmp(kind)).is_ok()
    }
}

impl FromIterator<Text> for TypeSet {
    fn from_iter<I: IntoIterator<Item = Text>>(types: I) -> Self {
        let mut types: Vec<Text> = types.into_iter().collect();
        types.sort_unstable();
        types.dedup();
        Self(types.into())
    }
}
