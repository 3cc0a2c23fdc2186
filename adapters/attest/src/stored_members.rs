//! Members that are kept in an embedded database.

mod schema;

use std::fmt;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use crate::left_peer::{KEPT_MS, LeftPeer, MOST as MOST_LEFT};
use crate::member::{Member, Members, MembersError, Standing};
use crate::public_key::PublicKey;
use schema::Purpose;

/// How many members, removed keys and revoked session keys are known at most, each.
const MOST: i64 = 1_000_000;

/// Members in SQLite, in the file `members.db` of a directory: who they are, which keys were removed, which session keys are
/// revoked, and who has left. A change of members and a revocation are on the disk when they return, so a key that was
/// refused once is refused after a restart; who has left may be missing after a crash of the machine.
///
/// Several processes of one machine may use one directory; each sees what another one has written.
pub struct StoredMembers {
    file: PathBuf,
    reading: Mutex<Connection>,
    writing: Mutex<Connection>,
    /// For what need not be on the disk at once.
    noting: Mutex<Connection>,
}

impl StoredMembers {
    /// Opens what is kept in a directory, which is made if there is none. What is made is for its owner alone.
    ///
    /// # Errors
    /// If the directory or the file cannot be used, or the file is damaged: it is left as it is, since revocations may stand
    /// in what cannot be read.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, MembersError> {
        let directory = directory.as_ref();
        let unusable = |why: std::io::Error| MembersError::Unavailable(format!("{}: {why}", directory.display()));
        let file = directory.join("members.db");
        make_private(directory, &file).map_err(unusable)?;
        let open = |purpose| schema::open(&file, purpose).map_err(|why| schema::error(&file, &why));
        // The one that makes the tables is the first.
        let writing = open(Purpose::Durable)?;
        let (noting, reading) = (open(Purpose::Noting)?, open(Purpose::Reading)?);
        let [reading, writing, noting] = [reading, writing, noting].map(Mutex::new);
        Ok(Self { file, reading, writing, noting })
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, MembersError> {
        read(&self.reading.lock()).map_err(|why| schema::error(&self.file, &why))
    }

    /// Does something as a whole, and returns when it is on the disk.
    fn write<T>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Result<T, MembersError>>,
    ) -> Result<T, MembersError> {
        let mut writing = self.writing.lock();
        let written = schema::in_transaction(&mut writing, write);
        schema::empty_log(&writing);
        drop(writing);
        written.map_err(|why| schema::error(&self.file, &why))?
    }
}

/// Makes the directory and the file, if there is none, for their owner alone: who has left where, and on whose behalf, is
/// nobody else's business. The database gives its log the mode of its file.
fn make_private(directory: &Path, file: &Path) -> io::Result<()> {
    let (mut making, mut opening) = (DirBuilder::new(), OpenOptions::new());
    // A file that is there is not opened: closing it would end the locks of others in this process.
    making.recursive(true);
    opening.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        making.mode(0o700);
        opening.mode(0o600);
    }
    making.create(directory)?;
    match opening.open(file) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn member(row: &Row<'_>) -> rusqlite::Result<Member> {
    let (id, key, rights): (String, [u8; 32], String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let rights: Vec<String> = serde_json::from_str(&rights).map_err(schema::foreign)?;
    Ok(Member::new(id, PublicKey::from_bytes(key)).rights(rights))
}

/// A key is not a member's any more. The oldest of them are forgotten, and are unknown then.
fn remove_key(transaction: &Transaction<'_>, project: &str, key: &[u8; 32]) -> rusqlite::Result<()> {
    transaction.execute("INSERT OR REPLACE INTO removed (project, key) VALUES (?1, ?2)", params![project, key])?;
    let oldest = transaction.last_insert_rowid() - MOST;
    transaction.execute("DELETE FROM removed WHERE number <= ?1", [oldest])?;
    Ok(())
}

/// The key of a member, and whether another one has a key.
fn key_of(transaction: &Transaction<'_>, project: &str, id: &str) -> rusqlite::Result<Option<[u8; 32]>> {
    let mut of = transaction.prepare_cached("SELECT key FROM members WHERE project = ?1 AND id = ?2")?;
    of.query_row(params![project, id], |row| row.get(0)).optional()
}

fn count(transaction: &Transaction<'_>, table: &str) -> rusqlite::Result<i64> {
    transaction.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
}

impl Members for StoredMembers {
    fn add(&self, project: &str, member: Member) -> Result<(), MembersError> {
        member.validate()?;
        let key = *member.public_key.as_bytes();
        let rights = serde_json::to_string(&member.rights).expect("names serialise");
        self.write(|transaction| {
            let owner = "SELECT 1 FROM members WHERE project = ?1 AND key = ?2 AND id <> ?3";
            let is_taken = transaction.prepare_cached(owner)?.exists(params![project, key, member.id])?;
            if is_taken {
                return Ok(Err(MembersError::KeyTaken));
            }
            match key_of(transaction, project, &member.id)? {
                None if count(transaction, "members")? >= MOST => return Ok(Err(MembersError::Full)),
                Some(before) if before != key => remove_key(transaction, project, &before)?,
                _ => {}
            }
            let values = params![project, member.id, key, rights];
            transaction.execute("INSERT OR REPLACE INTO members VALUES (?1, ?2, ?3, ?4)", values)?;
            transaction.execute("DELETE FROM removed WHERE project = ?1 AND key = ?2", params![project, key])?;
            Ok(Ok(()))
        })
    }

    fn remove(&self, project: &str, id: &str) -> Result<Option<PublicKey>, MembersError> {
        self.write(|transaction| {
            let Some(key) = key_of(transaction, project, id)? else { return Ok(Ok(None)) };
            transaction.execute("DELETE FROM members WHERE project = ?1 AND id = ?2", params![project, id])?;
            remove_key(transaction, project, &key)?;
            Ok(Ok(Some(PublicKey::from_bytes(key))))
        })
    }

    fn list(&self, project: &str) -> Result<Vec<Member>, MembersError> {
        self.read(|connection| {
            let all = "SELECT id, key, rights FROM members WHERE project = ?1 ORDER BY id";
            connection.prepare_cached(all)?.query_map([project], member)?.collect()
        })
    }

    fn find(&self, project: &str, key: &PublicKey) -> Result<Standing, MembersError> {
        self.read(|connection| {
            let of_key = params![project, key.as_bytes()];
            let known = "SELECT id, key, rights FROM members WHERE project = ?1 AND key = ?2";
            let known = connection.prepare_cached(known)?.query_row(of_key, member).optional()?;
            // Looked up in any case.
            let removed = "SELECT 1 FROM removed WHERE project = ?1 AND key = ?2";
            let is_removed = connection.prepare_cached(removed)?.exists(of_key)?;
            let other = if is_removed { Standing::Removed } else { Standing::Unknown };
            Ok(known.map_or(other, Standing::Member))
        })
    }

    fn revoke_session(&self, project: &str, key: &PublicKey) -> Result<(), MembersError> {
        self.write(|transaction| {
            let values = params![project, key.as_bytes()];
            transaction.execute("INSERT OR IGNORE INTO revoked (project, key) VALUES (?1, ?2)", values)?;
            let surplus = "DELETE FROM revoked WHERE number <= (SELECT max(number) FROM revoked) - ?1";
            transaction.execute(surplus, [MOST])?;
            Ok(Ok(()))
        })
    }

    fn is_session_revoked(&self, project: &str, key: &PublicKey) -> Result<bool, MembersError> {
        self.read(|connection| {
            let revoked = "SELECT 1 FROM revoked WHERE project = ?1 AND key = ?2";
            connection.prepare_cached(revoked)?.exists(params![project, key.as_bytes()])
        })
    }

    fn keep_left(&self, project: &str, peer: &LeftPeer) -> Result<(), MembersError> {
        let text = serde_json::to_string(peer).expect("a row serialises");
        let kept = schema::in_transaction(&mut self.noting.lock(), |transaction| {
            let last = "SELECT coalesce(max(number), 0) FROM gone WHERE project = ?1";
            let last: i64 = transaction.prepare_cached(last)?.query_row([project], |row| row.get(0))?;
            let at = schema::number(peer.left_at_ms);
            let insert = "INSERT INTO gone VALUES (?1, ?2, ?3, ?4)";
            transaction.prepare_cached(insert)?.execute(params![project, last + 1, at, text])?;
            let surplus = "DELETE FROM gone WHERE project = ?1 AND number <= ?2";
            let oldest = last + 1 - schema::number(MOST_LEFT);
            transaction.prepare_cached(surplus)?.execute(params![project, oldest])?;
            let old = schema::number(peer.left_at_ms) - schema::number(KEPT_MS);
            transaction.prepare_cached("DELETE FROM gone WHERE at <= ?1")?.execute([old])
        });
        kept.map(|_| ()).map_err(|why| schema::error(&self.file, &why))
    }

    fn left(&self, project: &str, now_ms: u64, most: usize) -> Result<Vec<LeftPeer>, MembersError> {
        self.read(|connection| {
            let kept = "SELECT row FROM gone WHERE project = ?1 AND at > ?2 ORDER BY number DESC LIMIT ?3";
            let since = schema::number(now_ms) - schema::number(KEPT_MS);
            let mut kept = connection.prepare_cached(kept)?;
            let rows = kept.query_map(params![project, since, i64::try_from(most).unwrap_or(i64::MAX)], |row| {
                serde_json::from_str(row.get_ref(0)?.as_str()?).map_err(schema::foreign)
            });
            rows?.collect()
        })
    }
}

impl fmt::Debug for StoredMembers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredMembers").field("file", &self.file).finish_non_exhaustive()
    }
}
