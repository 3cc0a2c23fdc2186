//! Where results are written, and where what is measured may write to the disk.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Where results are written.
pub(crate) fn folder() -> Result<PathBuf, Failure> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("cannot create the results folder {}: {error}", folder.display()))?;
    Ok(folder)
}

/// A directory that is removed in the end. It is beside the results, since the system's own may be in memory.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Result<Self, Failure> {
        let path = folder()?.join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// How many bytes the files in it have.
    pub(crate) fn bytes(&self) -> Result<u64, Failure> {
        bytes(&self.0)
    }
}

/// How many bytes the files below a directory occupy: what is reserved and not written counts nothing.
fn bytes(directory: &Path) -> Result<u64, Failure> {
    let mut all = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        all += if metadata.is_dir() { bytes(&entry.path())? } else { metadata.blocks() * BLOCK_BYTES };
    }
    Ok(all)
}

/// The unit in which the system says how much a file occupies.
const BLOCK_BYTES: u64 = 512;

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is overwritten by nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
