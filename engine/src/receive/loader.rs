//! Parts of long lists that the tree does not hold: loaded by the source when somebody asks for them.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::background::Background;
use crate::clock::{Clock, millis};
use crate::deliver::query::Loaded;
use crate::event::{Event, Observers, PanicSite};
use crate::model::Text;
use crate::model::path;
use crate::model::session::Session;
use crate::panics;
use crate::render::descriptor::{Descriptor, Item};
use crate::render::evaluate::{Renderer, Shape};
use crate::render::fragment::Fragment;
use crate::render::layout::Entry;
use crate::render::node_ref::Siblings;
use crate::render::pack::{self, PackedResult};
use crate::render::source::{Source, WindowRequest};
use crate::render::tree::{Tree, TreeNode};
use crate::render::view::ViewOptions;
use crate::sessions::blocking::BlockingPermits;
use crate::sessions::slot::Slot;

/// What has to be loaded before a query can be answered.
#[derive(Debug)]
pub(crate) struct Missing {
    source: Arc<Source>,
    /// Where the source is registered.
    registered: Text,
    /// Where the list or the item stands, in the normal spelling.
    at: Text,
    what: What,
}

#[derive(Debug)]
enum What {
    Window(WindowRequest),
    /// By its path below the source.
    Item(String),
}

/// What of a query's answer the tree does not hold, if a source can load it.
pub(crate) fn missing(tree: &Tree, view: &ViewOptions, max_nodes: usize) -> Option<Missing> {
    match tree.resolve(&view.path) {
        Some(located) => missing_window(tree, &located.path, located.node, view, max_nodes),
        None => missing_item(tree, &view.path),
    }
}

/// An item that the tree does not hold, if a source can load it.
pub(crate) fn missing_item(tree: &Tree, at: &str) -> Option<Missing> {
    let at = without_root_id(tree, at);
    let entry = tree.layout().covering(&at).filter(|entry| entry.source.loads_items())?;
    let below = below(entry, &at);
    (!below.is_empty()).then(|| Missing::new(entry, at, What::Item(below)))
}

fn without_root_id(tree: &Tree, at: &str) -> Text {
    let mut segments = path::segments(at);
    if segments.next() == Some(tree.root().id()) && tree.root().child(tree.root().id()).is_none() {
        segments.collect::<Vec<_>>().join("/").into()
    } else {
        path::normal(at)
    }
}

fn below(entry: &Entry, at: &str) -> String {
    at[entry.path.len()..].trim_start_matches('/').to_owned()
}

fn missing_window(tree: &Tree, at: &Text, node: TreeNode<'_>, view: &ViewOptions, max_nodes: usize) -> Option<Missing> {
    let meta = node.fields()?.read_meta();
    let total = meta.total_children?;
    let entry = tree.layout().covering(at).filter(|entry| entry.source.loads_windows())?;
    let inline = meta.window.map_or_else(|| node.children().count() as u64, |window| window[1]);
    let [first, count] = match view.window {
        Some(window) => window,
        // A list that shows nothing of itself is loaded when it is asked for more than a stub of it.
        None if inline == 0 && total > 0 && view.depth != Some(0) => [0, total],
        None => return None,
    };
    let base = meta.window.map_or(0, |window| window[0]);
    let wanted = count.min(total.saturating_sub(first)).min(max_nodes as u64);
    let held = first >= base && first.saturating_add(wanted) <= base + inline;
    if held || wanted == 0 {
        return None;
    }
    let request = WindowRequest { path: below(entry, at), offset: first, count: wanted };
    Some(Missing::new(entry, at.clone(), What::Window(request)))
}

/// Runs the functions by which sources load what the tree does not hold.
#[derive(Debug)]
pub(crate) struct Loader {
    renderer: Arc<Renderer>,
    permits: Arc<BlockingPermits>,
    background: Arc<Background>,
    clock: Arc<dyn Clock>,
    observers: Arc<Observers>,
    evaluation_ms: u64,
}

impl Loader {
    pub(crate) fn new(
        renderer: Arc<Renderer>,
        permits: Arc<BlockingPermits>,
        background: Arc<Background>,
        clock: Arc<dyn Clock>,
        observers: Arc<Observers>,
        evaluation_timeout: Duration,
    ) -> Arc<Self> {
        let evaluation_ms = millis(evaluation_timeout);
        Arc::new(Self { renderer, permits, background, clock, observers, evaluation_ms })
    }

    /// Loads what is missing, for one session, on a thread where application code may block.
    pub(crate) async fn load(self: &Arc<Self>, slot: &Arc<Slot>, missing: Missing) -> Loaded {
        let (loader, session) = (Arc::clone(self), slot.session());
        let _permits = self.permits.acquire(slot).await;
        let load = self.background.runtime.spawn_blocking(move || {
            let loaded = panics::catch(|| missing.load(&loader, &session)).flatten();
            loaded.unwrap_or_else(|why| {
                loader.observers.warn(&Event::Panicked { what: PanicSite::Window, why });
                Loaded::Failed
            })
        });
        load.await.unwrap_or(Loaded::Failed)
    }

    fn pack(&self, parent: &str, items: Vec<Item>) -> Fragment {
        self.report(parent, pack::items(&self.renderer.store, self.renderer.limits, parent, items))
    }

    fn pack_some(&self, parent: &str, list: &Descriptor, choose: impl Fn(u64, &str) -> bool) -> Fragment {
        self.report(parent, pack::some_children(&self.renderer.store, self.renderer.limits, parent, list, choose))
    }

    /// What a source gives a session now.
    fn describe(&self, missing: &Missing, session: &Session) -> Shape {
        let until_ms = self.clock.now_ms().saturating_add(self.evaluation_ms);
        let started = self.renderer.start_source(&missing.source, &missing.registered, session);
        match self.background.runtime.block_on(select(started, self.clock.sleep_until(until_ms))) {
            Either::Left((shape, _)) => shape,
            Either::Right(_) => Err("it took too long".to_owned()),
        }
    }

    fn report(&self, parent: &str, packed: PackedResult) -> Fragment {
        let PackedResult { fragment, violations, .. } = packed;
        self.observers.sanitised(&parent.into(), &violations, || self.clock.now_ms());
        fragment
    }
}

impl Missing {
    fn new(entry: &Entry, at: Text, what: What) -> Self {
        Self { source: Arc::clone(&entry.source), registered: entry.path.clone(), at, what }
    }

    /// Where the list or the item stands, in the normal spelling.
    pub(crate) const fn at(&self) -> &Text {
        &self.at
    }

    fn load(&self, loader: &Loader, session: &Session) -> Result<Loaded, String> {
        match &self.what {
            What::Window(request) => {
                let Some(load) = &self.source.window else { return self.rest_of_list(loader, session, request) };
                let mut items = load(session, request)?;
                if self.source.item.is_none() {
                    // Nobody could find these items again, so nothing can be done with them.
                    items.iter_mut().for_each(|item| drop_actions(&mut item.body));
                }
                Ok(Loaded::Window(request.offset, loader.pack(&self.at, items)))
            }
            What::Item(below) => {
                let Some(load) = &self.source.item else { return self.rest_item(loader, session, below) };
                let Some(item) = load(session, below)? else { return Ok(Loaded::Nothing) };
                Ok(self.one(loader, item))
            }
        }
    }

    /// A part of a list that is too long, from what its source gives now.
    fn rest_of_list(&self, loader: &Loader, session: &Session, request: &WindowRequest) -> Result<Loaded, String> {
        let whole = loader.describe(self, session)?;
        // Of a slice that the application chose itself there is no more.
        let list = descendant(&whole, &request.path).filter(|list| list.shown_window().is_none());
        let Some(list) = list else { return Ok(Loaded::Nothing) };
        let range = request.offset..request.offset.saturating_add(request.count);
        Ok(Loaded::Window(request.offset, loader.pack_some(&self.at, list, |place, _| range.contains(&place))))
    }

    /// A node below a list that is too long, from what its source gives now.
    fn rest_item(&self, loader: &Loader, session: &Session, below: &str) -> Result<Loaded, String> {
        let whole = loader.describe(self, session)?;
        let (list, id) = below.rsplit_once('/').unwrap_or(("", below));
        let Some(list) = descendant(&whole, list) else { return Ok(Loaded::Nothing) };
        Ok(self.asked_for(loader.pack_some(self.parent(), list, |_, known| known == id)))
    }

    fn parent(&self) -> &str {
        self.at.rsplit_once('/').map_or("", |(parent, _)| parent)
    }

    fn one(&self, loader: &Loader, item: Item) -> Loaded {
        self.asked_for(loader.pack(self.parent(), vec![item]))
    }

    fn asked_for(&self, fragment: Fragment) -> Loaded {
        let asked = self.at.rsplit('/').next();
        match Siblings::of(&fragment).next() {
            Some(node) if Some(node.id()) == asked => Loaded::Item(fragment),
            _ => Loaded::Nothing,
        }
    }
}

/// The node at a path below another.
fn descendant<'d>(shape: &'d Descriptor, below: &str) -> Option<&'d Descriptor> {
    path::segments(below).try_fold(shape, |shape, id| shape.child_with(id))
}

/// However deep it is: how many levels are shown is checked later.
fn drop_actions(shape: &mut Descriptor) {
    let mut left = vec![shape];
    while let Some(shape) = left.pop() {
        shape.actions.clear();
        left.extend(shape.children_mut());
    }
}
