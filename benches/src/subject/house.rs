//! An engine with rooms, and nothing else in its trees.

use std::sync::Arc;
use std::time::Duration;

use grove_engine::{Clock, Config, Engine, NewRoom, Room, RoomOptions, Session};

use super::grove::{DEBOUNCE_MS, generous_config};
use super::manual_clock::ManualClock;
use crate::consumer::{Consumer, take_all};
use crate::failure::Failure;
use crate::measure::memory_usage::MemoryUsage;
use crate::workload::population::user;

/// Seconds without activity before bytes are counted.
const REST_S: u32 = 4;

/// An engine with rooms.
pub(crate) struct House {
    pub(crate) engine: Engine,
    /// Drives the engine, unless it runs in real time.
    pub(crate) clock: Arc<ManualClock>,
}

impl House {
    /// For so many sessions and rooms, in time that advances only by [`House::clock`].
    pub(crate) fn with_manual_clock(sessions: u32) -> Self {
        let clock = Arc::new(ManualClock::new());
        let (config, manual) = (Self::config(sessions), Arc::clone(&clock));
        Self::new(config, RoomOptions::new(), manual, Some(clock as Arc<dyn Clock>))
    }

    /// In real time.
    pub(crate) fn in_real_time(sessions: u32) -> Self {
        Self::in_real_time_with(Self::config(sessions), RoomOptions::new())
    }

    /// In real time, with a configuration and options of its own.
    pub(crate) fn in_real_time_with(config: Config, options: RoomOptions) -> Self {
        Self::new(config, options, Arc::new(ManualClock::new()), None)
    }

    fn new(config: Config, options: RoomOptions, manual: Arc<ManualClock>, clock: Option<Arc<dyn Clock>>) -> Self {
        let builder = Engine::builder("app", "App").config(config).rooms(options);
        let builder = match clock {
            Some(clock) => builder.clock(clock),
            None => builder,
        };
        Self { engine: builder.build(), clock: manual }
    }

    /// For so many sessions, all of which may be in one room or have one each.
    pub(crate) fn config(sessions: u32) -> Config {
        let mut config = generous_config(sessions);
        let many = sessions as usize + 16;
        config.rooms.rooms = config.rooms.rooms.max(many);
        config.rooms.rooms_per_project = config.rooms.rooms_per_project.max(many);
        config.rooms.participants_per_room = config.rooms.participants_per_room.max(many).min(100_000);
        config.rooms.users_per_room = config.rooms.users_per_room.max(many);
        config
    }

    /// The session of member `u`.
    pub(crate) fn member(u: u32) -> Session {
        Session::new(format!("s-{u}")).with_user(user(u))
    }

    /// Connects the members from `first` on. Some of them, spread evenly, record their frames.
    pub(crate) fn connect(&self, first: u32, count: u32, recorded: u32) -> Result<Vec<Consumer>, Failure> {
        let one_in = count.div_ceil(recorded.max(1));
        // Allocated once, since spare capacity would be counted as memory of the sessions.
        let mut consumers = Vec::with_capacity(count as usize);
        for at in 0..count {
            let is_recorded = recorded > 0 && at.is_multiple_of(one_in);
            consumers.push(Consumer::connect(&self.engine, &Self::member(first + at), is_recorded)?);
        }
        take_all(&mut consumers);
        Ok(consumers)
    }

    pub(crate) fn create(&self, owner: u32, new: &NewRoom) -> Result<Room, Failure> {
        let created = self.engine.rooms().create(&Self::member(owner), new);
        Ok(created.map_err(|error| error.to_string())?.room)
    }

    /// Member `u` joins a room.
    pub(crate) fn join(&self, u: u32, room: &Room) -> Result<(), Failure> {
        self.engine.rooms().join(&Self::member(u), room.id()).map_err(|error| error.to_string())?;
        Ok(())
    }

    /// Members join their rooms one after the other. What they receive is taken now and then, so that no outbox holds more than
    /// a few events.
    pub(crate) fn join_each<'r>(
        &self,
        joins: impl Iterator<Item = (u32, &'r Room)>,
        consumers: &mut [Consumer],
    ) -> Result<(), Failure> {
        for (u, room) in joins {
            self.join(u, room)?;
            if u % 100 == 0 {
                take_all(consumers);
            }
        }
        Ok(())
    }

    /// Member `u` leaves a room.
    pub(crate) fn leave(&self, u: u32, room: &Room) -> Result<(), Failure> {
        Ok(self.engine.rooms().leave(&Self::member(u), room.id()).map_err(|error| error.to_string())?)
    }

    /// Lets the debounce of refreshes pass, and waits until nothing is left to do.
    pub(crate) async fn refresh(&self) {
        self.clock.advance(DEBOUNCE_MS);
        self.engine.settle().await;
    }

    /// Lets a few seconds pass without activity, so that buffers for bursts are released.
    pub(crate) async fn rest(&self) {
        for _ in 0..REST_S {
            self.clock.advance(1_000);
            self.engine.settle().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The live heap when all is done and every outbox is empty.
    pub(crate) async fn settled_heap(&self, consumers: &mut [Consumer]) -> Result<f64, Failure> {
        for _ in 0..2 {
            self.refresh().await;
            take_all(consumers);
        }
        self.rest().await;
        take_all(consumers);
        Ok(MemoryUsage::settled().await?.heap)
    }
}
