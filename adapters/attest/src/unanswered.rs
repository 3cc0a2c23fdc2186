//! The links on which nobody has said yet who it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// The links on which nobody has said yet who it is. There are only so many: one more takes the place of the one that has
/// waited longest, so that those who say nothing do not keep out those who do.
#[derive(Debug)]
pub(crate) struct Unanswered {
    places: Mutex<Places>,
}

#[derive(Debug)]
struct Places {
    max: usize,
    /// By number in order of arrival. What is dropped tells its link.
    taken: BTreeMap<u64, oneshot::Sender<()>>,
    next: u64,
}

/// The place of one link, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    of: Arc<Unanswered>,
    number: u64,
    lost: oneshot::Receiver<()>,
}

impl Unanswered {
    pub(crate) fn new(max: usize) -> Self {
        Self { places: Mutex::new(Places { max, taken: BTreeMap::new(), next: 0 }) }
    }

    #[cfg(test)]
    pub(crate) fn set_max(&self, max: usize) {
        self.places.lock().max = max;
    }

    /// Takes a place. Returns it, and whether another link has lost its own.
    pub(crate) fn enter(self: &Arc<Self>) -> (Place, bool) {
        let (keeps, lost) = oneshot::channel();
        let mut places = self.places.lock();
        let is_full = places.taken.len() >= places.max;
        let oldest = if is_full { places.taken.pop_first() } else { None };
        let number = places.next;
        places.next += 1;
        places.taken.insert(number, keeps);
        drop(places);
        (Place { of: Arc::clone(self), number, lost }, oldest.is_some())
    }
}

impl Place {
    /// Ends when another link has taken the place.
    pub(crate) async fn lost(&mut self) {
        // Nothing is ever sent.
        let _ = (&mut self.lost).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = self.of.places.lock().taken.remove(&self.number);
        drop(taken);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn one_more_than_there_may_be_takes_the_place_of_the_one_that_has_waited_longest() {
        let unanswered = Arc::new(Unanswered::new(2));
        let (mut first, mut second) = (unanswered.enter().0, unanswered.enter().0);
        let (mut third, has_displaced) = unanswered.enter();
        assert!(has_displaced);
        assert!(first.lost().now_or_never().is_some());
        assert!(second.lost().now_or_never().is_none() && third.lost().now_or_never().is_none());
        drop(first);
        assert_eq!(unanswered.places.lock().taken.len(), 2, "its place is the third one's");
        drop(second);
        let (_fourth, has_displaced) = unanswered.enter();
        assert!(!has_displaced && third.lost().now_or_never().is_none(), "there was a free one");
    }
}
