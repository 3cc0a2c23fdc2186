//! The parts by which the tree shows rooms.

use std::sync::Arc;

use super::foundation::Foundation;
use crate::model::Text;
use crate::refresh::sources::Sources;
use crate::render::room_layouts::ROOMS;
use crate::rooms::actions::RoomActions;
use crate::rooms::by_path::RoomPaths;
use crate::rooms::service::RoomService;
use crate::rooms::sources as shown;

/// Registers what every engine with rooms shows, and finds rooms by what consumers name.
pub(super) fn room_paths(
    base: &Foundation,
    service: &Arc<RoomService>,
    sources: &Sources,
    root_id: Text,
) -> Arc<RoomPaths> {
    let actions = RoomActions::new(service, &base.table);
    sources.register(&ROOMS.into(), shown::rooms(actions.create.clone()));
    sources.register_room(&Text::default(), shown::room(actions.clone()));
    sources.register_room(&shown::PARTICIPANTS.into(), shown::participants());
    Arc::new(RoomPaths::new(Arc::clone(service), actions, Arc::clone(&base.observers), root_id))
}
