//! The descriptor file by which consumers on the same machine find the provider (wire contract 4).
//!
//! The URL in it may hold a token, so only its user may read the file. Whoever can write to the directory can send
//! consumers elsewhere, so the directory is checked first, and everything after that is relative to the open directory,
//! whatever becomes of its path meanwhile.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use grove_engine::Discovery;
use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use rustix::fs::{fchmod, fstat, linkat, openat, renameat, statat, unlinkat};
use serde::Serialize;

use crate::discovery::Description;
use crate::private_directory;

/// The longest provider id that may be a file name, in bytes.
const MAX_ID_BYTES: usize = 64;

/// Locked while files are renamed: the temporary name contains only our process id, so only one thread of this process
/// may use it at a time. No other lock is taken meanwhile.
static RENAMING: Mutex<()> = Mutex::new(());

/// A published descriptor file. It is removed when this is dropped.
///
/// It contains `id`, `name`, `slop_version`, `transport`, `capabilities` and `pid`, and only its user can read it. If
/// another process publishes the same id later, its file replaces this one and stays when this one is dropped. A process
/// that is killed leaves its file behind, and the next one to publish replaces it.
///
/// ```
/// use grove_axum::LocalDescriptor;
/// use grove_engine::{Engine, Provider};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let scratch = std::env::temp_dir().join(format!("grove-doc-{}", std::process::id()));
/// # let directory = scratch.join("slop").join("providers");
/// let engine = Engine::builder("desk", "Desk").build();
/// // `LocalDescriptor::publish` does the same in `~/.slop/providers`.
/// let file = LocalDescriptor::publish_in(&directory, &engine.discovery(), "ws://127.0.0.1:3000/slop")?;
/// assert_eq!(file.path(), directory.join("desk.json"));
/// file.close()?;
/// # std::fs::remove_dir_all(scratch)
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the file is removed when this is dropped"]
pub struct LocalDescriptor {
    path: PathBuf,
    names: Names,
    directory: OwnedFd,
    /// Kept open, so that no other file can get its inode number while we still compare with it.
    file: File,
    removed: bool,
}

/// The two names of the file in its directory.
#[derive(Debug)]
struct Names {
    published: String,
    /// The name while it is being written or removed. Readers skip it, since it does not end in `.json`.
    temporary: String,
}

impl LocalDescriptor {
    /// Publishes `provider`, which can be reached at `url`, in `~/.slop/providers`.
    ///
    /// # Errors
    ///
    /// When there is no home directory, and as [`LocalDescriptor::publish_in`].
    pub fn publish(provider: &Discovery, url: &str) -> io::Result<Self> {
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        let home = home.ok_or_else(|| io::Error::new(ErrorKind::NotFound, "there is no home directory"))?;
        Self::publish_in(&home.join(".slop").join("providers"), provider, url)
    }

    /// Publishes in another directory, such as `/tmp/slop/providers`. It is created with mode 0700 if it does not exist.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::InvalidInput`] when the provider's id cannot be a file name (it must match
    ///   `^[a-z0-9][a-z0-9._-]{0,63}$`) or `url` does not start with `ws://` or `wss://`;
    /// - [`ErrorKind::PermissionDenied`] when the directory belongs to another user, others may read or write it, or
    ///   another user could replace it: each parent directory must belong to this user or root, and be writable for
    ///   others only if it is sticky, like `/tmp`;
    /// - the system's error when the directory is a symbolic link or no directory, or the file cannot be written.
    pub fn publish_in(directory: &Path, provider: &Discovery, url: &str) -> io::Result<Self> {
        let names = Names::of(&provider.id)?;
        let content = content(provider, url)?;
        let path = directory.join(&names.published);
        let directory = private_directory::open_or_create(directory)?;
        let _renaming = RENAMING.lock().unwrap_or_else(PoisonError::into_inner);
        let file = write_new(&directory, &names.temporary, &content).and_then(|file| {
            renameat(&directory, &names.temporary, &directory, &names.published)?;
            Ok(file)
        });
        let file = file.inspect_err(|_| {
            // What was written is of no use. The first error is the one to return.
            let _ = unlinkat(&directory, &names.temporary, AtFlags::empty());
        })?;
        Ok(Self { path, names, directory, file, removed: false })
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file. Dropping does the same, but ignores errors.
    ///
    /// # Errors
    ///
    /// When the file exists and cannot be removed.
    pub fn close(mut self) -> io::Result<()> {
        self.remove()
    }

    /// Removes the file if it is still ours.
    ///
    /// Between a check of a name and its removal, another process may give the name to a file of its own. So the file is
    /// first renamed, which is atomic, then checked, and put back if it belongs to another process.
    fn remove(&mut self) -> io::Result<()> {
        self.removed = true;
        let _renaming = RENAMING.lock().unwrap_or_else(PoisonError::into_inner);
        let Names { published, temporary } = &self.names;
        match statat(&self.directory, published, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if self.is_ours(&found)? => {}
            Ok(_) | Err(rustix::io::Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        renameat(&self.directory, published, &self.directory, temporary)?;
        let renamed = statat(&self.directory, temporary, AtFlags::SYMLINK_NOFOLLOW)?;
        if !self.is_ours(&renamed)? {
            // If a third file has been published meanwhile, that one is newer and stays.
            let _ = linkat(&self.directory, temporary, &self.directory, published, AtFlags::empty());
        }
        Ok(unlinkat(&self.directory, temporary, AtFlags::empty())?)
    }

    fn is_ours(&self, other: &Stat) -> io::Result<bool> {
        let ours = fstat(&self.file)?;
        Ok((ours.st_dev, ours.st_ino) == (other.st_dev, other.st_ino))
    }
}

impl Drop for LocalDescriptor {
    fn drop(&mut self) {
        if !self.removed {
            // Callers that need the error call `close`.
            let _ = self.remove();
        }
    }
}

impl Names {
    /// # Errors
    ///
    /// When readers would not recognise a file with this id as a descriptor.
    fn of(id: &str) -> io::Result<Self> {
        let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let later = |byte: u8| first(byte) || matches!(byte, b'.' | b'_' | b'-');
        let valid = id.len() <= MAX_ID_BYTES && id.bytes().next().is_some_and(first) && id.bytes().all(later);
        if !valid {
            let message = format!("the provider id `{id}` cannot be the name of a descriptor file");
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
        let published = format!("{id}.json");
        let temporary = format!("{published}.tmp.{}", std::process::id());
        Ok(Self { published, temporary })
    }
}

/// # Errors
///
/// When the URL is not a WebSocket URL.
fn content(provider: &Discovery, url: &str) -> io::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Content<'a> {
        #[serde(flatten)]
        description: Description<'a>,
        pid: u32,
    }

    if !(url.starts_with("ws://") || url.starts_with("wss://")) {
        // The URL may hold a token, so the message does not repeat it.
        return Err(io::Error::new(ErrorKind::InvalidInput, "the URL must start with `ws://` or `wss://`"));
    }
    let content = Content { description: Description::of(provider, url), pid: std::process::id() };
    Ok(serde_json::to_vec(&content)?)
}

/// Writes a file that only our user may read. An existing file of that name can only be left from a process that had our
/// process id and was killed: it is replaced.
fn write_new(directory: &OwnedFd, name: &str, content: &[u8]) -> io::Result<File> {
    let private = Mode::RUSR | Mode::WUSR;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match openat(directory, name, flags, private) {
        Err(rustix::io::Errno::EXIST) => {
            unlinkat(directory, name, AtFlags::empty())?;
            openat(directory, name, flags, private)?
        }
        opened => opened?,
    };
    // The umask may have removed permissions of the user.
    fchmod(&file, private)?;
    let mut file = File::from(file);
    file.write_all(content)?;
    Ok(file)
}
