//! From a descriptor to a fragment. What peers could not digest is dropped here, at the boundary, and named.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap, HashSet};
use serde_json::Value as Json;

use super::action::Action;
use super::codec::{field, meta_field, put_fraction, put_text, put_value, put_varint};
use super::descriptor::{Descriptor, Item};
use super::form::Wanted;
use super::fragment::{Fragment, Link, Packed, Store};
use super::node_ref::{Fields, NodeRef, Props, Siblings, URGENCIES};
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
const RUN_CUT: u32 = 12;

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

/// Packs one node and all below it. `path` is where the node will stand, in the normal spelling; `prior` is what stood
/// there before, of which whatever is still the same is taken over.
pub(crate) fn node(
    store: &Arc<Store>,
    limits: PackLimits,
    path: &str,
    id: &str,
    shape: &Descriptor,
    prior: Option<&Fragment>,
) -> PackedResult {
    let mut packer = Packer::new(store, limits.nodes.saturating_sub(1));
    let mut run = Run::new(store);
    let kind = if shape.kind.is_empty() { "group" } else { &shape.kind };
    let place = Place { name: path, above: None, depth: limits.depth };
    packer.node(&mut run, &place, Child { id, kind, shape }, prior.map(Fragment::root));
    let fragment = run.keep(store);
    // It was found, and not as what this session had before: somebody else has the same.
    if fragment.holders() > 1 && !prior.is_some_and(|prior| prior.is(&fragment)) {
        fragment.share();
    }
    PackedResult { fragment, problems: packer.problems }
}

/// Packs items that stand side by side under `parent`.
pub(crate) fn items(store: &Arc<Store>, limits: PackLimits, parent: &str, items: Vec<Item>) -> PackedResult {
    let holder = Descriptor { items, ..Descriptor::default() };
    let mut packer = Packer::new(store, limits.nodes);
    let mut run = Run::new(store);
    let place = Place { name: parent, above: None, depth: limits.depth };
    for child in packer.children(&place, &holder, None) {
        packer.node(&mut run, &place.below(child.id), child, None);
    }
    PackedResult { fragment: run.keep(store), problems: packer.problems }
}

struct Packer<'s> {
    store: &'s Arc<Store>,
    /// How many nodes may still be added. Children are counted when their parent is packed, so no list below them can
    /// take their place.
    left: u32,
    problems: Vec<Problem>,
    /// Lists of actions that were met, so that equal ones are kept once.
    offers: Vec<Arc<[Action]>>,
    /// For `meta` on its way into a node.
    scratch: Vec<u8>,
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

    /// The number of a list of actions in this block.
    fn link_offers(&mut self, offers: Arc<[Action]>) -> u64 {
        let same = |link: &Link| matches!(link, Link::Offers(known) if Arc::ptr_eq(known, &offers));
        let at = self.links.iter().position(same).unwrap_or_else(|| {
            self.links.push(Link::Offers(offers));
            self.links.len() - 1
        });
        at as u64
    }

    /// What a node says of itself, whatever its bytes are: part of the hash by which equal content is found.
    fn hash_own(&mut self, shape_hash: u64, meta: &[u8], child: Child<'_>, props: &[(Text, Value)], offers: &[Action]) {
        self.hasher.write_u64(shape_hash);
        self.hasher.write(meta);
        self.hash_text(child.id);
        for (_, value) in props {
            hash_value(&mut self.hasher, value);
        }
        for action in offers {
            self.hasher.write_usize(action.address());
        }
    }
}

impl<'s> Packer<'s> {
    const fn new(store: &'s Arc<Store>, left: u32) -> Self {
        Self { store, left, problems: Vec::new(), offers: Vec::new(), scratch: Vec::new() }
    }

    fn problem(&mut self, place: &Place<'_>, what: impl Into<String>) {
        self.problems.push(Problem { path: format!("/{}", place.path()), what: what.into() });
    }

    fn node(&mut self, run: &mut Run, place: &Place<'_>, child: Child<'_>, prior: Option<NodeRef<'_>>) {
        run.top += 1;
        run.framed(|run| self.body(run, place, child, prior));
    }

    fn body(&mut self, run: &mut Run, place: &Place<'_>, child: Child<'_>, prior: Option<NodeRef<'_>>) {
        run.nodes += 1;
        let shape = child.shape;
        let prior = prior.map(|prior| prior.fields());
        let meta = self.packed_meta(place, shape);
        let offers = self.offers(place, &shape.actions);
        let children = self.children(place, shape, prior.map(|prior| prior.children));
        let props = shape.props.as_deref().map(last_of_each);
        let mut has = 0;
        for (present, bit) in [
            (props.is_some(), field::PROPS),
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
        let props = props.as_deref();
        let wanted = Wanted { has, kind: child.kind, props: props.unwrap_or_default(), meta: Some(&*meta) };
        let shape_hash = self.put_form(run, child.id, wanted, props.is_some());
        run.hash_own(shape_hash, &meta, child, props.unwrap_or_default(), &offers);
        self.scratch = meta;
        if !offers.is_empty() {
            let offers = self.shared_offers(&offers, prior.and_then(|prior| prior.list));
            let link = run.link_offers(offers);
            put_varint(&mut run.bytes, link);
        }
        if let Some(content) = &shape.content_ref {
            put_content(run, content, place);
        }
        if !children.is_empty() {
            self.put_children(run, place, &children, prior.map(|prior| prior.children));
        }
    }

    /// Writes what the node has in common with others, its id, its values, and its `meta` if the form does not hold that.
    /// Answers the hash of the form without `meta`.
    fn put_form(&self, run: &mut Run, id: &str, wanted: Wanted<'_>, has_props: bool) -> u64 {
        let symbols = self.store.symbols();
        let shape_hash = wanted.shape_hash(&self.store.hasher);
        let bare = Wanted { meta: None, ..wanted };
        let meta = wanted.meta.filter(|meta| !meta.is_empty());
        let whole = meta.and_then(|_| symbols.notice_form(&wanted, shape_hash));
        let form = whole.or_else(|| symbols.notice_form(&bare, shape_hash));
        put_varint(&mut run.bytes, form.map_or(u64::from(wanted.has) << 1, |form| u64::from(form) << 1 | 1));
        put_text(&mut run.bytes, symbols.notice(id), id);
        if form.is_none() {
            put_text(&mut run.bytes, symbols.intern(wanted.kind), wanted.kind);
        }
        if has_props {
            self.put_props(run, wanted.props, form.is_none());
        }
        if let Some(meta) = meta.filter(|_| whole.is_none()) {
            put_varint(&mut run.bytes, meta.len() as u64);
            run.bytes.extend_from_slice(meta);
        }
        shape_hash
    }

    fn put_props(&self, run: &mut Run, props: &[(Text, Value)], with_keys: bool) {
        if with_keys {
            put_varint(&mut run.bytes, props.len() as u64);
        }
        run.framed(|run| {
            for (key, value) in props {
                if with_keys {
                    put_text(&mut run.bytes, None, key);
                }
                put_value(&mut run.bytes, self.store.symbols(), value);
            }
        });
    }

    /// The same list as one that was met before, if there is one.
    fn shared_offers(&mut self, offers: &[Action], prior: Option<&Arc<[Action]>>) -> Arc<[Action]> {
        let same = |known: &&Arc<[Action]>| Action::are_same(known, offers);
        if let Some(known) = self.offers.iter().find(same) {
            return Arc::clone(known);
        }
        let list = prior.filter(same).map_or_else(|| Arc::from(offers), Arc::clone);
        self.offers.push(Arc::clone(&list));
        list
    }

    /// The packed `meta`, empty if there is none: its texts stand in it as they are, so the same `meta` is the same bytes.
    fn packed_meta(&mut self, place: &Place<'_>, shape: &Descriptor) -> Vec<u8> {
        let meta = self.meta(place, shape);
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        if !meta.is_empty() {
            put_meta(&mut bytes, &meta);
        }
        bytes
    }

    fn put_children(&mut self, run: &mut Run, place: &Place<'_>, children: &[Child<'_>], prior: Option<Siblings<'_>>) {
        put_varint(&mut run.bytes, children.len() as u64);
        run.hasher.write_usize(children.len());
        if children.len() >= CUT_FROM {
            self.put_runs(run, place, children, prior);
            return;
        }
        let mut prior = Prior::new(prior);
        for child in children {
            let top = run.top;
            self.child(run, place, *child, prior.of(child.id));
            run.top = top;
        }
    }

    /// Writes a child: as it stands in what was before, if it has nothing below and is the same.
    fn child(&mut self, run: &mut Run, place: &Place<'_>, child: Child<'_>, prior: Option<NodeRef<'_>>) {
        let place = place.below(child.id);
        match prior.filter(|prior| self.copy(run, *prior, child)) {
            Some(_) => {}
            None => self.node(run, &place, child, prior),
        }
    }

    /// Writes children in runs of their own. A run of which every node is the same as before is the run of before.
    fn put_runs(&mut self, run: &mut Run, place: &Place<'_>, children: &[Child<'_>], prior: Option<Siblings<'_>>) {
        let mut before: Vec<&Fragment> = prior.into_iter().flat_map(Siblings::whole_runs).collect();
        let mut rest = children;
        while let Some(first) = rest.first() {
            let starts = |run: &&Fragment| run.siblings().next().is_some_and(|node| node.id() == first.id);
            let known = before.iter().position(starts).and_then(|at| before.drain(..=at).next_back());
            let fragment = match known.filter(|known| self.is_same_run(known, rest)) {
                Some(known) => {
                    rest = &rest[known.len()..];
                    known.clone()
                }
                None => self.run(place, &mut rest, known),
            };
            run.nodes += fragment.nodes() as u32;
            run.hasher.write_u64(fragment.hash());
            put_varint(&mut run.bytes, run.links.len() as u64);
            run.links.push(Link::Run(fragment));
        }
    }

    /// Packs the next run of children and takes them off the front.
    fn run(&mut self, place: &Place<'_>, rest: &mut &[Child<'_>], known: Option<&Fragment>) -> Fragment {
        let mut prior = Prior::new(known.map(Fragment::siblings));
        let mut run = Run::new(self.store);
        while let Some((child, after)) = rest.split_first() {
            *rest = after;
            self.child(&mut run, place, *child, prior.of(child.id));
            if self.ends_run(run.top, child.id) {
                break;
            }
        }
        run.keep(self.store)
    }

    /// Whether a run of before is what the next children would be packed into.
    fn is_same_run(&mut self, known: &Fragment, rest: &[Child<'_>]) -> bool {
        let Some(last) = rest.get(known.len() - 1) else { return false };
        (known.len() == rest.len() || self.ends_run(known.len() as u32, last.id))
            && known.siblings().zip(rest).all(|(node, child)| self.is_same(&node.fields(), *child))
    }

    /// Where a run ends depends on ids alone, so that a change or an insertion leaves the other runs as they are.
    fn ends_run(&self, length: u32, id: &str) -> bool {
        length >= RUN_MAX || (length >= RUN_MIN && cut_hash(id).is_multiple_of(RUN_CUT))
    }

    /// Whether a node that was packed before has nothing below, says what is wanted now, and needs no mending.
    fn is_same(&mut self, known: &Fields<'_>, child: Child<'_>) -> bool {
        let shape = child.shape;
        shape.is_plain_leaf()
            && known.children.len() == 0
            && known.content_ref.is_none()
            && known.id == child.id
            && known.kind == child.kind
            && same_props(known.props, shape.props.as_deref())
            && Action::are_same(known.offers, &shape.actions)
            && shape.actions.iter().all(|action| action.inner.mended.is_none())
            && self.is_same_meta(known.meta, &shape.meta)
    }

    fn is_same_meta(&mut self, known: Option<&[u8]>, meta: &Meta) -> bool {
        let Some(known) = known else { return meta.is_empty() };
        self.scratch.clear();
        put_meta(&mut self.scratch, meta);
        known == &*self.scratch
    }

    /// Writes a node as it was packed before, if that is what is wanted now. False if it has to be packed.
    fn copy(&mut self, run: &mut Run, prior: NodeRef<'_>, child: Child<'_>) -> bool {
        let known = prior.fields();
        let Some(form) = known.form.filter(|_| self.is_same(&known, child)) else { return false };
        if let Some(link) = known.offers_link {
            // The copied bytes name the list by its number, which has to mean the same list here.
            let offers = self.shared_offers(known.offers, known.list);
            if run.link_offers(offers) != link {
                return false;
            }
        }
        run.top += 1;
        run.nodes += 1;
        let props = child.shape.props.as_deref().unwrap_or_default();
        run.hash_own(form.shape_hash, known.meta.unwrap_or_default(), child, props, known.offers);
        put_varint(&mut run.bytes, prior.body().len() as u64);
        run.bytes.extend_from_slice(prior.body());
        true
    }

    /// The children that may go on the wire: legal ids, each once, not too deep and not too many.
    fn children<'d>(
        &mut self,
        place: &Place<'_>,
        shape: &'d Descriptor,
        prior: Option<Siblings<'_>>,
    ) -> Vec<Child<'d>> {
        let items = shape.items.iter().map(|item| Child { id: &item.id, kind: "item", shape: &item.body });
        let inline = shape.children.iter().map(|(id, child)| Child {
            id,
            kind: if child.kind.is_empty() { "group" } else { &child.kind },
            shape: child,
        });
        let all = items.chain(inline);
        let given = shape.items.len() + shape.children.len();
        if given == 0 {
            return Vec::new();
        }
        if place.depth <= 1 {
            self.problem(place, format!("{given} children are too deep and were dropped"));
            return Vec::new();
        }
        if given <= self.left as usize
            && prior.is_some_and(|prior| prior.map(|node| node.id()).eq(all.clone().map(|child| child.id)))
        {
            // The same ids as before: legal, and each once.
            self.left -= given as u32;
            return all.collect();
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

/// FNV-1a, folded. Without a seed, so that a list is cut alike in every process and its size does not depend on chance; who
/// chooses ids may choose where it is cut, between the shortest run and the longest.
fn cut_hash(id: &str) -> u32 {
    let hash = id.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash ^ hash >> 15
}

/// What stood side by side before, to be asked by id in about the same order.
struct Prior<'a> {
    all: Option<Siblings<'a>>,
    next: Option<Siblings<'a>>,
    /// Each node and what follows it; filled when the order differs.
    by_id: Option<HashMap<&'a str, (NodeRef<'a>, Siblings<'a>)>>,
}

impl<'a> Prior<'a> {
    const fn new(all: Option<Siblings<'a>>) -> Self {
        Self { all, next: all, by_id: None }
    }

    fn of(&mut self, id: &str) -> Option<NodeRef<'a>> {
        let mut after = self.next?;
        if let Some(node) = after.next().filter(|node| node.id() == id) {
            self.next = Some(after);
            return Some(node);
        }
        let mut all = self.all?;
        let by_id = self.by_id.get_or_insert_with(|| {
            let mut by_id = HashMap::with_capacity(all.len());
            while let Some(node) = all.next() {
                by_id.insert(node.id(), (node, all));
            }
            by_id
        });
        let (node, after) = *by_id.get(id)?;
        self.next = Some(after);
        Some(node)
    }
}

fn same_props(known: Option<Props<'_>>, wanted: Option<&[(Text, Value)]>) -> bool {
    match (known, wanted) {
        (None, None) => true,
        (Some(known), Some(wanted)) => {
            known.len() == wanted.len()
                && known.iter().zip(wanted).all(|((key, value), (name, wanted))| key == name && value.says(wanted))
        }
        _ => false,
    }
}

fn put_meta(bytes: &mut Vec<u8>, meta: &Meta) {
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

fn put_content(run: &mut Run, content: &ContentRef, place: &Place<'_>) {
    let uri = content.uri.clone().unwrap_or_else(|| format!("slop://content/{}", place.path()).into());
    let content = ContentRef { uri: Some(uri), ..content.clone() };
    let text = serde_json::to_string(&content).unwrap_or_default();
    put_text(&mut run.bytes, None, &text);
    run.hash_text(&text);
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
        | field(meta.extra.is_some(), meta_field::EXTRA)
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
            meta.extra.get_or_insert_default().insert(name.to_owned(), value.clone());
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

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::json;

    use super::*;
    use crate::render::action::Invocation;

    const LIMITS: PackLimits = PackLimits { nodes: 150, depth: 4 };

    /// The last one has the name of the first and was mended.
    static ACTIONS: LazyLock<[Action; 4]> = LazyLock::new(|| {
        let act = |name: &str| Action::new(name.to_owned(), |_: Invocation<()>| ());
        [act("open"), act("close"), act("burn"), Action::new("open", |_: Invocation<()>| ()).estimate_word("soon")]
    });

    fn value() -> impl Strategy<Value = Value> {
        select(vec![
            Value::Null,
            Value::Bool(true),
            Value::Int(1),
            Value::Uint(1),
            Value::Float(1.0),
            Value::Float(0.0),
            Value::Float(-0.0),
            Value::Float(f64::NAN),
            "1".into(),
            "a text that is too long for the dictionary".into(),
            vec![1].into(),
        ])
    }

    /// One more thing that a node says.
    const SAYINGS: [fn(Descriptor) -> Descriptor; 23] = [
        |shape| shape,
        |shape| shape.props::<Text, Value>([]),
        |shape| shape.summary("s"),
        |shape| shape.salience(0.7),
        |shape| shape.salience(f64::NAN),
        |shape| shape.pinned(true),
        |shape| shape.pinned(false),
        |shape| shape.focus(false),
        |shape| shape.changed(true),
        |shape| shape.urgency(Urgency::Low),
        |shape| shape.reason("r"),
        |shape| shape.meta("extra", json!({"a": [1]})),
        |shape| shape.meta("urgency", "never"),
        |shape| shape.meta("total_children", 7),
        |shape| shape.content_ref(ContentRef::text("text/plain", "c")),
        |shape| shape.lazy(9),
        |shape| shape.window(2, 9, [Item::new("w")]),
        |shape| shape.action(&ACTIONS[0]),
        |shape| shape.action(&ACTIONS[1]),
        |shape| shape.action(&ACTIONS[2]),
        |shape| shape.action(&ACTIONS[3]),
        |shape| shape.child("x", Descriptor::status()).item(Item::new("x")),
        |shape| shape.child("deep", Descriptor::group().child("deeper", Descriptor::group().item(Item::new("d")))),
    ];

    fn body() -> impl Strategy<Value = Descriptor> {
        let props = prop::collection::vec((select(vec!["k", "l", "m"]), value()), 0..3);
        (select(vec!["", "status"]), props, prop::collection::vec(select(SAYINGS.to_vec()), 0..3)).prop_map(
            |(kind, props, says)| {
                let shape = props.into_iter().fold(Descriptor::new(kind), |shape, (key, value)| shape.prop(key, value));
                says.into_iter().fold(shape, |shape, say| say(shape))
            },
        )
    }

    #[derive(Debug, Clone)]
    enum Edit {
        Replace(usize, Descriptor),
        Insert(usize, usize, Descriptor),
        Remove(usize),
        Move(usize, usize),
    }

    fn edit() -> impl Strategy<Value = Edit> {
        prop_oneof![
            (0..80_usize, body()).prop_map(|(at, body)| Edit::Replace(at, body)),
            (0..80_usize, 0..90_usize, body()).prop_map(|(at, id, body)| Edit::Insert(at, id, body)),
            (0..80_usize).prop_map(Edit::Remove),
            (0..80_usize, 0..80_usize).prop_map(|(from, to)| Edit::Move(from, to)),
        ]
    }

    type Listed = Vec<(usize, Descriptor)>;

    fn apply(list: &mut Listed, edit: Edit) {
        let len = list.len();
        match edit {
            Edit::Insert(at, id, body) => list.insert(at % (len + 1), (id, body)),
            _ if len == 0 => {}
            Edit::Replace(at, body) => list[at % len].1 = body,
            Edit::Remove(at) => drop(list.remove(at % len)),
            Edit::Move(from, to) => {
                let moved = list.remove(from % len);
                list.insert(to % len, moved);
            }
        }
    }

    /// The first `items` are items, the others are inline. Some ids are not legal.
    fn listed(own: &Descriptor, list: &Listed, items: usize) -> Descriptor {
        let id = |id: usize| if id == 50 { "not/legal".to_owned() } else { format!("n{id}") };
        let items_end = items.min(list.len());
        let items = list[..items_end].iter().map(|(at, body)| {
            let mut item = Item::new(id(*at));
            item.body = Descriptor { kind: "item".into(), ..body.clone() };
            item
        });
        let shape = own.clone().items(items);
        list[items_end..].iter().fold(shape, |shape, (at, body)| shape.child(id(*at), body.clone()))
    }

    fn packed(store: &Arc<Store>, shape: &Descriptor, prior: Option<&Fragment>) -> PackedResult {
        node(store, LIMITS, "at/list", "list", shape, prior)
    }

    /// All that a node says, to the bit.
    fn told(node: NodeRef<'_>, out: &mut String) {
        let fields = node.fields();
        let props = fields.props.map(|props| props.iter().collect::<Vec<_>>());
        let offers: Vec<_> = fields.offers.iter().map(Action::address).collect();
        let (id, kind, content) = (fields.id, fields.kind, fields.content_ref);
        out.push_str(&format!("{id} {kind} {props:?} {:?} {offers:?} {content:?} (", fields.read_meta()));
        fields.children.for_each(|child| told(child, out));
        out.push(')');
    }

    fn text(fragment: &Fragment) -> String {
        let mut out = String::new();
        told(fragment.root(), &mut out);
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_taken_over_from_before_is_what_would_be_packed_anew(
            own in body(),
            first in prop::collection::vec((0..80_usize, body()), 0..70),
            items in prop_oneof![0..70_usize, Just(1000)],
            steps in prop::collection::vec((prop::collection::vec(edit(), 0..4), prop::option::weighted(0.1, body())), 1..4),
            warm in 1..5,
        ) {
            let store = Store::new(1 << 20);
            let (mut own, mut list) = (own, first);
            let mut prior = packed(&store, &listed(&own, &list, items), None).fragment;
            for (edits, new_own) in steps {
                for _ in 0..warm {
                    // What is met a few times is told in fewer bytes.
                    prior = packed(&store, &listed(&own, &list, items), Some(&prior)).fragment;
                }
                own = new_own.unwrap_or(own);
                edits.into_iter().for_each(|edit| apply(&mut list, edit));
                let shape = listed(&own, &list, items);
                let after = packed(&store, &shape, Some(&prior));
                let anew = packed(&Store::new(1 << 20), &shape, None);
                prop_assert_eq!(&after.problems, &anew.problems);
                prop_assert_eq!(text(&after.fragment), text(&anew.fragment));
                prop_assert_eq!(after.fragment.nodes(), anew.fragment.nodes());
                prop_assert!(packed(&store, &shape, None).fragment.is(&after.fragment), "equal content is one fragment");
                prop_assert_eq!(after.fragment.is(&prior), text(&after.fragment) == text(&prior));
                prior = after.fragment;
            }
        }
    }
}
