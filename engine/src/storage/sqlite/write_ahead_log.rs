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
    for frame in log[HEADER..].chunks_exact(frame_bytes) {
        sum = sum.over(&frame[..8], is_big_endian).over(&frame[FRAME_HEADER..], is_big_endian);
        if !is_of(log, frame) || !sum.stands_at(frame, 16) {
            break;
        }
        end += frame_bytes;
        if ends_commit(frame) {
            whole = end;
        }
    }
    (whole, tail(log, end, frame_bytes, end > whole))
}

/// Whether the frame was written in this round of the log. Of the last frame, only the front may be there.
fn is_of(log: &[u8], frame: &[u8]) -> bool {
    frame.len() < 16 || frame[8..16] == log[SALTS]
}

/// The last frame of a commit says how many pages the database has then.
fn ends_commit(frame: &[u8]) -> bool {
    word(frame, 4) > 0
}

/// What stands behind the frames that are as they were written.
///
/// A commit is confirmed when all its frames are on the disk, and only then the next is begun. So what follows a bad frame
/// decides: if it is of the commit that was made when the process ended, that was never confirmed; a frame of a later commit
/// says that the bad one was whole once. A kill leaves a bad frame when the log has begun again at the front: SQLite writes the
/// header of a frame before its page, and until then the page of the earlier round stands there.
fn tail(log: &[u8], end: usize, frame_bytes: usize, is_begun: bool) -> Tail {
    let mut frames = log[end..].chunks(frame_bytes);
    let Some(bad) = frames.next() else { return if is_begun { Tail::Unfinished } else { Tail::Nothing } };
    // Without its salts, nothing is known about it but that it is not the last.
    let mut is_confirmed = !is_of(log, bad) || bad.len() == frame_bytes && ends_commit(bad);
    for frame in frames {
        if is_confirmed && frame.len() >= 16 && is_of(log, frame) {
            return Tail::Damaged;
        }
        is_confirmed |= frame.len() >= 16 && is_of(log, frame) && ends_commit(frame);
    }
    if is_begun || is_of(log, bad) { Tail::Unfinished } else { Tail::Nothing }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use rusqlite::Connection;

    use super::*;

    /// A log with some commits, and what it was before each of them.
    fn log_and_before(rounds: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let file = std::env::temp_dir().join(format!("grove-wal-{}-{number}", std::process::id()));
        let wal = file.with_file_name(format!("{}-wal", file.file_name().unwrap().display()));
        let connection = Connection::open(&file).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        connection.execute_batch("CREATE TABLE t (x)").unwrap();
        let mut before = Vec::new();
        for round in 0..rounds {
            if round > 0 {
                connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
            }
            for _ in 0..5 - round {
                before.push(std::fs::read(&wal).unwrap());
                connection.execute("INSERT INTO t VALUES (randomblob(5000))", []).unwrap();
            }
        }
        let bytes = std::fs::read(wal).unwrap();
        drop(connection);
        std::fs::remove_file(file).unwrap();
        (bytes, before)
    }

    /// A log with some commits.
    fn log() -> Vec<u8> {
        log_and_before(1).0
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
    fn a_commit_that_was_being_made_over_an_earlier_round_is_unfinished_wherever_it_stopped() {
        let (after, before) = log_and_before(2);
        let before = before.last().unwrap();
        assert_eq!(before.len(), after.len(), "the log has begun again at the front");
        let (whole, tail) = look_at(before);
        assert_eq!(tail, Tail::Nothing);
        let (end, _) = look_at(&after);
        assert!(end > whole && end < after.len(), "{whole} {end}");
        // Each header and each page is written on its own, in this order.
        let frame_bytes = frame_bytes(&after).unwrap();
        for frame in (whole..end).step_by(frame_bytes) {
            for written in [frame, frame + FRAME_HEADER, frame + FRAME_HEADER + 512, frame + frame_bytes] {
                let log = [&after[..written], &before[written..]].concat();
                let expected = match written {
                    written if written == whole => (whole, Tail::Nothing),
                    written if written == end => (end, Tail::Nothing),
                    _ => (whole, Tail::Unfinished),
                };
                assert_eq!(look_at(&log), expected, "{written} of {end}");
            }
        }
    }

    #[test]
    fn a_byte_of_a_confirmed_commit_that_is_not_what_it_was_is_damage() {
        for rounds in [1, 2] {
            let (log, _) = log_and_before(rounds);
            let frame_bytes = frame_bytes(&log).unwrap();
            let (end, _) = look_at(&log);
            let commits: Vec<usize> = (HEADER..end)
                .step_by(frame_bytes)
                .filter(|at| ends_commit(&log[*at..]))
                .map(|at| at + frame_bytes)
                .collect();
            let last = commits[commits.len() - 2];
            for at in (0..last).step_by(401).chain((HEADER..last).step_by(frame_bytes).map(|frame| frame + 9)) {
                let mut damaged = log.clone();
                damaged[at] ^= 1;
                let (whole, tail) = look_at(&damaged);
                assert_eq!((whole <= at, tail), (true, Tail::Damaged), "{at} of {last}: {whole}");
            }
        }
    }

    #[test]
    fn a_byte_of_the_last_commit_that_is_not_what_it_was_ends_the_log() {
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
