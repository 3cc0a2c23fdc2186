//! A node from JSON and to JSON.

use std::fmt;
use std::sync::Arc;

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Children, Extras, Node};
use crate::model::Text;

/// The fields that a node has; others are kept as they are.
#[derive(Debug, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Id,
    Type,
    Properties,
    Children,
    Affordances,
    Meta,
    ContentRef,
    Unknown(String),
}

/// What was read of a node so far.
#[derive(Debug)]
struct Parts {
    id: Option<Text>,
    kind: Option<Text>,
    node: Node,
}

impl Parts {
    fn read<'de, A: MapAccess<'de>>(&mut self, field: Field, map: &mut A) -> Result<(), A::Error> {
        let node = &mut self.node;
        match field {
            Field::Id => self.id = Some(map.next_value()?),
            Field::Type => self.kind = Some(map.next_value()?),
            Field::Properties => node.properties = map.next_value()?,
            Field::Children => node.children = children(map.next_value()?)?,
            Field::Affordances => node.actions = map.next_value()?,
            Field::Meta => {
                if let Some(meta) = map.next_value()? {
                    node.extras_mut().meta = Some(meta);
                }
            }
            Field::ContentRef => {
                if let Some(content) = map.next_value()? {
                    node.extras_mut().content = Some(content);
                }
            }
            Field::Unknown(name) => {
                node.extras_mut().unknown.insert(name, map.next_value()?);
            }
        }
        Ok(())
    }
}

fn children<E: Error>(list: Option<Vec<Node>>) -> Result<Option<Children>, E> {
    let Some(list) = list else { return Ok(None) };
    let children = Children::from_list(list.into_iter().map(Arc::new).collect());
    children.map(Some).map_err(|id| E::custom(format!("two children have the id `{id}`")))
}

impl Node {
    pub(crate) fn extras_mut(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node, which is an object with a string `id` and a string `type`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut parts = Parts { id: None, kind: None, node: Node::new("", "") };
        while let Some(field) = map.next_key()? {
            parts.read(field, &mut map)?;
        }
        let id = parts.id.ok_or_else(|| A::Error::missing_field("id"))?;
        let kind = parts.kind.ok_or_else(|| A::Error::custom(format!("the node `{id}` has no type")))?;
        Ok(Node { id, kind, ..parts.node })
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NodeVisitor)
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("type", &self.kind)?;
        if let Some(properties) = &self.properties {
            map.serialize_entry("properties", properties)?;
        }
        if let Some(children) = &self.children {
            map.serialize_entry("children", children)?;
        }
        if let Some(actions) = &self.actions {
            map.serialize_entry("affordances", actions)?;
        }
        if let Some(meta) = self.meta() {
            map.serialize_entry("meta", meta)?;
        }
        if let Some(content) = self.content_ref() {
            map.serialize_entry("content_ref", content)?;
        }
        for (name, value) in self.unknown_fields().into_iter().flatten() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Children {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.as_slice().iter().map(Arc::as_ref))
    }
}
