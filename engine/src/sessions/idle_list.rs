//! Keys in the order in which they were put in, each of which can be taken out in one step.

/// No key.
const NONE: u32 = u32::MAX;
/// Not in the order.
const OUT: u32 = u32::MAX - 1;

/// A list of keys. It costs eight bytes for each key that there is, whether that is in the list or not, so it can
/// hold a hundred thousand; a key that is put in again goes to the end.
#[derive(Debug)]
pub(super) struct IdleList {
    /// By key: who stands before it, and who behind.
    neighbours: Vec<[u32; 2]>,
    first: u32,
    last: u32,
    len: usize,
}

impl IdleList {
    pub(super) const fn new() -> Self {
        Self { neighbours: Vec::new(), first: NONE, last: NONE, len: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The key that has been in here for longest.
    pub(super) fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    pub(super) fn push(&mut self, key: u32) {
        self.remove(key);
        if self.neighbours.len() <= key as usize {
            self.neighbours.resize(key as usize + 1, [OUT; 2]);
        }
        self.neighbours[key as usize] = [self.last, NONE];
        match self.last {
            NONE => self.first = key,
            last => self.neighbours[last as usize][1] = key,
        }
        self.last = key;
        self.len += 1;
    }

    /// Takes a key out, wherever it stands; nothing happens if it is not in here.
    pub(super) fn remove(&mut self, key: u32) {
        let Some([before, behind]) = self.neighbours.get(key as usize).copied().filter(|[before, _]| *before != OUT)
        else {
            return;
        };
        match before {
            NONE => self.first = behind,
            before => self.neighbours[before as usize][1] = behind,
        }
        match behind {
            NONE => self.last = before,
            behind => self.neighbours[behind as usize][0] = before,
        }
        self.neighbours[key as usize] = [OUT; 2];
        self.len -= 1;
    }

    /// Gives back room for keys that are not there any more.
    pub(super) fn shrink(&mut self, keys: usize) {
        self.neighbours.truncate(keys);
        self.neighbours.shrink_to(keys);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_queue_from_which_anybody_may_leave(steps in prop::collection::vec((0u32..12, any::<bool>()), 0..200)) {
            let (mut order, mut model) = (IdleList::new(), VecDeque::new());
            for (key, enters) in steps {
                model.retain(|known| *known != key);
                if enters {
                    order.push(key);
                    model.push_back(key);
                } else {
                    order.remove(key);
                }
                prop_assert_eq!(order.len(), model.len());
                prop_assert_eq!(order.first(), model.front().copied());
            }
            while let Some(first) = order.first() {
                prop_assert_eq!(Some(first), model.pop_front());
                order.remove(first);
            }
            prop_assert!(model.is_empty());
        }
    }
}
