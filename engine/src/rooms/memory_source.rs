//! What the tree shows of what is kept in a room: a window of its own entries.

use std::sync::Arc;

use serde_json::Value;

use super::memory_actions::MemoryActions;
use crate::model::Text;
use crate::model::nesting::{VALUE_LEVELS, is_shallow_text};
use crate::model::room::handle::Room;
use crate::model::room::memory::Memory;
use crate::model::room::role::Role;
use crate::model::session::Session;
use crate::render::action::Action;
use crate::render::descriptor::{Descriptor, Item};
use crate::render::room_source::RoomSource;
use crate::render::source::WindowRequest;

/// Under which path below a room its memory stands.
pub(crate) const MEMORY: &str = "memory";

/// How many entries are inline (rooms 10).
const INLINE: usize = 50;

/// How many bytes of a value are shown.
const SHOWN_BYTES: usize = 1_024;

/// `/rooms/{id}/memory`, which is the same for all who may write, and for all who may not.
pub(crate) fn memory(actions: MemoryActions) -> RoomSource {
    let source = RoomSource::new(move |room: &Room, session: &Session| {
        let (total, items) = window(room, 0, INLINE);
        let node = Descriptor::collection().window(0, total as u64, items);
        node.actions(offered(&actions, session.role_in(room), session))
    });
    source.on_window(load_window).on_item(load_item).in_order(2)
}

/// What a session is offered that has joined a room.
pub(super) fn offered<'a>(actions: &'a MemoryActions, role: Option<Role>, session: &Session) -> &'a [Action] {
    let may_write = role.is_some_and(Role::may_say) && session.has_user();
    if may_write { actions.all() } else { &[] }
}

fn load_window(room: &Room, _: &Session, request: &WindowRequest) -> Vec<Item> {
    if !request.path.is_empty() {
        return Vec::new();
    }
    let [offset, count] = [request.offset, request.count].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    window(room, offset, count).1
}

fn load_item(room: &Room, _: &Session, key: &str) -> Option<Item> {
    let value = room.with(|record| record.memory()?.get(key).map(|entry| Arc::clone(&entry.value)))?;
    Some(item(key.into(), &value))
}

/// How many entries there are, and some of them.
fn window(room: &Room, offset: usize, count: usize) -> (usize, Vec<Item>) {
    let (total, entries) = room.with(|record| {
        let Some(memory) = record.memory() else { return (0, Vec::new()) };
        let window = memory.all().skip(offset).take(count);
        (Memory::len(memory), window.map(|(key, entry)| (key.clone(), Arc::clone(&entry.value))).collect())
    });
    (total, entries.into_iter().map(|(key, value): (Text, _)| item(key, &value)).collect())
}

fn item(key: Text, text: &str) -> Item {
    let item = Item::new(key);
    match shown(text) {
        Shown::Whole(value) => item.prop("value", value),
        Shown::Part(part) => item.prop("value", part).summary(format!("shortened: {} bytes in all", text.len())),
    }
}

/// What is shown of a value.
#[derive(Debug, PartialEq)]
enum Shown {
    Whole(Value),
    /// The beginning of the text, or of the JSON text of what is no text.
    Part(String),
}

fn shown(text: &str) -> Shown {
    let is_text = text.starts_with('"');
    if !is_text && (text.len() > SHOWN_BYTES || !is_shallow_text(text, VALUE_LEVELS)) {
        return Shown::Part(beginning(text));
    }
    match serde_json::from_str(text).unwrap_or_default() {
        Value::String(text) if text.len() > SHOWN_BYTES => Shown::Part(beginning(&text)),
        value => Shown::Whole(value),
    }
}

fn beginning(text: &str) -> String {
    let end = (0..=SHOWN_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_shown_whole_or_the_beginning_of_its_text_is() {
        let of = |value: &Value| shown(&value.to_string());
        let whole = |value: Value| assert_eq!(of(&value), Shown::Whole(value.clone()));
        whole(json!({"a": [1, null]}));
        whole(json!("x".repeat(1_024)));
        whole(json!("\n".repeat(1_024)));
        whole(json!(vec![0; 511]));
        let part = |value: Value, text: String| assert_eq!(of(&value), Shown::Part(text));
        part(json!("x".repeat(1_025)), "x".repeat(1_024));
        part(json!("ä".repeat(600)), "ä".repeat(512));
        part(json!(format!("x{}", "ä".repeat(600))), format!("x{}", "ä".repeat(511)));
        part(json!(vec![0; 512]), format!("[0{}", ",0".repeat(511)));
        let deep = (0..33).fold(json!(1), |below, _| json!([below]));
        part(deep.clone(), deep.to_string());
    }
}
