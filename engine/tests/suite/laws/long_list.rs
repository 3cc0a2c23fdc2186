//! Random long lists, which are stored in several runs, and changes of them.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::select;

use super::node_model::{NodeModel, node_model};

/// Enough ids for lists that are stored in several runs.
static MANY_IDS: LazyLock<Vec<String>> = LazyLock::new(|| (0..120).map(|at| format!("n{at}")).collect());

/// One change of a long list.
#[derive(Debug, Clone)]
pub(super) enum ListEdit {
    Put(usize, usize, NodeModel),
    Replace(usize, NodeModel),
    Remove(usize),
    Move(usize, usize),
}

pub(super) fn list_edit() -> impl Strategy<Value = ListEdit> {
    let at = || 0..120_usize;
    prop_oneof![
        2 => (at(), at(), node_model(1)).prop_map(|(at, id, node)| ListEdit::Put(at, id, node)),
        3 => (at(), node_model(0)).prop_map(|(at, node)| ListEdit::Replace(at, node)),
        2 => at().prop_map(ListEdit::Remove),
        2 => (at(), at()).prop_map(|(from, to)| ListEdit::Move(from, to)),
    ]
}

pub(super) fn edit_list(list: &mut Vec<(&'static str, NodeModel)>, edit: &ListEdit) {
    let len = list.len();
    match edit {
        ListEdit::Put(at, id, node) => {
            let id = MANY_IDS[*id].as_str();
            list.retain(|(known, _)| *known != id);
            list.insert(at % (list.len() + 1), (id, node.clone()));
        }
        _ if len == 0 => {}
        ListEdit::Replace(at, node) => list[at % len].1 = node.clone(),
        ListEdit::Remove(at) => drop(list.remove(at % len)),
        ListEdit::Move(from, to) => {
            let moved = list.remove(from % len);
            list.insert(to % len, moved);
        }
    }
}

/// Random long lists at `/a`, possibly with something registered below.
pub(super) fn long_list() -> impl Strategy<Value = Vec<(usize, NodeModel)>> {
    let items = prop::collection::vec(node_model(0), 15..110);
    let below = prop::collection::vec((select(vec![2_usize, 3, 8]), node_model(1)), 0..2);
    (node_model(0), items, any::<bool>(), below).prop_map(|(mut list, items, inline, mut all)| {
        let items = MANY_IDS.iter().map(String::as_str).zip(items).collect();
        *(if inline { &mut list.inline } else { &mut list.items }) = items;
        all.push((1, list));
        all
    })
}
