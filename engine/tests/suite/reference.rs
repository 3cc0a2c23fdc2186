//! A reference implementation of views over plain JSON, by the letter of the contract (1.3, 1.4). It shares no code with the
//! engine.

use serde_json::{Value, json};

pub(crate) fn children(node: &Value) -> &[Value] {
    node["children"].as_array().map(Vec::as_slice).unwrap_or_default()
}

pub(crate) fn set_children(node: &mut Value, children: Vec<Value>) {
    let fields = node.as_object_mut().unwrap();
    fields.shift_remove("children");
    if !children.is_empty() {
        fields.insert("children".to_owned(), Value::Array(children));
    }
}

pub(crate) fn id_of(node: &Value) -> &str {
    node["id"].as_str().unwrap()
}

/// The projection that a consumer requests.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) path: String,
    pub(crate) depth: Option<i64>,
    pub(crate) types: Option<Vec<&'static str>>,
    pub(crate) min_salience: Option<f64>,
    pub(crate) max_nodes: Option<i64>,
}

impl View {
    /// The projection as fields of a request.
    pub(crate) fn options(&self) -> Value {
        let mut options = json!({"path": self.path});
        if let Some(depth) = self.depth {
            options["depth"] = json!(depth);
        }
        if let Some(types) = &self.types {
            options["filter"]["types"] = json!(types);
        }
        if let Some(least) = self.min_salience {
            options["filter"]["min_salience"] = json!(least);
        }
        if let Some(nodes) = self.max_nodes {
            options["max_nodes"] = json!(nodes);
        }
        options
    }

    /// Returns the view of a whole tree by the letter of contract 1.3 and 1.4; null if there is no such path.
    pub(crate) fn of(&self, root: &Value) -> Value {
        let Some(node) = resolve(root, &self.path) else { return Value::Null };
        let mut node = node.clone();
        self.filter(&mut node);
        if let Some(depth) = self.depth.filter(|depth| *depth >= 0) {
            truncate(&mut node, depth);
        }
        if let Some(nodes) = self.max_nodes {
            compact(&mut node, usize::try_from(nodes).unwrap_or(0));
        }
        node
    }

    fn filter(&self, node: &mut Value) {
        let keeps = |child: &Value| {
            self.min_salience.is_none_or(|least| child["meta"]["salience"].as_f64().unwrap_or(0.5) >= least)
                && self.types.as_ref().is_none_or(|types| types.contains(&child["type"].as_str().unwrap()))
        };
        let mut kept: Vec<Value> = children(node).iter().filter(|child| keeps(child)).cloned().collect();
        kept.iter_mut().for_each(|child| self.filter(child));
        set_children(node, kept);
    }
}

/// Resolves a path from the root; if that fails, without the root's id as a prefix.
fn resolve<'t>(root: &'t Value, path: &str) -> Option<&'t Value> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let walk = |segments: &[&str]| {
        segments.iter().try_fold(root, |node, id| children(node).iter().find(|child| id_of(child) == *id))
    };
    walk(&segments).or_else(|| segments.first().filter(|first| **first == "app").and_then(|_| walk(&segments[1..])))
}

fn set_meta(node: &mut Value, name: &str, value: Value) {
    node["meta"][name] = value;
}

/// Records the number of children that are not shown.
fn hide_children(node: &mut Value, total: u64) {
    set_meta(node, "total_children", json!(total));
    node["meta"].as_object_mut().unwrap().shift_remove("window");
}

fn truncate(node: &mut Value, depth: i64) {
    if children(node).is_empty() {
        return;
    }
    if depth > 0 {
        let mut kept = children(node).to_vec();
        kept.iter_mut().for_each(|child| truncate(child, depth - 1));
        set_children(node, kept);
        return;
    }
    let count = children(node).len() as u64;
    let known = node["meta"]["total_children"].as_u64().unwrap_or(0);
    let fields = node.as_object_mut().unwrap();
    fields.retain(|name, _| ["id", "type", "meta"].contains(&name.as_str()));
    hide_children(node, known.max(count));
}

fn count(node: &Value) -> usize {
    1 + children(node).iter().map(count).sum::<usize>()
}

/// A node that may be collapsed: its position, as indexes from the root, and its score.
struct Candidate {
    position: Vec<usize>,
    score: f64,
}

fn compact(root: &mut Value, budget: usize) {
    if count(root) <= budget {
        return;
    }
    let mut candidates = Vec::new();
    find_candidates(root, &mut Vec::new(), false, &mut candidates);
    // Ascending score; a stable sort keeps pre-order among equals.
    candidates.sort_by(|one, other| one.score.total_cmp(&other.score));
    for Candidate { position, .. } in candidates {
        if count(root) <= budget {
            break;
        }
        // It may be gone already, with a collapsed ancestor.
        if let Some(node) =
            position.iter().try_fold(&mut *root, |node, at| node["children"].as_array_mut()?.get_mut(*at))
        {
            collapse(node);
        }
    }
}

fn contains_pinned(node: &Value) -> bool {
    node["meta"]["pinned"] == true || children(node).iter().any(contains_pinned)
}

fn find_candidates(node: &Value, position: &mut Vec<usize>, under_pinned: bool, found: &mut Vec<Candidate>) {
    let descendants = count(node) - 1;
    if position.len() >= 2 && descendants > 0 && !under_pinned && !contains_pinned(node) {
        let salience = node["meta"]["salience"].as_f64().unwrap_or(0.5);
        let score = salience - position.len() as f64 * 0.01 - descendants as f64 * 0.001;
        found.push(Candidate { position: position.clone(), score });
    }
    let under_pinned = under_pinned || node["meta"]["pinned"] == true;
    for (at, child) in children(node).iter().enumerate() {
        position.push(at);
        find_candidates(child, position, under_pinned, found);
        position.pop();
    }
}

fn collapse(node: &mut Value) {
    let count = children(node).len() as u64;
    let known = node["meta"]["total_children"].as_u64().unwrap_or(0);
    let fields = node.as_object_mut().unwrap();
    fields.shift_remove("children");
    fields.shift_remove("content_ref");
    hide_children(node, known.max(count));
    if node["meta"]["summary"].is_null() {
        set_meta(node, "summary", json!(format!("{count} children")));
    }
}

/// Removes empty lists of children, which mean the same as no list.
fn normalise(node: &Value) -> Value {
    let mut node = node.clone();
    if node.is_object() {
        let kept = children(&node).iter().map(normalise).collect();
        set_children(&mut node, kept);
    }
    node
}

/// Asserts that a tree equals the expected one, including the order of children.
pub(crate) fn expect_equal(actual: &Value, expected: &Value, what: &str) {
    let (actual, expected) = (normalise(actual), normalise(expected));
    assert!(actual == expected, "{what}\n  actual: {actual}\nexpected: {expected}");
}
