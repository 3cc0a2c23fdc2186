//! Those on whose behalf peers act, in memory and in the embedded database.
#![cfg(feature = "storage")]

use std::fs;
use std::path::PathBuf;

use grove_attest::{
    LeftPeer, Member, Members, MembersError, MemoryMembers, PublicKey, SecretKey, Standing, StoredMembers,
};
use proptest::prelude::*;
use serde_json::json;

const DAY_MS: u64 = 24 * 3_600_000;

/// A directory that is removed in the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("grove-members-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        Self(directory)
    }

    fn open(&self) -> StoredMembers {
        StoredMembers::open(&self.0).unwrap()
    }

    /// What a process leaves behind that is killed: nothing is closed.
    fn copied(&self, name: &str) -> Self {
        let copy = Self::new(name);
        fs::create_dir_all(&copy.0).unwrap();
        for file in ["members.db", "members.db-wal"] {
            if self.0.join(file).exists() {
                fs::copy(self.0.join(file), copy.0.join(file)).unwrap();
            }
        }
        copy
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn key(number: u8) -> PublicKey {
    SecretKey::from_seed(&[number; 32]).public_key()
}

fn left(number: u64, left_at_ms: u64) -> LeftPeer {
    let peer = json!({
        "participant": format!("p_{number}"), "member": "ann", "is_session": true, "card": {"name": "worker"},
        "connected_at": "2026-04-06T14:00:10Z", "left_at_ms": left_at_ms,
    });
    serde_json::from_value(peer).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn members_in_the_database_are_those_in_memory_also_after_every_restart(
        steps in proptest::collection::vec((0_u8..5, 0_u8..3, 0_u8..5), 1..60)
    ) {
        let directory = Directory::new("model");
        let (memory, mut stored) = (MemoryMembers::new(), directory.open());
        for (step, who, which) in steps {
            let (project, id) = (["acme", "other"][usize::from(which % 2)], format!("m{who}"));
            match step {
                0 | 1 => {
                    let member = Member::new(id, key(which)).rights([format!("r{which}"), "read".to_owned()]);
                    prop_assert_eq!(stored.add(project, member.clone()), memory.add(project, member));
                }
                2 => prop_assert_eq!(stored.remove(project, &id), memory.remove(project, &id)),
                3 => {
                    stored.revoke_session(project, &key(which)).unwrap();
                    memory.revoke_session(project, &key(which)).unwrap();
                }
                _ => {
                    drop(stored);
                    stored = directory.open();
                }
            }
            for project in ["acme", "other", "nowhere"] {
                prop_assert_eq!(stored.list(project), memory.list(project));
                for which in 0..5 {
                    prop_assert_eq!(stored.find(project, &key(which)), memory.find(project, &key(which)));
                    let revoked = |members: &dyn Members| members.is_session_revoked(project, &key(which));
                    prop_assert_eq!(revoked(&stored), revoked(&memory));
                }
            }
        }
    }
}

#[test]
fn what_was_removed_or_revoked_stays_so_when_the_process_is_killed() {
    let directory = Directory::new("killed");
    let members = directory.open();
    for (number, id) in [(1, "ann"), (2, "bob")] {
        members.add("acme", Member::new(id, key(number)).right("read")).unwrap();
    }
    members.remove("acme", "ann").unwrap();
    members.revoke_session("acme", &key(7)).unwrap();
    members.keep_left("acme", &left(1, 0)).unwrap();
    let copy = directory.copied("killed-copy");
    let again = copy.open();
    assert_eq!(again.find("acme", &key(1)), Ok(Standing::Removed));
    assert_eq!(again.find("acme", &key(2)), Ok(Standing::Member(Member::new("bob", key(2)).right("read"))));
    assert_eq!(again.is_session_revoked("acme", &key(7)), Ok(true));
    assert_eq!(again.is_session_revoked("other", &key(7)), Ok(false), "it is another one there");
    assert_eq!(again.left("acme", 1, 9).unwrap().len(), 1);
}

#[cfg(unix)]
#[test]
fn what_is_kept_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = Directory::new("mode");
    let members = directory.open();
    members.add("acme", Member::new("ann", key(1))).unwrap();
    let mode = |name: &str| fs::metadata(directory.0.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(["", "members.db", "members.db-wal", "members.db-shm"].map(mode), [0o700, 0o600, 0o600, 0o600]);
}

#[test]
fn whatever_is_missing_at_the_end_of_the_log_there_is_no_half_change() {
    let directory = Directory::new("torn");
    let members = directory.open();
    for number in 1..=6 {
        // The member gets another key each time, and the one before is removed.
        members.add("acme", Member::new("ann", key(number))).unwrap();
    }
    let whole = fs::read(directory.0.join("members.db-wal")).unwrap();
    for end in (0..whole.len()).step_by((whole.len() / 30).max(1)) {
        let copy = directory.copied("torn-copy");
        fs::write(copy.0.join("members.db-wal"), &whole[..end]).unwrap();
        let again = copy.open();
        let listed = again.list("acme").unwrap();
        let [member] = &listed[..] else { panic!("{end}: {listed:?}") };
        for number in 1..=6 {
            let expected = match again.find("acme", &key(number)).unwrap() {
                Standing::Member(found) => found.public_key == member.public_key,
                standing => (standing == Standing::Removed) != (member.public_key == key(number)) && number < 6,
            };
            assert!(expected, "{end}: {number}");
        }
    }
}

#[test]
fn a_damaged_file_is_an_error_that_names_it_and_stays_as_it_is() {
    let directory = Directory::new("damaged");
    let members = directory.open();
    (0..200).for_each(|number| members.keep_left("acme", &left(number, 0)).unwrap());
    members.add("acme", Member::new("ann", key(1))).unwrap();
    drop(members);
    let path = directory.0.join("members.db");
    let whole = fs::read(&path).unwrap();
    let mut broken = whole.clone();
    broken[4_096..].fill(0xab);
    for content in [b"this is no database, but a text of some length".to_vec(), broken] {
        fs::write(&path, &content).unwrap();
        let Err(MembersError::Damaged(why)) = StoredMembers::open(&directory.0) else { panic!("it was opened") };
        assert!(why.contains("members.db"), "{why}");
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    fs::write(&path, whole).unwrap();
    assert_eq!(directory.open().list("acme").unwrap().len(), 1, "a copy that was restored is as good");
    let nowhere = StoredMembers::open("/proc/nowhere/members");
    assert!(matches!(nowhere, Err(MembersError::Unavailable(why)) if why.contains("/proc/nowhere")));
}

#[test]
fn who_has_left_is_kept_for_thirty_days_and_ten_thousand_of_a_project() {
    let directory = Directory::new("left");
    let members = directory.open();
    members.keep_left("other", &left(0, 0)).unwrap();
    for number in 0..10_005 {
        members.keep_left("acme", &left(number, number)).unwrap();
    }
    let kept = members.left("acme", 10_005, usize::MAX).unwrap();
    assert_eq!((kept.len(), kept[0].participant.as_str()), (10_000, "p_10004"), "the latest first");
    assert_eq!(kept[9_999].participant, "p_5");
    assert_eq!(members.left("acme", 10_005, 3).unwrap().len(), 3);
    assert_eq!(members.left("other", 30 * DAY_MS - 1, 9).unwrap().len(), 1, "another project is not affected");
    assert_eq!(members.left("other", 30 * DAY_MS, 9).unwrap().len(), 0);
    members.keep_left("acme", &left(7, 30 * DAY_MS + 10_000)).unwrap();
    drop(members);
    let again = directory.open();
    let kept: Vec<_> = again.left("acme", 0, usize::MAX).unwrap().iter().map(|peer| peer.left_at_ms).collect();
    assert_eq!(kept, [30 * DAY_MS + 10_000, 10_004, 10_003, 10_002, 10_001], "the others are pruned");
}
