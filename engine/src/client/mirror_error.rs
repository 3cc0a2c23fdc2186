//! What a copy cannot take.

use std::fmt;

use super::operation::OperationKind;

/// Why a message does not fit a copy. The copy is no longer exact, except after a refused `resumed`; a snapshot starts it
/// anew.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MirrorError {
    /// A patch, and there has been no snapshot.
    NoSnapshot,
    /// A patch, and the last message said that there is nothing to show.
    Absent,
    /// A patch, and the connection on which the copy was made is lost: first it must be known where the copy stands.
    NotResumed,
    /// A patch, and an earlier message did not fit.
    Broken,
    /// A subscription's snapshot whose `seq` is not 0.
    SnapshotSeq(u64),
    /// A patch is missing.
    Gap {
        /// The number that the patch must have.
        expected: u64,
        /// The number that it has.
        found: u64,
    },
    /// A message without `seq`, from a provider that must number its patches.
    NotNumbered,
    /// A version goes back.
    VersionDecreased {
        /// The version so far.
        from: u64,
        /// The version of the message.
        to: u64,
    },
    /// `resumed`, and there is no copy.
    NothingToResume,
    /// `resumed` at another version than that of the copy, or with a number other than 0.
    ResumedElsewhere {
        /// The version of the copy.
        copy: u64,
        /// The version of the message.
        version: u64,
        /// The number of the message.
        seq: u64,
    },
    /// A patch without operations.
    EmptyPatch,
    /// An operation does not fit the tree.
    Operation {
        /// What was to be done.
        kind: OperationKind,
        /// To what.
        path: String,
        /// Why it cannot be done.
        why: OperationError,
    },
    /// A node has a form that some consumers cannot read.
    InvalidNode(InvalidNode),
}

/// Why an operation does not fit a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationError {
    /// The path does not start with `/`, or has an empty id.
    MalformedPath,
    /// Only a snapshot replaces the root.
    Root,
    /// Children are named by their ids, not by the field `children`.
    ChildrenByField,
    /// There is no node of this id on the way.
    NoSuchNode(String),
    /// There is a child of this id already.
    ChildExists,
    /// The new child has another id than the path says.
    OtherId(String),
    /// A child needs an index here.
    NoIndex,
    /// The index lies behind the end of the list.
    IndexOutOfRange(usize),
    /// There is no value.
    NoValue,
    /// The value is not what this place holds.
    WrongValue(String),
    /// There is a property of this name already.
    PropertyExists(String),
    /// There is no property of this name, or no field.
    NothingThere(String),
    /// A field or its parts do not have this operation.
    NotPossible,
    /// The tree would have too many levels.
    TooDeep,
    /// The new node has a form that some consumers cannot read.
    InvalidNode(InvalidNode),
}

/// A node whose form some consumers cannot read (contract 1.10, 2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidNode {
    pub(crate) id: String,
    pub(crate) rule: &'static str,
}

impl fmt::Display for MirrorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSnapshot => f.write_str("a patch came before the snapshot"),
            Self::Absent => f.write_str("a patch came for a subscription that has nothing to show"),
            Self::NotResumed => f.write_str("a patch came before the lost copy was resumed or replaced"),
            Self::Broken => f.write_str("a patch came for a copy that an earlier message did not fit"),
            Self::SnapshotSeq(seq) => write!(f, "the snapshot of a subscription must have seq 0, not {seq}"),
            Self::Gap { expected, found } => write!(f, "the next patch must have seq {expected}, not {found}"),
            Self::NotNumbered => f.write_str("a snapshot or patch of a subscription must have a seq"),
            Self::VersionDecreased { from, to } => write!(f, "the version went back from {from} to {to}"),
            Self::NothingToResume => f.write_str("a subscription without a copy was resumed"),
            Self::ResumedElsewhere { copy, version, seq } => {
                write!(f, "the copy stands at version {copy}, and was resumed at version {version} with seq {seq}")
            }
            Self::EmptyPatch => f.write_str("a patch must have operations"),
            Self::Operation { kind, path, why } => write!(f, "cannot {} `{path}`: {why}", kind.as_str()),
            Self::InvalidNode(invalid) => invalid.fmt(f),
        }
    }
}

impl fmt::Display for OperationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MalformedPath => f.write_str("a path must start with `/` and have no empty id"),
            Self::Root => f.write_str("the root is replaced by a snapshot only"),
            Self::ChildrenByField => f.write_str("children are named by their ids, not by the field `children`"),
            Self::NoSuchNode(id) => write!(f, "there is no node `{id}` on the path"),
            Self::ChildExists => f.write_str("there is a child of this id already"),
            Self::OtherId(id) => write!(f, "the value has another id, `{id}`"),
            Self::NoIndex => f.write_str("a child must have an index"),
            Self::IndexOutOfRange(index) => write!(f, "the index {index} lies behind the end of the list"),
            Self::NoValue => f.write_str("there must be a value"),
            Self::WrongValue(why) => write!(f, "the value does not belong here: {why}"),
            Self::PropertyExists(name) => write!(f, "there is a property `{name}` already"),
            Self::NothingThere(name) => write!(f, "there is no `{name}`"),
            Self::NotPossible => f.write_str("this operation is not possible here"),
            Self::TooDeep => f.write_str("the tree would have too many levels"),
            Self::InvalidNode(invalid) => invalid.fmt(f),
        }
    }
}

impl fmt::Display for InvalidNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the node `{}` breaks a rule: {}", self.id, self.rule)
    }
}

impl std::error::Error for MirrorError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Operation { why, .. } => Some(why),
            Self::InvalidNode(invalid) => Some(invalid),
            _ => None,
        }
    }
}

impl std::error::Error for OperationError {}

impl std::error::Error for InvalidNode {}
