//! The answer to a query, made when the socket has room for it.

use std::sync::Arc;

use super::delivery::Delivery;
use super::fit::fit;
use super::versioned::Versioned;
use crate::error::ActionError;
use crate::protocol::code::ErrorCode;
use crate::protocol::encode;
use crate::protocol::message::RequestId;
use crate::render::fragment::Fragment;
use crate::render::node_ref::NodeRef;
use crate::render::tree::TreeNode;
use crate::render::view::{View, ViewOptions};

/// What was loaded for a query beside the tree.
#[derive(Debug, Clone)]
pub(crate) enum Loaded {
    /// Nothing had to be, or there is no such item.
    Nothing,
    /// A list's children from this offset on.
    Window(u64, Fragment),
    /// One item.
    Item(Fragment),
    /// The source failed; the log knows why.
    Failed,
}

/// A node, and the children that were loaded for it with the offset of the first.
type LocatedNode<'a> = (TreeNode<'a>, Option<(u64, &'a Fragment)>);

impl Loaded {
    /// Whether all that a query shows is part of the tree.
    pub(crate) const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// How many bytes of content are held for the query alone.
    fn bytes(&self) -> usize {
        match self {
            Self::Window(_, fragment) | Self::Item(fragment) => fragment.total_bytes(),
            Self::Nothing | Self::Failed => 0,
        }
    }

    /// Where the requested node stands: in the tree, or in what was loaded.
    pub(crate) fn locate<'a>(&'a self, now: &'a Versioned, view: &ViewOptions) -> Result<LocatedNode<'a>, ActionError> {
        let located = now.tree.resolve(&view.path).map(|located| located.node);
        match (located, self) {
            (_, Self::Failed) => Err(ActionError::internal("what was asked for could not be loaded")),
            (Some(node), Self::Window(offset, run)) => Ok((node, Some((*offset, run)))),
            (Some(node), _) => Ok((node, None)),
            (None, Self::Item(item)) => Ok((now.tree.root().foreign(NodeRef::root_of(item)), None)),
            (None, _) => Err(ActionError::not_found("there is no such path")),
        }
    }
}

/// A query whose answer waits for its turn.
#[derive(Debug, Clone)]
pub(crate) struct PendingQuery {
    pub(crate) id: RequestId,
    pub(crate) view: Arc<ViewOptions>,
    pub(crate) loaded: Loaded,
}

/// An answer's text, and what has to be told of it.
pub(crate) struct QueryReply {
    pub(crate) text: String,
    /// How many nodes the view had if it had to be compacted.
    pub(crate) compacted: Option<usize>,
    /// The view fits no frame.
    pub(crate) too_large: bool,
}

impl PendingQuery {
    /// What a waiting question counts against the bound of the outbox, in bytes, beside what it holds.
    const COST: usize = 512;

    /// What it counts against the bound of the outbox, in bytes: what was asked for, and what was loaded for it.
    pub(crate) fn cost(&self) -> usize {
        Self::COST + self.id.text().len() + self.view.bytes() + self.loaded.bytes()
    }

    /// Answers from the tree now, so that versions never go back on a connection.
    pub(crate) fn answer(&self, now: &Versioned, delivery: &Delivery) -> QueryReply {
        let (node, children) = match self.loaded.locate(now, &self.view) {
            Ok(located) => located,
            Err(error) => return self.refused(error.code(), error.message()),
        };
        let known = self.loaded.is_nothing().then(|| delivery.known_orders(&now.tree));
        match fit(View::new(&self.view, node, children), known, now.tree.nodes(), delivery) {
            Some(fitted) => {
                let text = encode::snapshot(&self.id, now.version, None, &fitted.tree);
                QueryReply { text, compacted: fitted.compacted, too_large: false }
            }
            None => {
                let words = "the answer does not fit a frame: ask for a deeper path, a depth or a window";
                QueryReply { too_large: true, ..self.refused(ErrorCode::TooLarge, words) }
            }
        }
    }

    fn refused(&self, code: impl AsRef<str>, words: &str) -> QueryReply {
        QueryReply { text: encode::error(Some(&self.id), code, words), compacted: None, too_large: false }
    }
}
