//! Where long lists of children are cut into runs: after ids alone, so that a change or an insertion leaves the other runs
//! as they are (content-defined chunking).

/// A list of children with at least this many is cut into runs.
pub(super) const CUT_FROM: usize = 24;
/// The shortest run that a child id may end.
const RUN_MIN: usize = 6;
/// The longest run.
const RUN_MAX: usize = 32;
/// One id in this many ends a run.
const RUN_CUT: u32 = 12;

/// Whether a run of this length ends with this id.
pub(super) fn ends_run(length: usize, id: &str) -> bool {
    length >= RUN_MAX || (length >= RUN_MIN && hash(id).is_multiple_of(RUN_CUT))
}

/// FNV-1a, folded. Without a seed, so that a list is cut alike in every process and its size does not depend on chance; who
/// chooses ids may choose where it is cut, between the shortest run and the longest.
fn hash(id: &str) -> u32 {
    let hash = id.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash ^ hash >> 15
}
