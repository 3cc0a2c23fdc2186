//! One operation applied to a tree (contract 1.6).

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::mirror_error::OperationError;
use super::node::{FIELDS, Node};
use super::operation::{Operation, OperationKind};
use super::strict;

/// More levels than any provider needs; each costs stack when a tree is compared, copied or dropped.
const LEVELS: usize = 256;

type Applied = Result<(), OperationError>;

/// Applies an operation, whose value goes into the tree. If it does not fit, the tree may be left changed.
///
/// A strict one must be as a Grove engine writes it: children have an index that lies in the list, a field is replaced or
/// removed as a whole, and a property is added only if it is absent and replaced only if it is present.
pub(super) fn apply(root: &mut Node, operation: &mut Operation, is_strict: bool) -> Applied {
    let (kind, index, value) = (operation.kind, operation.index, operation.value.take());
    let (ids, field) = segments(&operation.path, is_strict)?;
    match (field.split_first(), ids.split_last()) {
        (Some((name, keys)), _) => {
            let node = ids.iter().try_fold(root, |node, id| child_of(node, id))?;
            Field { name, keys, kind, value, is_strict }.apply(node)?;
            if is_strict { strict::check_fields(node).map_err(OperationError::InvalidNode) } else { Ok(()) }
        }
        (None, Some((id, above))) => {
            let parent = above.iter().try_fold(root, |node, id| child_of(node, id))?;
            Child { id, value, index, level: ids.len(), is_strict }.apply(parent, kind)
        }
        (None, None) => Err(OperationError::Root),
    }
}

/// The ids on the way to a node, and then the name of a field with the keys in it. A key may be empty, an id is not.
fn segments(path: &str, is_strict: bool) -> Result<(Vec<&str>, Vec<&str>), OperationError> {
    let inside = match path.strip_prefix('/') {
        Some(inside) => inside,
        None if is_strict => return Err(OperationError::MalformedPath),
        None => path,
    };
    let segments: Vec<&str> = inside.split('/').collect();
    let field = segments.iter().position(|segment| FIELDS.contains(segment)).unwrap_or(segments.len());
    let (ids, keys) = segments.split_at(field);
    if is_strict && !inside.is_empty() && ids.contains(&"") {
        return Err(OperationError::MalformedPath);
    }
    Ok((ids.iter().copied().filter(|id| !id.is_empty()).collect(), keys.to_vec()))
}

fn child_of<'n>(node: &'n mut Node, id: &str) -> Result<&'n mut Node, OperationError> {
    let children = node.children.as_mut();
    children.and_then(|children| children.get_mut(id)).ok_or_else(|| OperationError::NoSuchNode(id.to_owned()))
}

/// An operation on a whole node.
struct Child<'o> {
    id: &'o str,
    value: Option<Value>,
    index: Option<usize>,
    /// How far below the root the node stands.
    level: usize,
    is_strict: bool,
}

impl Child<'_> {
    fn apply(mut self, parent: &mut Node, kind: OperationKind) -> Applied {
        let known = parent.children.as_ref().and_then(|children| children.position(self.id));
        if kind == OperationKind::Add {
            let children = parent.children.get_or_insert_default();
            let at = self.target(children.len())?;
            return if children.insert(at, self.node()?) { Ok(()) } else { Err(OperationError::ChildExists) };
        }
        let missing = || OperationError::NoSuchNode(self.id.to_owned());
        let (at, children) = known.zip(parent.children.as_mut()).ok_or_else(missing)?;
        match kind {
            OperationKind::Replace => children.replace(at, self.node()?),
            OperationKind::Move => children.reorder(at, self.target(children.len() - 1)?),
            OperationKind::Remove | OperationKind::Add => children.remove(at),
        }
        Ok(())
    }

    /// Where the child comes to stand in a list of this length. Without an index at the end; one that is too large is the
    /// end too.
    fn target(&self, len: usize) -> Result<usize, OperationError> {
        match self.index {
            Some(index) if index <= len => Ok(index),
            Some(index) if self.is_strict => Err(OperationError::IndexOutOfRange(index)),
            None if self.is_strict => Err(OperationError::NoIndex),
            _ => Ok(len),
        }
    }

    fn node(&mut self) -> Result<Node, OperationError> {
        let node: Node = typed(self.value.take().ok_or(OperationError::NoValue)?)?;
        if node.id() != self.id {
            return Err(OperationError::OtherId(node.id().to_owned()));
        }
        if self.level + node.levels() > LEVELS {
            return Err(OperationError::TooDeep);
        }
        if self.is_strict {
            strict::check_child(&node).map_err(OperationError::InvalidNode)?;
        }
        Ok(node)
    }
}

/// An operation on a field of a node, or on something in it.
struct Field<'o> {
    name: &'o str,
    keys: &'o [&'o str],
    kind: OperationKind,
    value: Option<Value>,
    is_strict: bool,
}

impl Field<'_> {
    fn apply(self, node: &mut Node) -> Applied {
        match (self.name, self.keys) {
            ("children", _) => Err(OperationError::ChildrenByField),
            ("properties", []) => self.whole(&mut node.properties),
            ("properties", _) => self.part(node.properties.as_mut()),
            ("affordances", []) => self.whole(&mut node.actions),
            ("meta", []) => self.whole(&mut node.extras_mut().meta),
            ("content_ref", []) => self.whole(&mut node.extras_mut().content),
            _ if self.is_strict => Err(OperationError::NotPossible),
            ("meta", _) => self.part(node.extras_mut().meta.as_mut().map(|meta| &mut meta.0)),
            ("content_ref", _) => self.part(node.extras_mut().content.as_mut().map(|content| &mut content.0)),
            _ => Err(OperationError::NotPossible),
        }
    }

    /// The whole field. It may be replaced before it is there, and null says that it is empty (contract 1.6, rule 5).
    fn whole<T: DeserializeOwned + Default>(self, field: &mut Option<T>) -> Applied {
        match (self.kind, self.value) {
            (OperationKind::Add, _) if self.is_strict => Err(OperationError::NotPossible),
            (OperationKind::Add | OperationKind::Replace, None) => Err(OperationError::NoValue),
            (OperationKind::Add | OperationKind::Replace, Some(value)) => {
                *field = Some(if value.is_null() { T::default() } else { typed(value)? });
                Ok(())
            }
            (OperationKind::Remove, _) if field.is_none() => Err(nothing(self.name)),
            (OperationKind::Remove, _) => {
                *field = None;
                Ok(())
            }
            (OperationKind::Move, _) => Err(OperationError::NotPossible),
        }
    }

    /// A key of the field. One that lies deeper is possible only if the operation need not be strict.
    fn part(self, fields: Option<&mut Map<String, Value>>) -> Applied {
        let mut fields = fields.ok_or_else(|| nothing(self.name))?;
        let (key, above) = self.keys.split_last().ok_or(OperationError::NotPossible)?;
        if self.is_strict && !above.is_empty() {
            return Err(OperationError::NotPossible);
        }
        for key in above {
            let inner = fields.get_mut(&unescaped(key)).and_then(Value::as_object_mut);
            fields = inner.ok_or_else(|| nothing(key))?;
        }
        self.entry(fields, unescaped(key))
    }

    fn entry(self, fields: &mut Map<String, Value>, key: String) -> Applied {
        match (self.kind, fields.contains_key(&key)) {
            (OperationKind::Move, _) => return Err(OperationError::NotPossible),
            (OperationKind::Add, true) if self.is_strict => return Err(OperationError::PropertyExists(key)),
            (OperationKind::Replace, false) if self.is_strict => return Err(nothing(&key)),
            (OperationKind::Remove, false) => return Err(nothing(&key)),
            (OperationKind::Remove, true) => drop(fields.shift_remove(&key)),
            (OperationKind::Add | OperationKind::Replace, _) => {
                drop(fields.insert(key, self.value.ok_or(OperationError::NoValue)?));
            }
        }
        Ok(())
    }
}

fn nothing(name: &str) -> OperationError {
    OperationError::NothingThere(name.to_owned())
}

fn unescaped(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, OperationError> {
    serde_json::from_value(value).map_err(|error| OperationError::WrongValue(error.to_string()))
}
