//! Directories and files that only their owner can use.

use std::fs::{self, DirBuilder, Metadata, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::failure::Failure;
use crate::same_user;

/// Creates a directory with mode 0700, with those above it that are missing, or checks the one that is there.
///
/// # Errors
/// If it cannot be created, or others own it or can use it.
pub(crate) fn private_directory(path: &Path) -> Result<(), Failure> {
    let failed = |why: &dyn std::fmt::Display| Failure::failed(format!("cannot use {}: {why}", path.display()));
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| failed(&error))?;
    let found = fs::symlink_metadata(path).map_err(|error| failed(&error))?;
    let checked = check(&found, found.is_dir(), same_user::own_uid());
    checked.map_err(|why| failed(&why).advice(format!("chmod 700 {0}, or use another directory", path.display())))
}

/// Whether somebody else could read or replace what is there.
fn check(found: &Metadata, is_right_kind: bool, own_uid: u32) -> Result<(), String> {
    check_mode(found.mode(), found.uid(), is_right_kind, own_uid)
}

fn check_mode(mode: u32, uid: u32, is_right_kind: bool, own_uid: u32) -> Result<(), String> {
    if !is_right_kind {
        return Err("it is a link, or something else than it should be".to_owned());
    }
    if uid != own_uid {
        return Err(format!("it belongs to another user ({uid})"));
    }
    if mode & 0o077 != 0 {
        return Err(format!("others can use it (mode {:03o})", mode & 0o777));
    }
    Ok(())
}

/// Checks a file that is about to be read: a regular file of ours that nobody else can read.
///
/// # Errors
/// Says why not.
pub(crate) fn check_private_file(path: &Path) -> Result<(), String> {
    let found = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    check(&found, found.is_file(), same_user::own_uid())
}

/// Writes a new file with mode 0600.
///
/// # Errors
/// If there is such a file, or it cannot be written.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().mode(0o600).write(true).create_new(true).open(path)?;
    file.write_all(content)
}

/// Makes a socket one that only we can connect to. It is in a private directory, so nobody could before.
///
/// # Errors
/// If the system refuses.
pub(crate) fn make_private(path: &Path) -> std::io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o600))
}

/// Removes a file that may not be there.
///
/// # Errors
/// If it is there and cannot be removed.
pub(crate) fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_own_or_can_use_is_not_private() {
        assert_eq!(check_mode(0o040_700, 7, true, 7), Ok(()));
        assert_eq!(check_mode(0o100_600, 7, true, 7), Ok(()));
        for (mode, uid, is_right_kind) in [
            (0o755, 7, true),
            (0o710, 7, true),
            (0o702, 7, true),
            (0o700, 0, true),
            (0o700, 8, true),
            (0o700, 7, false),
        ] {
            assert!(check_mode(mode, uid, is_right_kind, 7).is_err(), "{mode:o} {uid} {is_right_kind}");
        }
    }
}
