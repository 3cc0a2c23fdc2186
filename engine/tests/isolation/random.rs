//! Pseudo-random numbers from a seed.

/// SplitMix64: small, and good enough for test data.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below a limit.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Returns true in this percentage of cases.
    pub(crate) fn percent(&mut self, percentage: usize) -> bool {
        self.below(100) < percentage
    }

    pub(crate) fn choose<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// Returns a value in this percentage of cases.
    pub(crate) fn maybe<T>(&mut self, percentage: usize, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.percent(percentage).then(|| make(self))
    }

    /// Returns a list with a random length between these limits.
    pub(crate) fn some<T>(&mut self, min: usize, max: usize, make: impl Fn(&mut Self) -> T) -> Vec<T> {
        let count = min + self.below(max - min + 1);
        (0..count).map(|_| make(self)).collect()
    }
}
