//! What a call's result waits for: that the paths are rendered which the call may have changed, and not for long.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};

use super::late_refreshes::LateRefreshes;
use super::refresher::Refresher;
use crate::background::Background;
use crate::clock::{Clock, millis};
use crate::config::Config;
use crate::model::Text;
use crate::sessions::paths::Paths;
use crate::sessions::slot::Slot;

/// Refreshes sessions after their calls.
#[derive(Debug)]
pub(crate) struct AfterCall {
    refresher: Arc<Refresher>,
    background: Arc<Background>,
    clock: Arc<dyn Clock>,
    late: Arc<LateRefreshes>,
    before_result_ms: u64,
    rest_ms: u64,
}

/// What a call may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MayChange {
    /// What the action declares.
    Declared(Paths),
    /// What the source at this path renders, and perhaps anything else.
    Source(Text),
}

/// Whether everything was rendered that a call may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rendered {
    InTime,
    /// Something is still rendered: its patch follows the result.
    Late,
}

impl AfterCall {
    pub(crate) fn new(
        refresher: Arc<Refresher>,
        background: Arc<Background>,
        clock: Arc<dyn Clock>,
        config: &Config,
    ) -> Self {
        Self {
            refresher,
            background,
            clock,
            late: Arc::default(),
            before_result_ms: millis(config.times.refresh_before_result),
            rest_ms: millis(config.times.rest_before_result),
        }
    }

    /// Refreshes the caller's session. What is not rendered in time goes on in the background.
    pub(crate) async fn refresh(&self, slot: &Arc<Slot>, may_change: MayChange) -> Rendered {
        if self.refresher.must_not_wait() {
            return Rendered::InTime;
        }
        let changed = if let MayChange::Declared(paths) = &may_change { paths } else { &Paths::All };
        self.refresher.called(slot, changed);
        let now_ms = self.clock.now_ms();
        let until_ms = now_ms.saturating_add(self.before_result_ms);
        match may_change {
            MayChange::Declared(paths) => self.wait(slot, self.paths(slot, paths), until_ms).await,
            MayChange::Source(path) => {
                let rest_until_ms = now_ms.saturating_add(self.rest_ms).min(until_ms);
                // If something of this session is late already, it is not waited for again.
                let wait_ms = (!self.late.contains(slot)).then_some(rest_until_ms);
                if self.wait_for_all(slot, wait_ms).await == Rendered::Late {
                    self.wait(slot, self.paths(slot, Paths::Exactly(path)), until_ms).await;
                    return Rendered::Late;
                }
                Rendered::InTime
            }
        }
    }

    async fn wait_for_all(&self, slot: &Arc<Slot>, until_ms: Option<u64>) -> Rendered {
        let (refresher, all) = (Arc::clone(&self.refresher), Arc::clone(slot));
        let refresh = async move { refresher.refresh_session(&all).await }.boxed();
        match until_ms {
            Some(until_ms) => self.wait(slot, refresh, until_ms).await,
            None => {
                self.leave(slot, refresh);
                Rendered::Late
            }
        }
    }

    fn paths(&self, slot: &Arc<Slot>, paths: Paths) -> BoxFuture<'static, ()> {
        let (refresher, slot) = (Arc::clone(&self.refresher), Arc::clone(slot));
        async move { refresher.refresh_beside(&slot, paths).await }.boxed()
    }

    async fn wait(&self, slot: &Arc<Slot>, refresh: BoxFuture<'static, ()>, until_ms: u64) -> Rendered {
        match select(refresh, self.clock.sleep_until(until_ms)).await {
            Either::Left(_) => Rendered::InTime,
            Either::Right((_, refresh)) => {
                self.leave(slot, refresh);
                Rendered::Late
            }
        }
    }

    /// Goes on with a refresh in the background. If another one of this session does so already, it renders everything
    /// once more instead: calls do not pile up behind a source that hangs.
    fn leave(&self, slot: &Arc<Slot>, refresh: BoxFuture<'static, ()>) {
        let Some(mut late) = self.late.begin(slot) else { return };
        let refresher = Arc::clone(&self.refresher);
        self.background.spawn(async move {
            refresh.await;
            while late.again() {
                refresher.refresh_session(&late.slot).await;
            }
        });
    }
}
