//! The form of SQLite's write-ahead log (sqlite.org/fileformat2.html#walformat): where its last whole commit ends.

/// How long the header is.
const HEADER: usize = 32;

/// How long the header of a frame is; a page follows it.
const FRAME_HEADER: usize = 24;

/// The two words that each frame repeats from the header. SQLite begins again at the front with others.
const SALTS: std::ops::Range<usize> = 16..24;

fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    word.map_or(0, u32::from_be_bytes)
}

/// The running sum over pairs of words, in the byte order that the first word of the log names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sum(u32, u32);

impl Sum {
    fn over(self, bytes: &[u8], is_big_endian: bool) -> Self {
        let word = |word: &[u8]| {
            let word = word.try_into().unwrap_or_default();
            if is_big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
        };
        bytes.chunks_exact(8).fold(self, |Self(first, second), pair| {
            let first = first.wrapping_add(word(&pair[..4])).wrapping_add(second);
            Self(first, second.wrapping_add(word(&pair[4..])).wrapping_add(first))
        })
    }

    fn stands_at(self, bytes: &[u8], at: usize) -> bool {
        (word(bytes, at), word(bytes, at + 4)) == (self.0, self.1)
    }
}

/// How long the frames of a log are; `None` if it is none.
fn frame_bytes(log: &[u8]) -> Option<usize> {
    let is_log = log.len() >= HEADER && word(log, 0) & !1 == 0x377f_0682;
    let page = usize::try_from(word(log, 8)).ok().filter(|page| page.is_power_of_two() && *page >= 512);
    page.filter(|_| is_log).map(|page| page + FRAME_HEADER)
}

/// What stands behind the last whole commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nothing, or what an earlier round of the log has left.
    Nothing,
    /// A commit that was not made to its end, and so was never confirmed.
    Unfinished,
    /// Something that is not what was written. Commits that were confirmed may have stood there.
    Damaged,
}

/// Where the last whole commit ends, in bytes, and what stands behind it.
pub(super) fn look_at(log: &[u8]) -> (usize, Tail) {
    let Some(frame_bytes) = frame_bytes(log) else {
        return (0, if log.len() < HEADER { Tail::Unfinished } else { Tail::Damaged });
    };
    let is_big_endian = word(log, 0) & 1 == 1;
    let mut sum = Sum(0, 0).over(&log[..24], is_big_endian);
    if !sum.stands_at(log, 24) {
        return (0, Tail::Damaged);
    }
    let (mut whole, mut end) = (HEADER, HEADER);
    for frame in log[HEADER..].chunks_exact(frame_bytes).take_while(|frame| frame[8..16] == log[SALTS]) {
        sum = sum.over(&frame[..8], is_big_endian).over(&frame[FRAME_HEADER..], is_big_endian);
        if !sum.stands_at(frame, 16) {
            return (whole, Tail::Damaged);
        }
        end += frame_bytes;
        // The last frame of a commit says how many pages the database has then.
        if word(frame, 4) > 0 {
            whole = end;
        }
    }
    let rest = &log[end..];
    let is_cut = !rest.is_empty() && rest.len() < frame_bytes && (rest.len() < 16 || rest[8..16] == log[SALTS]);
    (whole, if end > whole || is_cut { Tail::Unfinished } else { Tail::Nothing })
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    /// A log with some commits.
    fn log() -> Vec<u8> {
        let file = std::env::temp_dir().join(format!("grove-wal-{}", std::process::id()));
        let connection = Connection::open(&file).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        connection.execute_batch("CREATE TABLE t (x)").unwrap();
        for _ in 0..5 {
            connection.execute("INSERT INTO t VALUES (randomblob(5000))", []).unwrap();
        }
        let wal = file.with_file_name(format!("{}-wal", file.file_name().unwrap().display()));
        let bytes = std::fs::read(wal).unwrap();
        drop(connection);
        std::fs::remove_file(file).unwrap();
        bytes
    }

    #[test]
    fn the_last_whole_commit_is_found_wherever_the_log_ends() {
        let log = log();
        assert_eq!(look_at(&log), (log.len(), Tail::Nothing));
        let mut ends = vec![0];
        for end in (0..log.len()).step_by(57) {
            let (whole, tail) = look_at(&log[..end]);
            assert_eq!(tail, if end == whole && end > 0 { Tail::Nothing } else { Tail::Unfinished }, "{end}");
            assert!(whole >= *ends.last().unwrap(), "{end}: a longer log has no fewer commits");
            ends.push(whole);
        }
        ends.dedup();
        assert_eq!(ends.len(), 7, "nothing, the header, and all but the last of six commits: {ends:?}");
    }

    #[test]
    fn a_byte_that_is_not_what_it_was_ends_the_log() {
        let log = log();
        for at in (0..log.len()).step_by(401) {
            let mut damaged = log.clone();
            damaged[at] ^= 1;
            let (whole, tail) = look_at(&damaged);
            assert!(whole <= at, "{at}: {whole}");
            assert_ne!(tail, Tail::Nothing, "{at}");
        }
    }
}
