//! The parts by which the tree shows rooms.

use std::sync::Arc;

use super::foundation::Foundation;
use super::options::EngineOptions;
use crate::model::Text;
use crate::refresh::refresher::Refresher;
use crate::refresh::sources::Sources;
use crate::render::room_layouts::ROOMS;
use crate::rooms::actions::RoomActions;
use crate::rooms::by_path::RoomPaths;
use crate::rooms::memory_actions::MemoryActions;
use crate::rooms::memory_source::{self, MEMORY};
use crate::rooms::presence::PRESENCE;
use crate::rooms::run_sources;
use crate::rooms::service::RoomService;
use crate::rooms::sources as shown;
use crate::runs::task_runner::TaskRunner;

/// The rooms of an engine, if it has any, and what finds them by what consumers name. Registers what every engine with rooms
/// shows.
pub(super) fn rooms(
    base: &Foundation,
    options: &mut EngineOptions,
    (refresher, sources, tasks): (&Arc<Refresher>, &Arc<Sources>, &Arc<TaskRunner>),
) -> (Option<Arc<RoomService>>, Option<Arc<RoomPaths>>) {
    let Some(chosen) = options.rooms.take() else { return (None, None) };
    let service = base.rooms(chosen, refresher, sources, tasks);
    let actions = RoomActions::new(&service, &base.table);
    sources.register(&ROOMS.into(), shown::rooms(actions.create.clone()));
    sources.register_room(&Text::default(), shown::room(actions.clone()));
    sources.register_room(&shown::PARTICIPANTS.into(), shown::participants());
    sources.register_room(&run_sources::RUNS.into(), run_sources::runs(&actions));
    let memory = MemoryActions::new(&service);
    sources.register_room(&MEMORY.into(), memory_source::memory(memory.clone()));
    if service.shows_presence() {
        sources.register(&PRESENCE.into(), shown::presence(&service));
    }
    let paths =
        RoomPaths::new(Arc::clone(&service), (actions, memory), Arc::clone(&base.observers), options.id.clone());
    (Some(service), Some(Arc::new(paths)))
}
