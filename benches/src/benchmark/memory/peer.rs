//! How much memory does a session of the peer take?

use crate::failure::Failure;
use crate::measure::allocator;
use crate::measure::memory_usage::MemoryUsage;
use crate::plan::cell::Cell;
use crate::result::row::Row;
use crate::subject::slop_ai::SlopAi;

pub(crate) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    row.allocator = Some(allocator::name());
    let empty = MemoryUsage::settled().await?;
    let peer = SlopAi::start(cell);
    let frames_before = peer.frames();
    peer.population.change_all_private();
    peer.refresh_all();
    let changed = MemoryUsage::settled().await?;
    let per_session = |more: f64, less: f64| Some((more - less) / peer.len() as f64);
    row.heap_bytes_per_active = per_session(changed.heap, empty.heap);
    row.rss_bytes_per_active = per_session(changed.rss, empty.rss);
    row.expect_one_frame_each(peer.len(), peer.frames() - frames_before);
    row.add_verdict(peer.verify());
    Ok(row)
}
