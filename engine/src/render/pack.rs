//! From a descriptor to a fragment. What peers could not digest is dropped here, at the boundary, and named.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashSet};
use serde_json::Value as Json;

use super::action::Action;
use super::codec::{field, meta_field, put_fraction, put_text, put_value, put_varint};
use super::descriptor::{Descriptor, Item};
use super::fragment::{Fragment, Link, Packed, Store};
use super::node_ref::URGENCIES;
use crate::model::Text;
use crate::model::content_ref::ContentRef;
use crate::model::id;
use crate::model::meta::{Meta, Urgency};
use crate::model::nesting::is_shallow;
use crate::model::value::Value;

/// A list of children with at least this many is cut into runs.
const CUT_FROM: usize = 24;
/// The shortest run that a child id may end.
const RUN_MIN: u32 = 6;
/// The longest run.
const RUN_MAX: u32 = 32;
/// One id in this many ends a run.
const RUN_CUT: u64 = 12;

/// How deep a meta field of an application's own may be nested.
const META_DEPTH: usize = 32;

/// Something that an application gave and that was not taken over as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The node, from the root.
    pub(crate) path: String,
    /// What was wrong and what was done.
    pub(crate) what: String,
}

/// How much one fragment may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackLimits {
    pub(crate) nodes: u32,
    pub(crate) depth: u32,
}

/// A packed fragment, and what had to be mended on the way.
pub(crate) struct PackedResult {
    pub(crate) fragment: Fragment,
    pub(crate) problems: Vec<Problem>,
}

/// Packs one node and all below it. `path` is where the node will stand, in the normal spelling.
pub(crate) fn node(store: &Arc<Store>, limits: PackLimits, path: &str, id: &str, shape: &Descriptor) -> PackedResult {
    let mut packer = Packer { store, left: limits.nodes.saturating_sub(1), problems: Vec::new() };
    let mut run = Run::new(store);
    let kind = if shape.kind.is_empty() { "group" } else { &shape.kind };
    packer.node(&mut run, &Place { name: path, above: None, depth: limits.depth }, id, kind, shape);
    PackedResult { fragment: run.keep(store), problems: packer.problems }
}

/// Packs items that stand side by side under `parent`.
pub(crate) fn items(store: &Arc<Store>, limits: PackLimits, parent: &str, items: Vec<Item>) -> PackedResult {
    let holder = Descriptor { items, ..Descriptor::default() };
    let mut packer = Packer { store, left: limits.nodes, problems: Vec::new() };
    let mut run = Run::new(store);
    let place = Place { name: parent, above: None, depth: limits.depth };
    for child in packer.children(&place, &holder) {
        packer.node(&mut run, &place.below(child.id), child.id, child.kind, child.shape);
    }
    PackedResult { fragment: run.keep(store), problems: packer.problems }
}

struct Packer<'s> {
    store: &'s Arc<Store>,
    /// How many nodes may still be added. Children are counted when their parent is packed, so no list below them can
    /// take their place.
    left: u32,
    problems: Vec<Problem>,
}

/// Where a node stands, and how many levels may still follow. The path is spelled out only when somebody needs it.
#[derive(Clone, Copy)]
struct Place<'p> {
    /// The path, for the topmost; the id, for those below.
    name: &'p str,
    above: Option<&'p Self>,
    depth: u32,
}

impl Place<'_> {
    fn below<'c>(&'c self, id: &'c str) -> Place<'c> {
        Place { name: id, above: Some(self), depth: self.depth.saturating_sub(1) }
    }

    fn path(&self) -> String {
        let Some(above) = self.above else { return self.name.to_owned() };
        let mut path = above.path();
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(self.name);
        path
    }
}

#[derive(Clone, Copy)]
struct Child<'d> {
    id: &'d str,
    kind: &'d str,
    shape: &'d Descriptor,
}

/// A run of siblings in the making.
struct Run {
    bytes: Vec<u8>,
    links: Vec<Link>,
    hasher: <DefaultHashBuilder as BuildHasher>::Hasher,
    top: u32,
    nodes: u32,
}

impl Run {
    fn new(store: &Store) -> Self {
        Self {
            bytes: Vec::with_capacity(1024),
            links: Vec::new(),
            hasher: store.hasher.build_hasher(),
            top: 0,
            nodes: 0,
        }
    }

    fn keep(self, store: &Arc<Store>) -> Fragment {
        store.keep(Packed {
            hash: self.hasher.finish(),
            top: self.top,
            nodes: self.nodes,
            bytes: self.bytes,
            links: self.links,
        })
    }

    fn hash_text(&mut self, text: &str) {
        self.hasher.write(text.as_bytes());
        self.hasher.write_u8(0xff);
    }

    fn text(&mut self, symbol: Option<u32>, text: &str) {
        put_text(&mut self.bytes, symbol, text);
        self.hash_text(text);
    }

    /// Writes a section with its length in front.
    fn framed(&mut self, write: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        // Most sections are shorter than 128 bytes, so one byte nearly always holds their length.
        self.bytes.push(0);
        write(self);
        let length = self.bytes.len() - start - 1;
        if length < 0x80 {
            self.bytes[start] = length as u8;
            return;
        }
        let mut prefix = Vec::with_capacity(4);
        put_varint(&mut prefix, length as u64);
        self.bytes.splice(start..=start, prefix);
    }

    fn offers(&mut self, actions: &[Action]) {
        let same = |link: &Link| match link {
            Link::Offers(known) => known.len() == actions.len() && known.iter().zip(actions).all(|(a, b)| a.is(b)),
            Link::Run(_) => false,
        };
        let at = self.links.iter().position(same).unwrap_or_else(|| {
            self.links.push(Link::Offers(actions.into()));
            self.links.len() - 1
        });
        put_varint(&mut self.bytes, at as u64);
        for action in actions {
            self.hasher.write_usize(action.address());
        }
    }
}

impl Packer<'_> {
    fn problem(&mut self, place: &Place<'_>, what: impl Into<String>) {
        self.problems.push(Problem { path: format!("/{}", place.path()), what: what.into() });
    }

    fn node(&mut self, run: &mut Run, place: &Place<'_>, id: &str, kind: &str, shape: &Descriptor) {
        run.top += 1;
        run.framed(|run| self.body(run, place, id, kind, shape));
    }

    fn body(&mut self, run: &mut Run, place: &Place<'_>, id: &str, kind: &str, shape: &Descriptor) {
        run.nodes += 1;
        let symbols = self.store.symbols();
        let meta = self.meta(place, shape);
        let offers = self.offers(place, &shape.actions);
        let children = self.children(place, shape);
        let mut has = 0;
        for (present, bit) in [
            (shape.props.is_some(), field::PROPS),
            (!meta.is_empty(), field::META),
            (!offers.is_empty(), field::OFFERS),
            (shape.content_ref.is_some(), field::CONTENT),
            (!children.is_empty(), field::CHILDREN),
            (children.len() >= CUT_FROM, field::RUNS),
        ] {
            if present {
                has |= bit;
            }
        }
        run.bytes.push(has);
        run.hasher.write_u8(has);
        run.text(symbols.notice(id), id);
        run.text(symbols.intern(kind), kind);
        if let Some(props) = &shape.props {
            self.props(run, props);
        }
        if !meta.is_empty() {
            run.framed(|run| self.put_meta(run, &meta));
        }
        if !offers.is_empty() {
            run.offers(&offers);
        }
        if let Some(content) = &shape.content_ref {
            put_content(run, content, place);
        }
        if !children.is_empty() {
            self.put_children(run, place, &children);
        }
    }

    fn props(&self, run: &mut Run, props: &[(Text, Value)]) {
        let props = last_of_each(props);
        let symbols = self.store.symbols();
        let shape = symbols.intern_shape(props.iter().map(|(key, _)| key));
        let header = shape.map_or((props.len() as u64) << 1, |shape| u64::from(shape) << 1 | 1);
        put_varint(&mut run.bytes, header);
        run.hasher.write_usize(props.len());
        run.framed(|run| {
            for (key, value) in props.iter() {
                if shape.is_none() {
                    put_text(&mut run.bytes, None, key);
                }
                run.hash_text(key);
                put_value(&mut run.bytes, symbols, value);
                hash_value(&mut run.hasher, value);
            }
        });
    }

    fn put_meta(&self, run: &mut Run, meta: &Meta) {
        let symbols = self.store.symbols();
        let has = meta_bits(meta);
        put_varint(&mut run.bytes, has);
        run.hasher.write_u64(has);
        if let Some(summary) = &meta.summary {
            run.text(symbols.notice(summary), summary);
        }
        if let Some(salience) = meta.salience {
            put_fraction(&mut run.bytes, salience);
            run.hasher.write_u64(salience.to_bits());
        }
        if let Some(urgency) = meta.urgency {
            let at = URGENCIES.iter().position(|known| *known == urgency).unwrap_or_default();
            run.bytes.push(at as u8);
            run.hasher.write_u8(at as u8);
        }
        if let Some(reason) = &meta.reason {
            run.text(symbols.notice(reason), reason);
        }
        for number in meta.total_children.into_iter().chain(meta.window.into_iter().flatten()) {
            put_varint(&mut run.bytes, number);
            run.hasher.write_u64(number);
        }
        if !meta.extra.is_empty() {
            let text = serde_json::to_string(&meta.extra).unwrap_or_else(|_| "{}".to_owned());
            run.text(symbols.notice(&text), &text);
        }
    }

    fn put_children(&mut self, run: &mut Run, place: &Place<'_>, children: &[Child<'_>]) {
        put_varint(&mut run.bytes, children.len() as u64);
        run.hasher.write_usize(children.len());
        if children.len() < CUT_FROM {
            for child in children {
                let top = run.top;
                self.node(run, &place.below(child.id), child.id, child.kind, child.shape);
                run.top = top;
            }
            return;
        }
        let mut rest = children;
        while !rest.is_empty() {
            let mut next = Run::new(self.store);
            while let Some((child, after)) = rest.split_first() {
                rest = after;
                self.node(&mut next, &place.below(child.id), child.id, child.kind, child.shape);
                if next.top >= RUN_MAX || (next.top >= RUN_MIN && self.ends_run(child.id)) {
                    break;
                }
            }
            run.nodes += next.nodes;
            let fragment = next.keep(self.store);
            run.hasher.write_u64(fragment.hash());
            put_varint(&mut run.bytes, run.links.len() as u64);
            run.links.push(Link::Run(fragment));
        }
    }

    fn ends_run(&self, id: &str) -> bool {
        self.store.hasher.hash_one(id).is_multiple_of(RUN_CUT)
    }

    /// The children that may go on the wire: legal ids, each once, not too deep and not too many.
    fn children<'d>(&mut self, place: &Place<'_>, shape: &'d Descriptor) -> Vec<Child<'d>> {
        let items = shape.items.iter().map(|item| Child { id: &item.id, kind: "item", shape: &item.body });
        let inline = shape.children.iter().map(|(id, child)| Child {
            id,
            kind: if child.kind.is_empty() { "group" } else { &child.kind },
            shape: child,
        });
        let all = items.chain(inline);
        let given = shape.items.len() + shape.children.len();
        if given > 0 && place.depth <= 1 {
            self.problem(place, format!("{given} children are too deep and were dropped"));
            return Vec::new();
        }
        let mut seen = HashSet::with_capacity(given);
        let mut kept = Vec::with_capacity(given);
        for child in all {
            if let Err(why) = id::check(child.id) {
                self.problem(place, format!("the child `{}` was dropped: {why}", child.id));
            } else if !seen.insert(child.id) {
                self.problem(place, format!("a second child `{}` was dropped", child.id));
            } else {
                kept.push(child);
            }
        }
        if kept.len() > self.left as usize {
            self.problem(
                place,
                format!("the tree is too large: {} children were dropped", kept.len() - self.left as usize),
            );
            kept.truncate(self.left as usize);
        }
        self.left -= kept.len() as u32;
        kept
    }

    fn offers<'d>(&mut self, place: &Place<'_>, actions: &'d [Action]) -> Cow<'d, [Action]> {
        for mended in actions.iter().filter_map(|action| action.inner.mended.as_deref()) {
            self.problem(place, mended);
        }
        let twice = |(at, action): (usize, &Action)| actions[..at].iter().any(|known| known.name() == action.name());
        if !actions.iter().enumerate().any(twice) {
            return Cow::Borrowed(actions);
        }
        self.problem(place, "an action was offered twice; the first one stays");
        let once = actions.iter().enumerate().filter(|entry| !twice(*entry)).map(|(_, action)| action.clone());
        Cow::Owned(once.collect())
    }

    fn meta<'d>(&mut self, place: &Place<'_>, shape: &'d Descriptor) -> Cow<'d, Meta> {
        let salience_fits = shape.meta.salience.is_none_or(f64::is_finite);
        if shape.raw_meta.is_empty() && shape.window.is_none() && salience_fits {
            return Cow::Borrowed(&shape.meta);
        }
        let mut meta = shape.meta.clone();
        if !salience_fits {
            meta.salience = None;
            self.problem(place, "meta.salience was dropped: it is not a number");
        }
        let known = |name: &Text| name == "summary" && shape.meta.summary.is_some();
        for (name, value) in shape.raw_meta.iter().filter(|(name, _)| !known(name)) {
            if let Err(why) = set_meta(&mut meta, name, value) {
                self.problem(place, format!("meta.{name} was dropped: {why}"));
            }
        }
        if let Some(window) = &shape.window {
            meta.total_children = Some(window.total);
            if !shape.items.is_empty() {
                meta.window = Some([window.offset, shape.items.len() as u64]);
            }
        }
        Cow::Owned(meta)
    }
}

fn put_content(run: &mut Run, content: &ContentRef, place: &Place<'_>) {
    let uri = content.uri.clone().unwrap_or_else(|| format!("slop://content/{}", place.path()).into());
    let content = ContentRef { uri: Some(uri), ..content.clone() };
    let text = serde_json::to_string(&content).unwrap_or_default();
    run.text(None, &text);
}

fn last_of_each(props: &[(Text, Value)]) -> Cow<'_, [(Text, Value)]> {
    let mut seen = HashSet::new();
    let twice = if props.len() <= 16 {
        props.iter().enumerate().any(|(at, (key, _))| props[..at].iter().any(|(known, _)| known == key))
    } else {
        !props.iter().all(|(key, _)| seen.insert(key))
    };
    if !twice {
        return Cow::Borrowed(props);
    }
    let mut once: Vec<(Text, Value)> = Vec::with_capacity(props.len());
    for (key, value) in props {
        match once.iter_mut().find(|(known, _)| known == key) {
            Some(entry) => entry.1 = value.clone(),
            None => once.push((key.clone(), value.clone())),
        }
    }
    Cow::Owned(once)
}

fn hash_value(hasher: &mut impl Hasher, value: &Value) {
    match value {
        Value::Null => hasher.write_u8(0),
        Value::Bool(flag) => hasher.write_u8(1 + u8::from(*flag)),
        Value::Int(number) => hasher.write_i64(*number),
        Value::Uint(number) => hasher.write_u64(*number),
        Value::Float(number) => hasher.write_u64(number.to_bits()),
        Value::Text(text) => {
            hasher.write(text.as_bytes());
            hasher.write_u8(0xff);
        }
        Value::Json(json) => {
            hasher.write(json.as_str().as_bytes());
            hasher.write_u8(0xfe);
        }
    }
}

fn meta_bits(meta: &Meta) -> u64 {
    let field = |present: bool, bit: u64| if present { bit } else { 0 };
    let flag = |flag: Option<bool>, bit: u64| flag.map_or(0, |set| if set { bit | bit << 1 } else { bit });
    field(meta.summary.is_some(), meta_field::SUMMARY)
        | field(meta.salience.is_some(), meta_field::SALIENCE)
        | flag(meta.pinned, meta_field::PINNED)
        | flag(meta.focus, meta_field::FOCUS)
        | flag(meta.changed, meta_field::CHANGED)
        | field(meta.urgency.is_some(), meta_field::URGENCY)
        | field(meta.reason.is_some(), meta_field::REASON)
        | field(meta.total_children.is_some(), meta_field::TOTAL)
        | field(meta.window.is_some(), meta_field::WINDOW)
        | field(!meta.extra.is_empty(), meta_field::EXTRA)
}

/// Sets a meta field by its wire name, if peers can digest the value (contract 1.10).
fn set_meta(meta: &mut Meta, name: &str, value: &Json) -> Result<(), &'static str> {
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
        _ if !is_shallow(value, META_DEPTH) => return Err("it is nested too deeply"),
        _ => {
            meta.extra.insert(name.to_owned(), value.clone());
        }
    }
    Ok(())
}

fn text(value: &Json) -> Result<Text, &'static str> {
    value.as_str().map(Text::from).ok_or("it must be a text")
}

fn flag(value: &Json) -> Result<bool, &'static str> {
    value.as_bool().ok_or("it must be true or false")
}

fn count(value: &Json) -> Result<u64, &'static str> {
    value.as_u64().ok_or("it must be a whole number from 0 on")
}
