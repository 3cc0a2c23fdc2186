//! What is measured: benchmarks, and the conditions of each single measurement (a cell).

pub(crate) mod benchmark;
pub(crate) mod cell;
pub(crate) mod change;
pub(crate) mod cluster_case;
pub(crate) mod database_kind;
pub(crate) mod defaults;
pub(crate) mod peer_case;
pub(crate) mod planned_cell;
pub(crate) mod room_case;
pub(crate) mod run_case;
pub(crate) mod storage_case;
