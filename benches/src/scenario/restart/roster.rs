//! How many workers are connected, and how many wait for a result.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use crate::failure::Failure;
use crate::measure::stopwatch::Stopwatch;

/// How long workers may take to connect, or to get their results.
const TIMEOUT: Duration = Duration::from_secs(120);

/// How often the counts are read.
const INTERVAL: Duration = Duration::from_millis(20);

/// After a pause of this length, nothing is under way any more.
const PAUSE: Duration = Duration::from_secs(1);

/// Counts of workers.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// Workers that are connected and have a copy.
    pub(super) present: AtomicU32,
    /// Workers that wait for the result of an action.
    pub(super) waiting: AtomicU32,
}

impl Roster {
    /// Waits until this many workers are connected and have a copy.
    pub(super) async fn all_present(&self, expected: u32) -> Result<(), Failure> {
        let start = Stopwatch::start();
        while self.present.load(Ordering::SeqCst) < expected {
            if start.elapsed() > TIMEOUT {
                let present = self.present.load(Ordering::SeqCst);
                return Err(format!("{present} of {expected} consumers are connected after {TIMEOUT:?}").into());
            }
            sleep(INTERVAL).await;
        }
        Ok(())
    }

    /// Waits until every action has its result, and the patches that follow have arrived.
    pub(super) async fn quiet(&self) -> Result<(), Failure> {
        let start = Stopwatch::start();
        while self.waiting.load(Ordering::SeqCst) > 0 {
            if start.elapsed() > TIMEOUT {
                let waiting = self.waiting.load(Ordering::SeqCst);
                return Err(format!("{waiting} actions have no result after {TIMEOUT:?}").into());
            }
            sleep(INTERVAL).await;
        }
        sleep(PAUSE).await;
        Ok(())
    }
}
