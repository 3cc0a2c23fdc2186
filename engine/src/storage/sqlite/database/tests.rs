//! What is kept in a database, and what is done about damage.

use std::path::PathBuf;

use super::*;

/// A directory that is removed in the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("grove-{name}-{}", std::process::id())))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_directory_is_for_one_engine() {
    let directory = Directory::new("lock");
    let open = || Database::open(&directory.0);
    let first = open().unwrap();
    assert!(matches!(open(), Err(StorageError::Unavailable(_))));
    drop(first);
    assert!(open().is_ok());
}

fn events(database: &Database) -> Vec<u64> {
    let whole = PageSize { events: usize::MAX, bytes: usize::MAX };
    EventLog::read(database, "m", 0, whole).unwrap().iter().map(|event| event.seq).collect()
}

fn append(seq: u64) -> Write {
    let event = LoggedEvent { seq, at_ms: seq, text: "x".repeat(3_000).into() };
    Write::Append { room: "m".into(), event }
}

/// What a directory has when the process is killed: the database is never closed.
fn killed(name: &str, commits: u64) -> Directory {
    let directory = Directory::new(name);
    let (database, _) = Database::open(&directory.0).unwrap();
    (1..=commits).for_each(|seq| database.commit(&[append(seq)]).unwrap());
    let copy = Directory::new(&format!("{name}-copy"));
    std::fs::create_dir_all(&copy.0).unwrap();
    for file in ["rooms.db", "rooms.db-wal"] {
        std::fs::copy(directory.0.join(file), copy.0.join(file)).unwrap();
    }
    copy
}

#[test]
fn whatever_is_missing_at_the_end_the_commits_before_it_are_there() {
    let whole = killed("cut", 12);
    let log = std::fs::read(whole.0.join("rooms.db-wal")).unwrap();
    let (database, repairs) = Database::open(&whole.0).unwrap();
    assert_eq!((events(&database), repairs.len()), ((1..=12).collect(), 0));
    let mut known = 0;
    for end in (0..log.len()).step_by(log.len() / 40) {
        let cut = killed("cut-here", 12);
        std::fs::write(cut.0.join("rooms.db-wal"), &log[..end]).unwrap();
        let (database, _) = Database::open(&cut.0).unwrap();
        let events = events(&database);
        assert!(events.iter().copied().eq(1..=events.len() as u64) && events.len() >= known, "{end}: {events:?}");
        known = events.len();
        database.commit(&[append(known as u64 + 1)]).unwrap();
    }
    assert!(known >= 10, "{known}");
}

#[test]
fn a_tail_that_is_not_what_was_written_is_cut_off_and_told() {
    let damaged = killed("damaged", 12);
    let path = damaged.0.join("rooms.db-wal");
    let mut log = std::fs::read(&path).unwrap();
    let middle = log.len() / 2;
    log[middle] ^= 0xff;
    std::fs::write(&path, log).unwrap();
    let (database, repairs) = Database::open(&damaged.0).unwrap();
    assert!(repairs.len() == 1 && repairs[0].is_history_lost, "{repairs:?}");
    let events = events(&database);
    assert!((1..12).contains(&events.len()) && events.iter().copied().eq(1..=events.len() as u64), "{events:?}");
}

#[test]
fn that_history_was_lost_is_told_until_every_room_knows_it() {
    let damaged = killed("untold", 12);
    let path = damaged.0.join("rooms.db-wal");
    let mut log = std::fs::read(&path).unwrap();
    let middle = log.len() / 2;
    log[middle] ^= 0xff;
    std::fs::write(&path, log).unwrap();
    for last in [Write::Remove { room: "expired".into() }, Write::LossTold] {
        let (database, repairs) = Database::open(&damaged.0).unwrap();
        assert!(repairs.iter().any(|repair| repair.is_history_lost), "{repairs:?}");
        database.commit(&[last]).unwrap();
    }
    let (_database, repairs) = Database::open(&damaged.0).unwrap();
    assert!(repairs.is_empty(), "{repairs:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_put_aside_and_what_can_be_read_is_taken_over() {
    let directory = Directory::new("page");
    let (database, _) = Database::open(&directory.0).unwrap();
    (1..=200).for_each(|seq| database.commit(&[append(seq)]).unwrap());
    drop(database);
    let path = directory.0.join("rooms.db");
    let mut file = std::fs::read(&path).unwrap();
    let middle = file.len() / 2;
    file[middle..].fill(0xab);
    std::fs::write(&path, file).unwrap();
    let (database, repairs) = Database::open(&directory.0).unwrap();
    assert!(repairs.len() == 1 && repairs[0].is_history_lost, "{repairs:?}");
    let read = events(&database);
    assert!(read.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{read:?}");
    drop(database);
    std::fs::write(&path, b"this is no database").unwrap();
    let (database, repairs) = Database::open(&directory.0).unwrap();
    assert_eq!((repairs.len(), events(&database).len()), (1, 0));
    assert!(directory.0.join("rooms.db.damaged-2").exists());
}

fn copy_of(directory: &Path, name: &str) -> Directory {
    let copy = Directory::new(name);
    std::fs::create_dir_all(&copy.0).unwrap();
    for file in std::fs::read_dir(directory).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.0.join(file.file_name())).unwrap();
    }
    copy
}

/// Opens a damaged directory again and again, each time killed one step later, and then opens it for good.
fn kill_at_each_step(damaged: &Path) -> usize {
    let name = damaged.file_name().unwrap().display();
    let whole = copy_of(damaged, &format!("{name}-whole"));
    let expected = events(&Database::open(&whole.0).unwrap().0);
    assert!(!expected.is_empty());
    for steps in 0.. {
        let killed = copy_of(damaged, &format!("{name}-{steps}"));
        let mut left = steps;
        let stopped = Database::open_in_steps(&killed.0, &mut || {
            left -= 1;
            if left < 0 { Err(StorageError::Unavailable("killed".to_owned())) } else { Ok(()) }
        });
        if stopped.is_ok() {
            return usize::try_from(steps).unwrap();
        }
        for _ in 0..2 {
            let (database, repairs) = Database::open(&killed.0).unwrap();
            assert_eq!(events(&database), expected, "killed after {steps} steps");
            assert!(repairs.iter().any(|repair| repair.is_history_lost), "{steps}: {repairs:?}");
        }
        let (database, _) = Database::open(&killed.0).unwrap();
        database.commit(&[append(1_000), Write::LossTold]).unwrap();
        drop(database);
        let (_, repairs) = Database::open(&killed.0).unwrap();
        assert!(repairs.is_empty(), "{steps}: all know it: {repairs:?}");
        assert!(!killed.0.join("rooms.db.new").exists());
    }
    unreachable!("a repair ends")
}

/// The numbers of the pages with which the table of archives and its indexes begin.
fn roots_of_archives(file: &Path) -> Vec<usize> {
    let connection = Connection::open(file).unwrap();
    let roots = "SELECT rootpage FROM sqlite_schema WHERE tbl_name = 'archives'";
    connection
        .prepare(roots)
        .unwrap()
        .query_map([], |row| row.get::<_, u32>(0))
        .unwrap()
        .map(|root| root.unwrap() as usize)
        .collect()
}

#[test]
fn a_repair_that_is_killed_at_any_step_loses_nothing_more_and_is_told_until_all_know() {
    let directory = Directory::new("steps");
    let (database, _) = Database::open(&directory.0).unwrap();
    (1..=200).for_each(|seq| database.commit(&[append(seq)]).unwrap());
    drop(database);
    let (database, _) = Database::open(&directory.0).unwrap();
    (201..=210).for_each(|seq| database.commit(&[append(seq)]).unwrap());
    let killed = copy_of(&directory.0, "steps-killed");
    let roots = roots_of_archives(&directory.0.join("rooms.db"));
    drop(database);
    // Once with a log beside the damaged file, and once without.
    for directory in [&killed.0, &directory.0] {
        let path = directory.join("rooms.db");
        let mut file = std::fs::read(&path).unwrap();
        roots.iter().for_each(|root| file[(root - 1) * 4_096..root * 4_096].fill(0xab));
        std::fs::write(&path, file).unwrap();
    }
    assert!(kill_at_each_step(&killed.0) >= 5 && kill_at_each_step(&directory.0) >= 5);
    let cut = killed_with_damage("steps-cut");
    assert!(kill_at_each_step(&cut.0) >= 3);
}

/// A directory whose log is damaged in the middle.
fn killed_with_damage(name: &str) -> Directory {
    let damaged = killed(name, 12);
    let path = damaged.0.join("rooms.db-wal");
    let mut log = std::fs::read(&path).unwrap();
    let middle = log.len() / 2;
    log[middle] ^= 0xff;
    std::fs::write(&path, log).unwrap();
    damaged
}

/// What the first version has written: a room with parts and a log, and an archive.
fn first_version(name: &str) -> Directory {
    let directory = Directory::new(name);
    std::fs::create_dir_all(&directory.0).unwrap();
    let connection = Connection::open(directory.0.join("rooms.db")).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE rooms (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, place INTEGER) STRICT;
             CREATE TABLE parts (
                 room INTEGER NOT NULL, kind INTEGER NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
                 PRIMARY KEY (room, kind, key)
             ) STRICT, WITHOUT ROWID;
             CREATE TABLE events (
                 room INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, text TEXT NOT NULL,
                 PRIMARY KEY (room, seq)
             ) STRICT, WITHOUT ROWID;
             CREATE TABLE archives (
                 id TEXT PRIMARY KEY, room INTEGER NOT NULL, at INTEGER NOT NULL, about TEXT NOT NULL
             ) STRICT, WITHOUT ROWID;
             CREATE INDEX rooms_by_place ON rooms (place);
             CREATE INDEX archives_by_end ON archives (at);
             PRAGMA user_version = 1;
             INSERT INTO rooms VALUES (1, NULL, NULL), (2, 'm', 1), (3, 'n', 2);
             INSERT INTO parts VALUES (2, 0, '', '{}'), (2, 6, 'b', '2 2'), (2, 6, 'a', '1 1'), (3, 0, '', '{}');
             INSERT INTO archives VALUES ('c_1', 1, 7, 'about');
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 500)
             INSERT INTO events SELECT room, n, n, printf('%.*c', 1000, 'x') FROM n, (SELECT 1 AS room UNION SELECT 2);",
        )
        .unwrap();
    directory
}

#[test]
fn what_the_first_version_has_written_is_taken_over() {
    let directory = first_version("first");
    let (database, repairs) = Database::open(&directory.0).unwrap();
    assert!(repairs.is_empty(), "{repairs:?}");
    assert_eq!(database.rooms().unwrap(), ["m", "n"]);
    let parts = database.parts("m").unwrap();
    let keys: Vec<_> = parts.iter().map(|part| (part.kind, part.key.as_str(), &*part.value)).collect();
    let expected = [(PartKind::Record, "", "{}"), (PartKind::Memory, "a", "1 1"), (PartKind::Memory, "b", "2 2")];
    assert_eq!(keys, expected);
    assert!(events(&database).into_iter().eq(1..=500));
    assert_eq!(database.about_archive("c_1").unwrap().as_deref(), Some("about"));
    let page = PageSize { events: 2, bytes: usize::MAX };
    let archived = database.read_archive("c_1", 498, page).unwrap();
    assert_eq!(archived.iter().map(|event| (event.seq, event.at_ms)).collect::<Vec<_>>(), [(499, 499), (500, 500)]);
    database.commit(&[append(501)]).unwrap();
    drop(database);
    let (database, _) = Database::open(&directory.0).unwrap();
    assert!(events(&database).into_iter().eq(1..=501));
}

#[test]
fn what_can_be_read_of_a_damaged_file_of_the_first_version_is_taken_over() {
    let directory = first_version("first-damaged");
    let path = directory.0.join("rooms.db");
    let mut file = std::fs::read(&path).unwrap();
    let late = file.len() * 3 / 4;
    file[late..late + 40_960].fill(0xab);
    std::fs::write(&path, file).unwrap();
    let (database, repairs) = Database::open(&directory.0).unwrap();
    assert!(repairs.len() == 1 && repairs[0].is_history_lost, "{repairs:?}");
    assert_eq!(database.rooms().unwrap(), ["m", "n"]);
    let read = events(&database);
    assert!(read.len() > 100 && read.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{read:?}");
}

#[test]
fn a_newer_version_is_refused_with_what_to_do() {
    let directory = Directory::new("newer");
    drop(Database::open(&directory.0).unwrap());
    let connection = Connection::open(directory.0.join("rooms.db")).unwrap();
    connection.pragma_update(None, "user_version", 1_000).unwrap();
    drop(connection);
    let refused = Database::open(&directory.0).map(drop).unwrap_err().to_string();
    assert!(refused.contains("a newer version of Grove has written it: use that one"), "{refused}");
}

#[test]
fn a_room_of_which_a_part_is_damaged_is_shown_with_the_others_and_the_rest_of_it() {
    let directory = Directory::new("damaged-part");
    let (database, _) = Database::open(&directory.0).unwrap();
    let put = |room: &str, kind: PartKind, value: &str| {
        let part = Part { kind, key: Text::default(), value: value.into() };
        database.commit(&[Write::Put { room: room.into(), part }]).unwrap();
    };
    for room in ["a", "b", "c"] {
        put(room, PartKind::Run, if room == "b" { "x" } else { "1" }.repeat(15_000).as_str());
        put(room, PartKind::Activity, "2");
        put(room, PartKind::Record, "3");
    }
    let shown = |database: &Database| {
        let mut shown = Vec::new();
        let kinds = [PartKind::Record, PartKind::Activity, PartKind::Run];
        database
            .each_room(&kinds, &mut |id, parts, unread| {
                shown.push((id, parts.iter().map(|part| part.kind).collect::<Vec<_>>(), unread.to_vec()));
            })
            .unwrap();
        shown
    };
    let whole = shown(&database);
    let all = vec![PartKind::Record, PartKind::Activity, PartKind::Run];
    assert_eq!(whole, ["a", "b", "c"].map(|room| (room.into(), all.clone(), vec![])));
    drop(database);
    let path = directory.0.join("rooms.db");
    let mut file = std::fs::read(&path).unwrap();
    for page in file.chunks_exact_mut(4_096).filter(|page| page[4..].iter().all(|byte| *byte == b'x')) {
        page[..4].fill(0xff);
    }
    std::fs::write(&path, file).unwrap();
    let (database, _) = Database::open(&directory.0).unwrap();
    let mut expected = whole;
    expected[1] = ("b".into(), vec![PartKind::Record, PartKind::Activity], vec![PartKind::Run]);
    assert_eq!(shown(&database), expected);
    assert!(matches!(database.parts("b"), Err(StorageError::Corrupt(_))) && database.parts("c").is_ok());
}
