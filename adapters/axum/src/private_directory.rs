//! Opens a directory that only our user can change, whatever other users do meanwhile.
//!
//! Whoever can rename any directory on the way can put another one in its place. So the path is walked from the root,
//! each step relative to the directory before, and each directory is checked once it is open.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, mkdirat, open, openat, readlinkat, statat};
use rustix::io::Errno;
use rustix::process::geteuid;

/// How many symbolic links a path may lead through; as many as Linux allows.
const MAX_LINKS: u32 = 40;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens the directory at `path`, and creates it and its parents, for our user only, where they are missing.
///
/// # Errors
///
/// When it is a symbolic link or no directory, belongs to another user, or others have access to it; and when another
/// user could replace it, because a parent directory belongs to that user or is writable for others.
pub(crate) fn open_or_create(path: &Path) -> io::Result<OwnedFd> {
    let path = std::path::absolute(path)?;
    let mut walk =
        Walk { directory: open("/", DIRECTORY, Mode::empty())?, opened: PathBuf::from("/"), links: MAX_LINKS };
    let mut missing = components(&path);
    while let Some(name) = missing.pop() {
        walk.check_parent()?;
        // The last component must be the directory itself.
        match walk.step(&name) {
            Err(Errno::NOTDIR | Errno::LOOP) if !missing.is_empty() => missing.extend(walk.follow(&name)?),
            step => step?,
        }
    }
    walk.check_private()?;
    Ok(walk.directory)
}

/// The names on the way from the root, the last one first. What `..` means depends on links, so it stays.
fn components(path: &Path) -> Vec<OsString> {
    let names = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    names.rev().map(|part| part.as_os_str().to_owned()).collect()
}

/// How far the path has been walked.
struct Walk {
    directory: OwnedFd,
    /// For messages.
    opened: PathBuf,
    /// How many more symbolic links may be followed.
    links: u32,
}

impl Walk {
    /// Goes to the directory of this name. It is created if there is none.
    fn step(&mut self, name: &OsStr) -> Result<(), Errno> {
        self.directory = match openat(&self.directory, name, DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT) => {
                // Another process may have been quicker.
                match mkdirat(&self.directory, name, Mode::RWXU) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error),
                }
                openat(&self.directory, name, DIRECTORY, Mode::empty())?
            }
            opened => opened?,
        };
        self.opened.push(name);
        Ok(())
    }

    /// The names to which the symbolic link of this name leads, the last one first.
    fn follow(&mut self, name: &OsStr) -> io::Result<Vec<OsString>> {
        let link = statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(link.st_mode) != FileType::Symlink {
            return Err(ErrorKind::NotADirectory.into());
        }
        if !is_trusted(&link) {
            return Err(self.denied(Some(name), "belongs to another user, who could make it lead elsewhere"));
        }
        self.links = self.links.checked_sub(1).ok_or(Errno::LOOP)?;
        let target = readlinkat(&self.directory, name, Vec::new())?.into_bytes();
        let target = PathBuf::from(OsString::from_vec(target));
        if target.is_absolute() {
            self.directory = open("/", DIRECTORY, Mode::empty())?;
            self.opened = PathBuf::from("/");
        }
        Ok(components(&target))
    }

    /// What is in this directory must stay what it is: only root, our user and, in a directory like `/tmp`, the owner of
    /// an entry can rename it.
    fn check_parent(&self) -> io::Result<()> {
        let found = fstat(&self.directory)?;
        let mode = Mode::from_raw_mode(found.st_mode);
        if !is_trusted(&found) {
            return Err(self.denied(None, "belongs to another user, who could replace what is in it"));
        }
        if mode.intersects(Mode::WGRP | Mode::WOTH) && !mode.contains(Mode::SVTX) {
            return Err(self.denied(None, "is writable for others, who could replace what is in it"));
        }
        Ok(())
    }

    fn check_private(&self) -> io::Result<()> {
        let found = fstat(&self.directory)?;
        if found.st_uid != geteuid().as_raw() {
            return Err(self.denied(None, "belongs to another user: it must be private"));
        }
        if Mode::from_raw_mode(found.st_mode).intersects(Mode::RWXG | Mode::RWXO) {
            return Err(self.denied(None, "can be used by others: it must be private (mode 0700)"));
        }
        Ok(())
    }

    fn denied(&self, name: Option<&OsStr>, why: &str) -> io::Error {
        let path = name.map_or_else(|| self.opened.clone(), |name| self.opened.join(name));
        io::Error::new(ErrorKind::PermissionDenied, format!("{} {why}", path.display()))
    }
}

/// Whether it belongs to root or to our user.
fn is_trusted(found: &Stat) -> bool {
    found.st_uid == 0 || found.st_uid == geteuid().as_raw()
}
