//! The daemon's socket: only this user's processes, and only one daemon.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use crate::failure::Failure;
use crate::private_path::{make_private, private_directory, remove_if_there};
use crate::same_user::is_same_user;

/// How long to wait if the system has no more file descriptors.
const NO_DESCRIPTORS: Duration = Duration::from_millis(200);

/// The socket's file and its lock, which are removed and released when this is dropped. The system releases the lock also of
/// a daemon that was killed, so a socket without a lock is stale.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    _lock: File,
}

/// Accepts only this user's processes, and only so many at once.
#[derive(Debug)]
pub(crate) struct Guarded {
    listener: UnixListener,
    places: Arc<Semaphore>,
}

/// A connection of a process of this user.
#[derive(Debug)]
pub(crate) struct Admitted {
    stream: UnixStream,
    alive: Arc<()>,
    _place: OwnedSemaphorePermit,
}

/// Listens at a path, with mode 0600 in a directory with mode 0700.
///
/// # Errors
/// If another daemon listens there, or others could use the directory.
pub(crate) fn listen(path: &Path, connections: usize) -> Result<(SocketFile, Guarded), Failure> {
    let path = std::path::absolute(path).map_err(Failure::failed)?;
    let failed = |why: &dyn std::fmt::Display| Failure::failed(format!("cannot listen at {}: {why}", path.display()));
    let directory = path.parent().ok_or_else(|| failed(&"it is no path of a file"))?;
    private_directory(directory)?;
    let lock = lock(&path).map_err(|why| match why {
        TryLockError::WouldBlock => failed(&"another daemon is running there")
            .advice("one daemon serves all sessions of a user; stop it first, or give another --socket"),
        TryLockError::Error(error) => failed(&error),
    })?;
    let is_other = path.symlink_metadata().is_ok_and(|found| !found.file_type().is_socket());
    if is_other {
        return Err(failed(&"there is something else").advice("remove it, or give another --socket"));
    }
    remove_if_there(&path).map_err(|error| failed(&error))?;
    let listener = UnixListener::bind(&path).map_err(|error| failed(&error))?;
    make_private(&path).map_err(|error| failed(&error))?;
    let guarded = Guarded { listener, places: Arc::new(Semaphore::new(connections)) };
    Ok((SocketFile { path, _lock: lock }, guarded))
}

fn lock(socket: &Path) -> Result<File, TryLockError> {
    let mut path = socket.as_os_str().to_owned();
    path.push(".lock");
    let mut options = OpenOptions::new();
    let file = options.mode(0o600).create(true).truncate(false).write(true).open(path).map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}

impl SocketFile {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // While the lock is held, it is this daemon's. What is left is replaced by the next one.
        let _ = remove_if_there(&self.path);
    }
}

impl Listener for Guarded {
    type Io = Admitted;
    type Addr = ();

    async fn accept(&mut self) -> (Admitted, ()) {
        loop {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { std::future::pending().await };
            match self.listener.accept().await {
                Ok((stream, _)) if is_same_user(&stream.peer_cred()) => {
                    return (Admitted { stream, alive: Arc::new(()), _place: place }, ());
                }
                Ok(_) => tracing::warn!(target: "grove", "a process of another user was refused"),
                Err(error) => {
                    tracing::warn!(target: "grove", "a connection could not be accepted: {error}");
                    sleep(NO_DESCRIPTORS).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Admitted {
    /// Is there as long as the connection is.
    pub(crate) fn alive(&self) -> Weak<()> {
        Arc::downgrade(&self.alive)
    }
}

impl AsyncRead for Admitted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Admitted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
