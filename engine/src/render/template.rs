//! What the nodes of one kind have in common, so that each of them needs only name it.

use std::hash::{BuildHasher, Hasher};

use crate::model::Text;
use crate::model::value::Value;

/// The fields that a node has, its type, the keys of its properties and often its whole `meta`.
#[derive(Debug)]
pub(crate) struct Template {
    /// See [`field`](super::codec::field).
    pub(crate) has: u8,
    pub(crate) kind: Text,
    pub(crate) keys: Box<[Text]>,
    /// The packed `meta`; absent if it stands in each node.
    pub(crate) meta: Option<Box<[u8]>>,
    /// The hash of all but `meta`.
    pub(crate) shape_hash: u64,
}

/// What a node that is being packed has in common with others: a template is found by it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TemplateKey<'a> {
    pub(crate) has: u8,
    pub(crate) kind: &'a str,
    pub(crate) props: &'a [(Text, Value)],
    pub(crate) meta: Option<&'a [u8]>,
}

impl Template {
    pub(super) fn of(key: TemplateKey<'_>, shape_hash: u64) -> Self {
        Self {
            has: key.has,
            kind: key.kind.into(),
            keys: key.props.iter().map(|(name, _)| name.clone()).collect(),
            meta: key.meta.map(Box::from),
            shape_hash,
        }
    }

    /// Bytes that it holds beside the dictionary's own entry.
    pub(super) fn bytes(&self) -> usize {
        let keys: usize = self.keys.iter().map(|key| size_of::<Text>() + key.len()).sum();
        size_of::<Self>() + keys + self.meta.as_ref().map_or(0, |meta| meta.len())
    }

    pub(crate) fn fits(&self, key: &TemplateKey<'_>) -> bool {
        self.has == key.has
            && self.kind == key.kind
            && self.meta.as_deref() == key.meta
            && self.keys.iter().eq(key.props.iter().map(|(name, _)| name))
    }
}

impl TemplateKey<'_> {
    /// The hash of all but `meta`: part of the hash of every such node, whether it has a template or not.
    pub(crate) fn shape_hash(&self, hasher: &impl BuildHasher) -> u64 {
        let mut state = hasher.build_hasher();
        state.write_u8(self.has);
        state.write(self.kind.as_bytes());
        for (name, _) in self.props {
            state.write_u8(0xff);
            state.write(name.as_bytes());
        }
        state.finish()
    }
}

/// The hash by which a template is found.
pub(super) fn find_hash(hasher: &impl BuildHasher, shape_hash: u64, meta: Option<&[u8]>) -> u64 {
    let mut state = hasher.build_hasher();
    state.write_u64(shape_hash);
    if let Some(meta) = meta {
        state.write(meta);
    }
    state.finish()
}
