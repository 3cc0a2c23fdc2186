//! Whose evaluations take long, and are rendered by threads of their own.

use std::num::NonZeroUsize;

use hashbrown::DefaultHashBuilder;
use lru::LruCache;
use smallvec::SmallVec;
use std::hash::BuildHasher;

use crate::model::Text;
use crate::model::session::Context;
use crate::sessions::paths::Paths;
use crate::sync::{AtomicBool, Mutex, Ordering};

/// How many users are known. The one forgotten first is the one whose evaluations have not taken long for the longest time.
const USERS: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();

/// How many paths of one user are known.
const PATHS: usize = 16;

/// Users, and the paths whose last evaluation for them took long.
///
/// It is a hint: whoever is missing here, or here without need, is rendered all the same, by other threads.
#[derive(Debug)]
pub(super) struct CostlyUsers {
    users: Mutex<LruCache<u64, SmallVec<[Text; 1]>>>,
    /// Most applications have none: nobody is looked up then.
    any: AtomicBool,
    hasher: DefaultHashBuilder,
    costly_ms: u64,
}

impl CostlyUsers {
    /// Evaluations that take this long are costly.
    pub(super) fn new(costly_ms: u64) -> Self {
        let users = Mutex::new(LruCache::new(USERS));
        Self { users, any: AtomicBool::new(false), hasher: DefaultHashBuilder::default(), costly_ms }
    }

    /// An evaluation has ended, which was for this user alone (`is_own`) or for others as well.
    pub(super) fn ended(&self, context: &Context, path: &Text, took_ms: u64, is_own: impl FnOnce() -> bool) {
        if took_ms >= self.costly_ms && is_own() {
            self.add(self.key(context), path);
        } else if self.any.load(Ordering::Relaxed) {
            self.remove(self.key(context), path);
        }
    }

    /// Whether something among these paths takes long for a user.
    pub(super) fn has(&self, context: &Context, paths: &Paths) -> bool {
        let touches = |known: &SmallVec<[Text; 1]>| known.iter().any(|path| paths.touches(path));
        self.users.lock().peek(&self.key(context)).is_some_and(touches)
    }

    /// Whether there is nobody.
    pub(super) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    fn add(&self, key: u64, path: &Text) {
        let mut users = self.users.lock();
        let paths = users.get_or_insert_mut(key, SmallVec::new);
        if !paths.contains(path) && paths.len() < PATHS {
            paths.push(path.clone());
        }
        self.any.store(true, Ordering::Relaxed);
    }

    fn remove(&self, key: u64, path: &Text) {
        let mut users = self.users.lock();
        let Some(paths) = users.peek_mut(&key) else { return };
        paths.retain(|known| known != path);
        if paths.is_empty() {
            users.pop(&key);
        }
        self.any.store(!users.is_empty(), Ordering::Relaxed);
    }

    /// Of a user of a project, or of a session without a user. Two that are alike share their threads, no more.
    fn key(&self, context: &Context) -> u64 {
        match context.user() {
            Some(user) => self.hasher.hash_one((context.project(), user)),
            None => self.hasher.hash_one(context.id()),
        }
    }
}

// A scheduled lock works only in a scheduled run.
#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;
    use crate::model::session::Session;

    #[test]
    fn a_user_is_costly_at_the_paths_whose_last_evaluation_took_long() {
        let users = CostlyUsers::new(10);
        let (ann, bob) = (Session::new("a").with_user("ann"), Session::new("b").with_user("bob"));
        let other = Session::new("a2").with_user("ann");
        users.ended(ann.context(), &"shared".into(), 10, || false);
        assert!(users.is_empty());
        users.ended(ann.context(), &"slow".into(), 10, || true);
        users.ended(ann.context(), &"quick".into(), 9, || true);
        assert!(users.has(other.context(), &Paths::one("slow".into())), "it is the user's, not the session's");
        assert!(users.has(ann.context(), &Paths::All) && !users.has(ann.context(), &Paths::one("quick".into())));
        assert!(!users.has(bob.context(), &Paths::All));
        users.ended(other.context(), &"slow".into(), 9, || true);
        assert!(users.is_empty() && !users.has(ann.context(), &Paths::All));
    }

    #[test]
    fn how_many_are_known_is_bounded() {
        let users = CostlyUsers::new(1);
        for n in 0..USERS.get() + 9 {
            users.ended(Session::new(format!("{n}")).context(), &"slow".into(), 1, || true);
        }
        let session = Session::new("s");
        (0..PATHS + 9).for_each(|n| users.ended(session.context(), &format!("p{n}").into(), 1, || true));
        let known = users.users.lock();
        assert_eq!(
            (known.len(), known.peek(&users.key(session.context())).map(SmallVec::len)),
            (USERS.get(), Some(PATHS))
        );
    }
}
