//! The `meta` of a node, as it stands in a packed node or its template.

use super::{Reader, put_fraction, put_text, put_varint};
use crate::model::meta::{Meta, Urgency};

/// Which fields a `meta` has; the bit above a flag's holds its value.
mod bit {
    pub(super) const SUMMARY: u64 = 1;
    pub(super) const SALIENCE: u64 = 1 << 1;
    pub(super) const PINNED: u64 = 1 << 2;
    pub(super) const FOCUS: u64 = 1 << 4;
    pub(super) const CHANGED: u64 = 1 << 6;
    pub(super) const URGENCY: u64 = 1 << 8;
    pub(super) const REASON: u64 = 1 << 9;
    pub(super) const TOTAL: u64 = 1 << 10;
    pub(super) const WINDOW: u64 = 1 << 11;
    pub(super) const EXTRA: u64 = 1 << 12;
}

/// Writes `meta` with its texts as they are, so the same `meta` is the same bytes.
pub(crate) fn put_meta(bytes: &mut Vec<u8>, meta: &Meta) {
    put_varint(bytes, meta_bits(meta));
    if let Some(summary) = &meta.summary {
        put_text(bytes, None, summary);
    }
    if let Some(salience) = meta.salience {
        put_fraction(bytes, salience);
    }
    if let Some(urgency) = meta.urgency {
        let at = URGENCIES.iter().position(|known| *known == urgency).unwrap_or_default();
        bytes.push(at as u8);
    }
    if let Some(reason) = &meta.reason {
        put_text(bytes, None, reason);
    }
    for number in meta.total_children.into_iter().chain(meta.window.into_iter().flatten()) {
        put_varint(bytes, number);
    }
    if let Some(extra) = &meta.extra {
        let text = serde_json::to_string(extra).unwrap_or_else(|_| "{}".to_owned());
        put_text(bytes, None, &text);
    }
}

fn meta_bits(meta: &Meta) -> u64 {
    let field = |present: bool, bit: u64| if present { bit } else { 0 };
    let flag = |flag: Option<bool>, bit: u64| flag.map_or(0, |set| if set { bit | bit << 1 } else { bit });
    field(meta.summary.is_some(), bit::SUMMARY)
        | field(meta.salience.is_some(), bit::SALIENCE)
        | flag(meta.pinned, bit::PINNED)
        | flag(meta.focus, bit::FOCUS)
        | flag(meta.changed, bit::CHANGED)
        | field(meta.urgency.is_some(), bit::URGENCY)
        | field(meta.reason.is_some(), bit::REASON)
        | field(meta.total_children.is_some(), bit::TOTAL)
        | field(meta.window.is_some(), bit::WINDOW)
        | field(meta.extra.is_some(), bit::EXTRA)
}

/// Reads only the salience.
pub(crate) fn read_salience(mut meta: Reader<'_>) -> Option<f64> {
    let has = meta.varint();
    if has & bit::SALIENCE == 0 {
        return None;
    }
    if has & bit::SUMMARY != 0 {
        meta.text();
    }
    Some(meta.fraction())
}

/// Reads only whether it is pinned.
pub(crate) fn read_pinned(mut meta: Reader<'_>) -> bool {
    let pinned = bit::PINNED | bit::PINNED << 1;
    meta.varint() & pinned == pinned
}

pub(crate) fn read_meta(mut reader: Reader<'_>) -> Meta {
    let has = reader.varint();
    let flag = |bit: u64| (has & bit != 0).then_some(has & bit << 1 != 0);
    Meta {
        summary: (has & bit::SUMMARY != 0).then(|| reader.text().into()),
        salience: (has & bit::SALIENCE != 0).then(|| reader.fraction()),
        pinned: flag(bit::PINNED),
        focus: flag(bit::FOCUS),
        changed: flag(bit::CHANGED),
        urgency: (has & bit::URGENCY != 0).then(|| URGENCIES[reader.byte() as usize]),
        reason: (has & bit::REASON != 0).then(|| reader.text().into()),
        total_children: (has & bit::TOTAL != 0).then(|| reader.varint()),
        window: (has & bit::WINDOW != 0).then(|| [reader.varint(), reader.varint()]),
        extra: (has & bit::EXTRA != 0).then(|| serde_json::from_str(reader.text()).unwrap_or_default()),
    }
}

/// The order in which urgencies are numbered in packed meta.
const URGENCIES: [Urgency; 5] = [Urgency::None, Urgency::Low, Urgency::Medium, Urgency::High, Urgency::Critical];
