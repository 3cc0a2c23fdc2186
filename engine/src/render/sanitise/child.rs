//! A child of a node, before it is looked into.

use crate::render::descriptor::Descriptor;

/// A child that may be packed: its id is legal and unique among its siblings. What is inside was not looked at yet.
#[derive(Debug, Clone, Copy)]
pub(in crate::render) struct Child<'d> {
    pub(in crate::render) id: &'d str,
    pub(in crate::render) kind: &'d str,
    pub(in crate::render) shape: &'d Descriptor,
}
