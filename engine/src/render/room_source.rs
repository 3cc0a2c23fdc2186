//! Descriptor functions for rooms: registered once, they stand under every room that a session has joined.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use futures_util::FutureExt;

use super::descriptor::{Descriptor, Item};
use super::source::{Describe, IntoDescriptor, IntoLoaded, Sharing, Source, WindowRequest};
use crate::model::room::handle::Room;
use crate::model::session::Session;
use crate::panics::guarded::{Guarded, Owner};
use crate::sync::{AtomicBool, Ordering};

type Described = Result<Descriptor, String>;
type DescribeFuture = Pin<Box<dyn Future<Output = Described> + Send>>;
type BlockingFn = Box<dyn Fn(&Room, &Session) -> Described + Send + Sync>;
type AsyncFn = Box<dyn Fn(Room, Session) -> DescribeFuture + Send + Sync>;
type WindowFn = Box<dyn Fn(&Room, &Session, &WindowRequest) -> Result<Vec<Item>, String> + Send + Sync>;
type ItemFn = Box<dyn Fn(&Room, &Session, &str) -> Result<Option<Item>, String> + Send + Sync>;

enum DescribeRoom {
    Blocking(BlockingFn),
    Async(AsyncFn),
}

/// A descriptor function for rooms with its options.
///
/// It is shown in each room, to each session that has joined it. What it reads of the room costs no evaluation: one that
/// reads nothing of the session runs once for all participants, and one that reads
/// [`Session::role_in`] once for each role.
pub struct RoomSource {
    describe: Guarded<DescribeRoom>,
    sharing: Sharing,
    window: Option<Guarded<WindowFn>>,
    item: Option<Guarded<ItemFn>>,
    /// How often it ran, for all rooms.
    pub(crate) runs: Arc<AtomicU64>,
    /// See [`Source::order`].
    order: u64,
    /// Whether it has ever looked at who takes part in a room.
    looks_at_participants: Arc<AtomicBool>,
}

impl RoomSource {
    /// A source whose function may block.
    pub fn new<R: IntoDescriptor>(describe: impl Fn(&Room, &Session) -> R + Send + Sync + 'static) -> Self {
        Self::build(DescribeRoom::Blocking(Box::new(move |room, session| describe(room, session).into_descriptor())))
    }

    /// A source whose function awaits.
    pub fn new_async<R, F>(describe: impl Fn(Room, Session) -> F + Send + Sync + 'static) -> Self
    where
        R: IntoDescriptor + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        Self::build(DescribeRoom::Async(Box::new(move |room, session| {
            Box::pin(describe(room, session).map(IntoDescriptor::into_descriptor))
        })))
    }

    fn build(describe: DescribeRoom) -> Self {
        Self {
            describe: Guarded::new(describe),
            sharing: Sharing::ByReads,
            window: None,
            item: None,
            runs: Arc::default(),
            order: Source::LAST,
            looks_at_participants: Arc::default(),
        }
    }

    /// Whether sessions that cannot be told apart share one evaluation.
    #[must_use]
    pub fn sharing(mut self, sharing: Sharing) -> Self {
        self.sharing = sharing;
        self
    }

    /// Loads items that the tree does not hold. See [`Source::on_window`].
    #[must_use]
    pub fn on_window<R: IntoLoaded<Vec<Item>>>(
        mut self,
        load: impl Fn(&Room, &Session, &WindowRequest) -> R + Send + Sync + 'static,
    ) -> Self {
        let load: WindowFn = Box::new(move |room, session, request| load(room, session, request).into_loaded());
        self.window = Some(Guarded::new(load));
        self
    }

    /// Loads one item that the tree does not hold. See [`Source::on_item`].
    #[must_use]
    pub fn on_item<R: IntoLoaded<Option<Item>>>(
        mut self,
        load: impl Fn(&Room, &Session, &str) -> R + Send + Sync + 'static,
    ) -> Self {
        let load: ItemFn = Box::new(move |room, session, path| load(room, session, path).into_loaded());
        self.item = Some(Guarded::new(load));
        self
    }

    /// Where it stands in a room: in front of what has a higher number or none.
    pub(crate) const fn in_order(mut self, order: u64) -> Self {
        self.order = order;
        self
    }

    /// The engine that is told if something of it panics while it is dropped.
    pub(crate) fn belongs_to(&self, owner: &Owner) {
        self.describe.belongs_to(owner);
        self.window.iter().for_each(|window| window.belongs_to(owner));
        self.item.iter().for_each(|item| item.belongs_to(owner));
    }

    /// Whether it may show who takes part in a room.
    pub(crate) fn looks_at_participants(&self) -> bool {
        self.looks_at_participants.load(Ordering::SeqCst)
    }

    pub(crate) fn is_async(&self) -> bool {
        matches!(*self.describe, DescribeRoom::Async(_))
    }

    /// The source of one room.
    pub(crate) fn of_room(self: &Arc<Self>, room: &Room) -> Source {
        let with = || (Arc::clone(self), room.watched(&self.looks_at_participants));
        let (source, own) = with();
        let describe = if self.is_async() {
            Describe::Async(Box::new(move |session| source.start(&own, session)))
        } else {
            Describe::Blocking(Box::new(move |session| source.run(&own, session)))
        };
        let mut made = Source::made(describe, self.sharing, Arc::clone(&self.runs), self.order);
        if self.window.is_some() {
            let (source, own) = with();
            made = made.on_window(move |session, request| source.load_window(&own, session, request));
        }
        if self.item.is_some() {
            let (source, own) = with();
            made = made.on_item(move |session, path| source.load_item(&own, session, path));
        }
        self.describe.owner().into_iter().for_each(|owner| made.belongs_to(owner));
        made
    }

    fn run(&self, room: &Room, session: &Session) -> Described {
        match &*self.describe {
            DescribeRoom::Blocking(describe) => describe(room, session),
            DescribeRoom::Async(_) => Err("the function awaits".to_owned()),
        }
    }

    fn start(&self, room: &Room, session: Session) -> DescribeFuture {
        match &*self.describe {
            DescribeRoom::Async(describe) => describe(room.clone(), session),
            DescribeRoom::Blocking(describe) => Box::pin(std::future::ready(describe(room, &session))),
        }
    }

    fn load_window(&self, room: &Room, session: &Session, request: &WindowRequest) -> Result<Vec<Item>, String> {
        self.window.as_ref().map_or_else(|| Ok(Vec::new()), |load| load(room, session, request))
    }

    fn load_item(&self, room: &Room, session: &Session, path: &str) -> Result<Option<Item>, String> {
        self.item.as_ref().map_or(Ok(None), |load| load(room, session, path))
    }
}

impl fmt::Debug for RoomSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoomSource").field("sharing", &self.sharing).finish_non_exhaustive()
    }
}
