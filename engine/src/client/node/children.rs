//! A node's children.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Up to this many children are searched one by one, which is faster and needs no memory.
const SEARCHED: usize = 16;

/// What has an id that is unique among its siblings.
pub(crate) trait Identified {
    fn id(&self) -> &str;
}

/// Children in order, each found by its id in constant time however many there are.
///
/// Nodes are shared with clones of the tree and copied when one of them changes.
#[derive(Debug, Clone)]
pub(crate) struct Children<N> {
    list: Vec<Arc<N>>,
    /// Absent while there are few.
    index: Option<Box<Index>>,
}

/// Where in the list each id stands.
#[derive(Debug, Clone, Default)]
struct Index {
    positions: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Index {
    fn hash(&self, id: &str) -> u64 {
        self.hasher.hash_one(id)
    }

    fn find<N: Identified>(&self, list: &[Arc<N>], id: &str) -> Option<usize> {
        let found = self.positions.find(self.hash(id), |at| list[*at as usize].id() == id);
        found.map(|at| *at as usize)
    }

    fn add<N: Identified>(&mut self, list: &[Arc<N>], at: usize) {
        let Self { positions, hasher } = self;
        let hash = |at: &u32| hasher.hash_one(list[*at as usize].id());
        positions.insert_unique(hash(&(at as u32)), at as u32, hash);
    }

    /// Forgets the id that stands at a position.
    fn forget(&mut self, id: &str, at: usize) {
        let hash = self.hash(id);
        if let Ok(entry) = self.positions.find_entry(hash, |other| *other as usize == at) {
            entry.remove();
        }
    }

    /// What stands in this range stands so many further on, or back.
    fn shift(&mut self, range: std::ops::Range<usize>, by: i32) {
        for at in self.positions.iter_mut().filter(|at| range.contains(&(**at as usize))) {
            *at = at.wrapping_add_signed(by);
        }
    }
}

impl<N> Default for Children<N> {
    fn default() -> Self {
        Self { list: Vec::new(), index: None }
    }
}

impl<N: Identified + Clone> Children<N> {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn as_slice(&self) -> &[Arc<N>] {
        &self.list
    }

    pub(crate) fn position(&self, id: &str) -> Option<usize> {
        match &self.index {
            Some(index) => index.find(&self.list, id),
            None => self.list.iter().position(|child| child.id() == id),
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&N> {
        Some(&self.list[self.position(id)?])
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut N> {
        let at = self.position(id)?;
        Some(Arc::make_mut(&mut self.list[at]))
    }

    /// Puts a child at a position, which must lie in the list. False if there is one of its id already.
    pub(crate) fn insert(&mut self, at: usize, child: N) -> bool {
        if self.position(child.id()).is_some() {
            return false;
        }
        let last = self.list.len();
        if let Some(index) = self.index.as_mut().filter(|_| at < last) {
            index.shift(at..last, 1);
        }
        self.list.insert(at, Arc::new(child));
        match &mut self.index {
            Some(index) => index.add(&self.list, at),
            None if self.list.len() > SEARCHED => self.build_index(),
            None => {}
        }
        true
    }

    pub(crate) fn remove(&mut self, at: usize) {
        let child = self.list.remove(at);
        if let Some(index) = &mut self.index {
            index.forget(child.id(), at);
            index.shift(at + 1..self.list.len() + 1, -1);
        }
    }

    /// Puts another child of the same id in the place of one.
    pub(crate) fn replace(&mut self, at: usize, child: N) {
        self.list[at] = Arc::new(child);
    }

    /// Moves a child, so that it stands at `to` afterwards.
    pub(crate) fn reorder(&mut self, from: usize, to: usize) {
        let child = self.list.remove(from);
        if let Some(index) = &mut self.index {
            index.forget(child.id(), from);
            if from < to { index.shift(from + 1..to + 1, -1) } else { index.shift(to..from, 1) }
        }
        self.list.insert(to, child);
        if let Some(index) = &mut self.index {
            index.add(&self.list, to);
        }
    }

    fn build_index(&mut self) {
        let mut index = Box::<Index>::default();
        for at in 0..self.list.len() {
            index.add(&self.list, at);
        }
        self.index = Some(index);
    }

    /// Children in this order, or the id that several of them have.
    pub(crate) fn from_list(list: Vec<Arc<N>>) -> Result<Self, String> {
        let mut children = Self { list, index: None };
        let few = children.list.len() <= SEARCHED;
        let mut index = Box::<Index>::default();
        for at in 0..children.list.len() {
            let id = children.list[at].id();
            let before = &children.list[..at];
            let known =
                if few { before.iter().any(|other| other.id() == id) } else { index.find(before, id).is_some() };
            if known {
                return Err(id.to_owned());
            }
            if !few {
                index.add(&children.list, at);
            }
        }
        children.index = (!few).then_some(index);
        Ok(children)
    }
}

/// Equal lists of equal nodes, whatever is known about where they stand.
impl<N: PartialEq> PartialEq for Children<N> {
    fn eq(&self, other: &Self) -> bool {
        let same = |(mine, theirs): (&Arc<N>, &Arc<N>)| Arc::ptr_eq(mine, theirs) || mine == theirs;
        self.list.len() == other.list.len() && self.list.iter().zip(&other.list).all(same)
    }
}
