//! The files of one session: its secret, its token, and the socket of its signer (S4.26).

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use grove_attest::SecretKey;
use tokio::net::UnixListener;

use crate::daemon::SIGNER;
use crate::failure::Failure;
use crate::private_path::{make_private, private_directory, write_private};
use crate::token::Token;

/// What the signer's socket is called until somebody listens there; not longer than its name.
const UNREADY: &str = "signer.new";

/// How long a launch takes at most from its directory to its signer's socket.
const LAUNCH: Duration = Duration::from_secs(60);

/// The files of one session, in a directory with mode 0700 that is removed in the end.
#[derive(Debug)]
pub(crate) struct SessionFiles {
    directory: PathBuf,
}

impl SessionFiles {
    /// Writes the files of a session below the directory of the daemon's socket, and removes what launchers that were killed
    /// have left there.
    ///
    /// # Errors
    /// If they cannot be written, or others could use the directory.
    pub(crate) fn create(beside: &Path, session_id: &str, key: &SecretKey, token: &Token) -> Result<Self, Failure> {
        let all = beside.join("sessions");
        private_directory(beside)?;
        private_directory(&all)?;
        sweep(&all);
        let files = Self { directory: all.join(session_id) };
        let failed = |why: &dyn std::fmt::Display| {
            Failure::failed(format!("cannot write the session's files in {}: {why}", files.directory.display()))
        };
        private_directory(&files.directory)?;
        key.write_new(&files.secret()).map_err(|error| failed(&error))?;
        let line = zeroize::Zeroizing::new(format!("{}\n", token.as_str()));
        write_private(&files.directory.join("token"), line.as_bytes()).map_err(|error| failed(&error))?;
        Ok(files)
    }

    /// The file with the session's secret.
    pub(crate) fn secret(&self) -> PathBuf {
        self.directory.join("secret")
    }

    /// Listens where the daemon asks for fresh attestations.
    ///
    /// # Errors
    /// If that is not possible, such as because the path is too long.
    pub(crate) fn signer(&self) -> Result<UnixListener, Failure> {
        let (path, unready) = (self.directory.join(SIGNER), self.directory.join(UNREADY));
        // It has its name when it answers: other launches remove what does not.
        let listener = UnixListener::bind(&unready).and_then(|listener| {
            make_private(&unready)?;
            fs::rename(&unready, &path)?;
            Ok(listener)
        });
        listener.map_err(|error| {
            Failure::failed(format!("cannot listen at {}: {error}", path.display()))
                .advice("a shorter path for --socket may help: a socket's path has at most 107 bytes")
        })
    }
}

impl Drop for SessionFiles {
    fn drop(&mut self) {
        // What cannot be removed is removed by a later launch.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Removes the directories of sessions whose launcher is gone: nobody listens at their signer's socket. One without such a
/// socket is about to get it, unless it is old.
fn sweep(all: &Path) {
    let directories = fs::read_dir(all).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    for directory in directories {
        let is_over = match BlockingStream::connect(directory.join(SIGNER)).map_err(|error| error.kind()) {
            Err(ErrorKind::ConnectionRefused) => true,
            Err(ErrorKind::NotFound) => is_old(&directory),
            _ => false,
        };
        if is_over {
            // Another launch may have been quicker.
            let _ = fs::remove_dir_all(directory);
        }
    }
}

/// Whether nothing was made there for longer than a launch takes.
fn is_old(directory: &Path) -> bool {
    let changed = fs::symlink_metadata(directory).and_then(|about| about.modified());
    changed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > LAUNCH))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::token::random_id;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn the_files_of_a_session_are_its_owners_alone_and_gone_with_it() {
        let base = std::env::temp_dir().join(random_id("grove-files-").unwrap());
        let (key, token) = (SecretKey::generate().unwrap(), Token::generate().unwrap());
        let files = SessionFiles::create(&base, "s_1", &key, &token).unwrap();
        let signer = files.signer().unwrap();
        let directory = base.join("sessions/s_1");
        for (name, wanted) in [("", 0o700), ("secret", 0o600), ("token", 0o600), (SIGNER, 0o600)] {
            assert_eq!(mode(&directory.join(name)), wanted, "{name}");
        }
        assert_eq!((mode(&base), mode(&base.join("sessions"))), (0o700, 0o700));
        assert_eq!(SecretKey::read(&files.secret()).unwrap().public_key(), key.public_key());

        // A second launch leaves the first one's files alone while it runs, and removes them if it was killed.
        let second = SessionFiles::create(&base, "s_2", &key, &token).unwrap();
        assert!(directory.exists());
        drop(signer);
        std::mem::forget(files);
        let third = SessionFiles::create(&base, "s_3", &key, &token).unwrap();
        assert!(!directory.exists() && base.join("sessions/s_2").exists());
        // One that was killed before it had a socket is recognised by its age.
        let long_ago = std::time::UNIX_EPOCH;
        fs::File::open(base.join("sessions/s_2")).unwrap().set_modified(long_ago).unwrap();
        let fourth = SessionFiles::create(&base, "s_4", &key, &token).unwrap();
        assert!(!base.join("sessions/s_2").exists() && base.join("sessions/s_3").exists());
        drop((second, third, fourth));
        assert_eq!(fs::read_dir(base.join("sessions")).unwrap().count(), 0);

        fs::set_permissions(&base, fs::Permissions::from_mode(0o750)).unwrap();
        let refused = SessionFiles::create(&base, "s_5", &key, &token).unwrap_err();
        assert!(refused.to_string().contains("chmod 700"), "{refused}");
        fs::remove_dir_all(&base).unwrap();
    }
}
