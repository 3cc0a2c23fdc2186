//! Sessions that have nothing to do with the runs, and whose trees change.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use grove_engine::{Descriptor, Scope, Session};

use crate::consumer::{Consumer, SUBSCRIBE, check_all};
use crate::failure::Failure;
use crate::measure::latencies::Latencies;
use crate::measure::stopwatch::Stopwatch;
use crate::result::row::Row;
use crate::subject::house::House;

/// The path of what changes.
const BOARD: &str = "board";

/// The time from one change to the next.
const INTERVAL: Duration = Duration::from_millis(120);

/// Sessions that are subscribed to their whole trees, in which a shared number changes.
pub(super) struct Others {
    consumers: Vec<Consumer>,
    revision: Arc<AtomicU64>,
}

impl Others {
    /// Connects the members from `first` on.
    pub(super) async fn connect(house: &House, first: u32, count: u32) -> Result<Self, Failure> {
        let revision = Arc::new(AtomicU64::new(0));
        let shown = Arc::clone(&revision);
        house.engine.register(BOARD, move |_: &Session| {
            Descriptor::new("status").prop("revision", shown.load(Ordering::Relaxed))
        });
        let mut consumers = house.connect(first, count, count)?;
        for consumer in &mut consumers {
            consumer.say(SUBSCRIBE);
            consumer.wait_for("snapshot").await?;
        }
        Ok(Self { consumers, revision })
    }

    /// Changes the number so many times. Times each change from the refresh call until each of them has its patch.
    pub(super) async fn time_changes(&mut self, house: &House, changes: u32) -> Result<Latencies, Failure> {
        let mut latencies = Latencies::new()?;
        for _ in 0..changes {
            let watch = Stopwatch::start();
            self.revision.fetch_add(1, Ordering::Relaxed);
            house.engine.refresh(Scope::all().paths([BOARD]));
            for consumer in &mut self.consumers {
                consumer.wait_for("patch").await?;
                latencies.record_us(watch.elapsed_us());
            }
            tokio::time::sleep(INTERVAL.saturating_sub(watch.elapsed())).await;
        }
        Ok(latencies)
    }

    /// Compares their copies with fresh queries.
    pub(super) async fn check(mut self, row: &mut Row) -> Result<(), Failure> {
        row.add_verdict(check_all(&mut self.consumers).await?);
        Ok(())
    }
}
