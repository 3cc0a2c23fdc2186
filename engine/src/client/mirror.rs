//! A consumer's copy of a subscribed tree.

use super::apply::apply;
use super::message::{Message, Patch, Snapshot};
use super::mirror_error::MirrorError;
use super::node::Node;
use super::operation::Operation;
use super::strict;

/// An exact copy of one subscription's tree.
///
/// Each message is checked by the wire contract (1.5, 1.6): numbers without a gap, versions that never go back, operations
/// that fit the tree. What the contract lets providers choose is understood; a strict mirror also refuses what no Grove
/// engine sends.
///
/// ```
/// use grove_engine::client::{Message, Mirror, MirrorError};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut mirror = Mirror::new();
/// mirror.take(Message::parse(
///     r#"{"type": "snapshot", "id": "s", "version": 1, "seq": 0, "tree": {"id": "app", "type": "root"}}"#,
/// )?)?;
/// mirror.take(Message::parse(
///     r#"{"type": "patch", "subscription": "s", "version": 2, "seq": 1,
///         "ops": [{"op": "add", "path": "/n", "index": 0, "value": {"id": "n", "type": "item"}}]}"#,
/// )?)?;
/// assert_eq!(mirror.tree().map(|root| root.count()), Some(2));
/// let late = r#"{"type": "patch", "subscription": "s", "version": 3, "seq": 3, "ops": [{"op": "remove", "path": "/n"}]}"#;
/// assert_eq!(mirror.take(Message::parse(late)?), Err(MirrorError::Gap { expected: 2, found: 3 }));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Mirror {
    tree: Option<Node>,
    standing: Standing,
    /// The version of the last message.
    version: u64,
    /// The number of the last message.
    seq: u64,
    is_strict: bool,
}

/// Whether the copy can be patched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Standing {
    #[default]
    Unstarted,
    Current,
    /// The path does not exist, or cannot be shown.
    Absent,
    /// The connection on which the copy was made is lost.
    Disconnected,
    /// A message did not fit.
    Broken,
}

impl Mirror {
    /// A mirror that has nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A mirror that also refuses what the contract lets providers choose but no Grove engine sends: fields that are
    /// added and not replaced, children without an index, nodes that some consumers cannot read.
    #[must_use]
    pub fn strict() -> Self {
        Self { is_strict: true, ..Self::default() }
    }

    /// Takes a message about this subscription. An `error` says that there is nothing to show; other messages change
    /// nothing.
    ///
    /// # Errors
    /// If the message does not fit the copy.
    pub fn take(&mut self, message: Message) -> Result<(), MirrorError> {
        match message {
            Message::Snapshot(snapshot) => self.snapshot(snapshot),
            Message::Patch(patch) => self.patch(patch),
            Message::Resumed { version, seq, .. } => self.resumed(version, seq),
            Message::Error { .. } => {
                self.absent();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Takes a snapshot: the first, or one that starts anew.
    ///
    /// # Errors
    /// If it breaks a rule. Then the copy is what it was before.
    pub fn snapshot(&mut self, snapshot: Snapshot) -> Result<(), MirrorError> {
        self.check_seq(snapshot.seq, 0).map_err(|error| match error {
            MirrorError::Gap { found, .. } => MirrorError::SnapshotSeq(found),
            other => other,
        })?;
        self.check_version(snapshot.version)?;
        if self.is_strict {
            strict::check(&snapshot.tree).map_err(MirrorError::InvalidNode)?;
        }
        self.tree = Some(snapshot.tree);
        (self.version, self.seq, self.standing) = (snapshot.version, 0, Standing::Current);
        Ok(())
    }

    /// Takes a patch.
    ///
    /// # Errors
    /// If it breaks a rule or does not fit the copy. Then the copy is no longer exact and is not shown.
    pub fn patch(&mut self, patch: Patch) -> Result<(), MirrorError> {
        let patched = self.check_patch(&patch).and_then(|()| self.apply(patch));
        if patched.is_err() && self.standing == Standing::Current {
            self.standing = Standing::Broken;
        }
        patched
    }

    fn check_patch(&self, patch: &Patch) -> Result<(), MirrorError> {
        match self.standing {
            Standing::Unstarted => return Err(MirrorError::NoSnapshot),
            Standing::Absent => return Err(MirrorError::Absent),
            Standing::Disconnected => return Err(MirrorError::NotResumed),
            Standing::Broken => return Err(MirrorError::Broken),
            Standing::Current => {}
        }
        self.check_seq(patch.seq, self.seq + 1)?;
        self.check_version(patch.version)?;
        if self.is_strict && patch.operations.is_empty() { Err(MirrorError::EmptyPatch) } else { Ok(()) }
    }

    fn apply(&mut self, patch: Patch) -> Result<(), MirrorError> {
        (self.version, self.seq) = (patch.version, self.seq + 1);
        let tree = self.tree.as_mut().ok_or(MirrorError::NoSnapshot)?;
        patch.operations.into_iter().try_for_each(|mut operation| {
            apply(tree, &mut operation, self.is_strict).map_err(|why| {
                let Operation { kind, path, .. } = operation;
                MirrorError::Operation { kind, path: path.into_string(), why }
            })
        })
    }

    /// The provider goes on from this copy.
    ///
    /// # Errors
    /// If the copy stands elsewhere, or there is none.
    pub fn resumed(&mut self, version: u64, seq: u64) -> Result<(), MirrorError> {
        if self.standing != Standing::Disconnected || self.tree.is_none() {
            return Err(MirrorError::NothingToResume);
        }
        if (version, seq) != (self.version, 0) {
            return Err(MirrorError::ResumedElsewhere { copy: self.version, version, seq });
        }
        (self.seq, self.standing) = (0, Standing::Current);
        Ok(())
    }

    /// The path does not exist, or cannot be shown, until a snapshot comes.
    pub fn absent(&mut self) {
        self.tree = None;
        self.standing = Standing::Absent;
    }

    /// The connection is lost. The copy stays, but patches fit it only after it was resumed.
    pub fn disconnect(&mut self) {
        if self.standing == Standing::Current {
            self.standing = Standing::Disconnected;
        }
    }

    /// What comes now is from a provider that knows nothing of the versions so far.
    pub const fn start_epoch(&mut self) {
        self.version = 0;
    }

    /// The copy; `None` before the first snapshot, while there is nothing to show, and after a message that did not fit.
    #[must_use]
    pub fn tree(&self) -> Option<&Node> {
        self.tree.as_ref().filter(|_| self.standing != Standing::Broken)
    }

    /// The version of the last message.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Whether there is a copy from which a provider could go on.
    #[must_use]
    pub const fn is_resumable(&self) -> bool {
        matches!(self.standing, Standing::Disconnected)
    }

    fn check_seq(&self, found: Option<u64>, expected: u64) -> Result<(), MirrorError> {
        match found {
            Some(found) if found == expected => Ok(()),
            Some(found) => Err(MirrorError::Gap { expected, found }),
            None if self.is_strict => Err(MirrorError::NotNumbered),
            None => Ok(()),
        }
    }

    const fn check_version(&self, version: u64) -> Result<(), MirrorError> {
        if version < self.version {
            return Err(MirrorError::VersionDecreased { from: self.version, to: version });
        }
        Ok(())
    }
}
