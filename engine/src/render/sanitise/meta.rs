//! The `meta` of a node, as far as consumers accept it (contract 1.10).

use std::borrow::Cow;

use serde_json::Value as Json;

use super::children::Listed;
use super::violation::Violations;
use crate::model::Text;
use crate::model::meta::{Meta, Urgency};
use crate::model::nesting::{VALUE_LEVELS, is_shallow};
use crate::render::descriptor::Descriptor;
use crate::render::node_position::NodePosition;

/// The `meta` of a node: what the builders set, then what was given by wire names, then its window.
pub(super) fn of<'d>(shape: &'d Descriptor, at: &NodePosition<'_>, violations: &mut Violations) -> Cow<'d, Meta> {
    let salience_is_finite = shape.meta.salience.is_none_or(f64::is_finite);
    if shape.raw_meta().is_empty() && shape.shown_window().is_none() && salience_is_finite {
        return Cow::Borrowed(&shape.meta);
    }
    let mut meta = shape.meta.clone();
    if !salience_is_finite {
        meta.salience = None;
        violations.add(at, format_args!("meta.salience was dropped: it must be a number"));
    }
    let is_set = |name: &Text| name == "summary" && shape.meta.summary.is_some();
    for (name, value) in shape.raw_meta().iter().filter(|(name, _)| !is_set(name)) {
        if let Err(why) = set(&mut meta, name, value) {
            violations.add(at, format_args!("meta.{name} was dropped: {why}"));
        }
    }
    if let Some(window) = shape.shown_window() {
        meta.total_children = Some(window.total);
        let items = shape.item_list().len() as u64;
        if items > 0 {
            meta.window = Some([window.offset, items]);
        }
    }
    Cow::Owned(meta)
}

/// Says of a list that is too long which part of it is shown, and how long it is: the rest can be asked for.
pub(super) fn describe_cut(meta: &mut Meta, shape: &Descriptor, children: &Listed<'_>) {
    let (offset, most) =
        shape.shown_window().map_or((0, usize::MAX), |window| (window.offset, shape.item_list().len()));
    let shown = children.shown.len().min(most) as u64;
    meta.total_children = Some(meta.total_children.unwrap_or(0).max(children.total as u64));
    meta.window = (shown > 0).then_some([offset, shown]);
}

/// Sets a field by its wire name.
fn set(meta: &mut Meta, name: &str, value: &Json) -> Result<(), &'static str> {
    if value.is_null() {
        return Ok(());
    }
    match name {
        "summary" => meta.summary = Some(text(value)?).filter(|summary| !summary.is_empty()),
        "reason" => meta.reason = Some(text(value)?),
        "salience" => meta.salience = Some(value.as_f64().ok_or("it must be a number")?),
        "pinned" => meta.pinned = Some(flag(value)?),
        "focus" => meta.focus = Some(flag(value)?),
        "changed" => meta.changed = Some(flag(value)?),
        "urgency" => {
            let urgency = value.as_str().and_then(Urgency::from_word);
            meta.urgency = Some(urgency.ok_or("it must be one of none, low, medium, high, critical")?);
        }
        "total_children" => meta.total_children = Some(count(value)?),
        "window" => {
            let pair = value.as_array().filter(|pair| pair.len() == 2).ok_or("it must be [offset, count]")?;
            meta.window = Some([count(&pair[0])?, count(&pair[1])?]);
        }
        _ if !is_shallow(value, VALUE_LEVELS) => return Err("it is nested too deeply"),
        _ => {
            meta.extra.get_or_insert_default().insert(name.to_owned(), value.clone());
        }
    }
    Ok(())
}

fn text(value: &Json) -> Result<Text, &'static str> {
    value.as_str().map(Text::from).ok_or("it must be a string")
}

fn flag(value: &Json) -> Result<bool, &'static str> {
    value.as_bool().ok_or("it must be true or false")
}

fn count(value: &Json) -> Result<u64, &'static str> {
    value.as_u64().ok_or("it must be a non-negative integer")
}
