//! Handles what becomes due.

use std::sync::{Arc, Weak};

use crate::background::Background;
use crate::clock::timer_queue::TimerQueue;
use crate::deliver::link::AbortReason;
use crate::event::{Event, Observers, PanicSite};
use crate::in_flight::InFlight;
use crate::instances::station::Station;
use crate::lifecycle::cache::CacheSweeper;
use crate::lifecycle::evictor::Evictor;
use crate::lifecycle::expiry::Expiry;
use crate::lifecycle::liveness::Liveness;
use crate::lifecycle::resume::ResumeWindow;
use crate::panics;
use crate::protocol::close_reason::CloseReason;
use crate::refresh::refresher::Refresher;
use crate::refresh::schedule::Lane;
use crate::rooms::service::RoomService;
use crate::runs::task_runner::TaskRunner;
use crate::sessions::idle_tracker::IdleTracker;
use crate::sessions::table::Table;
use crate::sessions::timer::Timer;
use crate::sync::AbortHandle;

/// To whom each timer goes.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) refresher: Arc<Refresher>,
    pub(super) evictor: Arc<Evictor>,
    pub(super) idle: Arc<IdleTracker>,
    pub(super) expiry: Arc<Expiry>,
    pub(super) resume: Arc<ResumeWindow>,
    pub(super) liveness: Arc<Liveness>,
    pub(super) cache: Arc<CacheSweeper>,
    pub(super) tasks: Arc<TaskRunner>,
    pub(super) rooms: Option<Arc<RoomService>>,
    pub(super) station: Arc<Station>,
    pub(super) in_flight: Arc<InFlight>,
    pub(super) observers: Arc<Observers>,
}

/// Handles timers until it is dropped. The engine's parts and every connection share it.
#[derive(Debug)]
pub(super) struct RunningDriver {
    /// Present until this is dropped.
    driver: Option<Arc<Driver>>,
    task: AbortHandle,
}

impl RunningDriver {
    pub(super) fn start(
        driver: Arc<Driver>,
        timers: &Arc<TimerQueue<Timer>>,
        background: &Arc<Background>,
        table: &Arc<Table>,
    ) -> Arc<Self> {
        let (background, table) = (Arc::clone(background), Arc::downgrade(table));
        let end = EndOfRuntime { background: Arc::clone(&background), table, driver: Arc::downgrade(&driver) };
        let drive = drive(Arc::clone(timers), Arc::downgrade(&driver));
        let task = background.runtime.spawn(async move {
            let _end = end;
            drive.await;
        });
        let task = task.abort_handle();
        Arc::new(Self { driver: Some(driver), task })
    }
}

impl Drop for RunningDriver {
    fn drop(&mut self) {
        // Before the task ends, which would hold it meanwhile, on whatever thread.
        drop(self.driver.take());
        self.task.abort();
    }
}

/// Dropped with the task: when the engine ends, or when the runtime has ended. Then no task goes on, and whoever waits for
/// something is told.
struct EndOfRuntime {
    background: Arc<Background>,
    table: Weak<Table>,
    driver: Weak<Driver>,
}

impl Drop for EndOfRuntime {
    fn drop(&mut self) {
        self.background.end();
        if let Some(driver) = self.driver.upgrade() {
            // Passes have threads of their own, and would go on.
            driver.refresher.close();
        }
        let slots = self.table.upgrade().map(|table| table.all()).unwrap_or_default();
        slots.iter().flat_map(|slot| slot.links()).for_each(|link| link.end(CloseReason::ShuttingDown));
    }
}

/// Handles what becomes due, as long as the driver exists.
async fn drive(timers: Arc<TimerQueue<Timer>>, driver: Weak<Driver>) {
    loop {
        let timer = timers.next().await;
        let Some(driver) = driver.upgrade() else { return };
        // Something of the application's may be dropped here, and panic; time has to go on.
        if let Err(why) = panics::catch(|| driver.fire(timer)) {
            driver.observers.warn(&Event::Panicked { what: PanicSite::Timer, why });
        }
        timers.complete();
        driver.in_flight.notify();
    }
}

impl Driver {
    fn fire(&self, timer: Timer) {
        match timer {
            Timer::Refreshes => self.refresher.render(Lane::Refreshes),
            Timer::FirstTrees => self.refresher.render(Lane::FirstTrees),
            Timer::SlowEvaluations => self.refresher.find_slow_evaluations(),
            Timer::Wake(link) => with(&link, |link| link.wake()),
            Timer::CheckLiveness(link) => with(&link, |link| self.liveness.check(link)),
            Timer::Abort(link) => with(&link, |link| link.abort(AbortReason::Ended)),
            Timer::SweepIdle(what) => self.evictor.sweep_idle(what),
            Timer::EvictExcessTrees => {
                self.idle.unschedule_excess();
                self.evictor.evict_excess_trees();
            }
            Timer::Expiries => self.expiry.look(),
            Timer::ResumePoints(slot) => with(&slot, |slot| self.resume.expire(slot)),
            Timer::SweepCache => self.cache.sweep(),
            Timer::RemoveTask(task) => with(&task.0, |slot| self.tasks.remove(slot, &task.1)),
            Timer::RoomEnds => self.rooms.iter().for_each(|rooms| rooms.end_due()),
            Timer::StorageRetry => self.rooms.iter().for_each(|rooms| rooms.retry_storage()),
            Timer::Retention => self.rooms.iter().for_each(|rooms| rooms.purge_due()),
            Timer::IdleRooms => self.rooms.iter().for_each(|rooms| rooms.put_away_due()),
            Timer::Attendance => self.rooms.iter().for_each(|rooms| rooms.look_at_attendance()),
            Timer::Runs => self.rooms.iter().for_each(|rooms| rooms.running.run_due()),
            Timer::AgentLinks => self.rooms.iter().for_each(|rooms| rooms.agent_links.forget_unused()),
            Timer::Cluster => self.station.look_if_due(),
            Timer::RoomRemovals => self.rooms.iter().for_each(|rooms| rooms.remove_due()),
        }
    }
}

fn with<T>(thing: &Weak<T>, act: impl FnOnce(&Arc<T>)) {
    if let Some(thing) = thing.upgrade() {
        act(&thing);
    }
}
