//! A room that is put away: it is in the storage, and little of it in memory.

use super::kept::Age;
use crate::model::Text;
use crate::model::room::about::About;
use crate::model::room::record::Record;

/// What stays in memory of a room that nobody uses: what finds it, and what happens to it without being asked. When it ends
/// is known elsewhere.
#[derive(Debug)]
pub(crate) struct AwayRoom {
    pub(crate) id: Text,
    pub(crate) project: Text,
    pub(crate) owner: Text,
    /// The order of creation.
    pub(crate) rank: u64,
    /// Every session of the project may have a role in it.
    pub(crate) is_open: bool,
    /// Those whom the owner has admitted.
    pub(crate) admitted: Box<[Text]>,
    /// How old its oldest event is.
    pub(super) age: Age,
    /// Another epoch than the one that is stored, since what was stored was damaged.
    pub(super) epoch: Option<Text>,
}

impl AwayRoom {
    pub(super) fn new<'u>(about: &About, is_open: bool, admitted: impl Iterator<Item = &'u Text>, age: Age) -> Self {
        Self {
            id: about.id.clone(),
            project: about.project.clone(),
            owner: about.owner.clone(),
            rank: about.rank,
            is_open,
            admitted: admitted.cloned().collect(),
            age,
            epoch: None,
        }
    }

    /// A room that nobody uses now.
    pub(super) fn of(about: &About, is_open: bool, record: &Record, age: Age) -> Self {
        Self::new(about, is_open, record.admitted_users(), age)
    }
}
