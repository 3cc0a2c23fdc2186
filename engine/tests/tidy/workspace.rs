//! The crates of the workspace.

use std::path::{Path, PathBuf};

use crate::crate_tree::CrateTree;

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The engine.
pub(crate) fn engine() -> CrateTree {
    CrateTree::read(&root().join("engine/src"))
}

/// Every crate by the folder of its sources.
pub(crate) fn crates() -> Vec<(String, CrateTree)> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = manifest.lines().find(|line| line.starts_with("members")).unwrap();
    let folders = members.split('"').skip(1).step_by(2).map(|member| format!("{member}/src"));
    folders.map(|folder| (folder.clone(), CrateTree::read(&root().join(&folder)))).collect()
}
