//! The live heap of each server process over time, and whether it stays within bounds.

/// How much a process's live heap may grow under constant load: by this factor and by these bytes. Generous, since only
/// unbounded growth is looked for.
const GROWTH_FACTOR: f64 = 1.5;
const GROWTH_BYTES: f64 = 8e6;

/// How many bytes of live heap an empty server may hold.
const EMPTY_BYTES: u64 = 16_000_000;

/// A process with fewer samples is not judged.
const MIN_SAMPLES: usize = 4;

/// Samples of live heap in bytes, for each server process.
#[derive(Debug, Default)]
pub(super) struct HeapHistory {
    processes: Vec<Vec<u64>>,
    empty_bytes: u64,
}

impl HeapHistory {
    pub(super) fn start_process(&mut self) {
        self.processes.push(Vec::new());
    }

    pub(super) fn add_sample(&mut self, heap_bytes: u64) {
        if let Some(samples) = self.processes.last_mut() {
            samples.push(heap_bytes);
        }
    }

    /// The last sample, of a server without sessions.
    pub(super) fn set_empty(&mut self, heap_bytes: u64) {
        self.empty_bytes = heap_bytes;
    }

    /// What grew beyond its bounds.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = self.processes.iter().filter_map(|samples| growth(samples)).collect();
        let empty_bytes = self.empty_bytes;
        if empty_bytes > EMPTY_BYTES {
            problems.push(format!("the empty server holds {empty_bytes} bytes of live heap, more than {EMPTY_BYTES}"));
        }
        problems
    }
}

/// Compares the first half of a process's samples with the second.
fn growth(samples: &[u64]) -> Option<String> {
    if samples.len() < MIN_SAMPLES {
        return None;
    }
    // The first sample is of a server that fills up.
    let (early, late) = samples[1..].split_at(samples.len() / 2);
    let largest = |samples: &[u64]| samples.iter().copied().max().unwrap_or_default() as f64;
    let (early, late) = (largest(early), largest(late));
    let grew = late > early * GROWTH_FACTOR + GROWTH_BYTES;
    grew.then(|| format!("live heap grew from {early:.0} to {late:.0} bytes in one server process"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(samples: &[u64]) -> HeapHistory {
        let mut history = HeapHistory::default();
        history.start_process();
        samples.iter().for_each(|bytes| history.add_sample(*bytes));
        history
    }

    #[test]
    fn growth_beyond_the_bounds_is_a_problem_and_the_first_sample_does_not_count() {
        assert_eq!(history(&[1, 30_000_000, 30_000_000, 40_000_000, 50_000_000]).problems().len(), 0);
        assert_eq!(history(&[1, 30_000_000, 30_000_000, 40_000_000, 54_000_000]).problems().len(), 1);
        assert_eq!(history(&[1, 2, 54_000_000]).problems().len(), 0, "too few samples");
    }

    #[test]
    fn an_empty_server_that_holds_much_is_a_problem() {
        let mut history = history(&[]);
        history.set_empty(EMPTY_BYTES + 1);
        assert_eq!(history.problems().len(), 1);
    }
}
