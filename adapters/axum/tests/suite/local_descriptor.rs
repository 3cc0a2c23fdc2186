//! Descriptor files for consumers on the same machine (wire contract 4).

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use grove_axum::LocalDescriptor;
use grove_engine::Discovery;
use serde_json::{Value, json};

const URL: &str = "ws://127.0.0.1:3000/slop?token=s3cret";

/// A directory for one test, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("grove-axum-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn providers(&self) -> PathBuf {
        self.0.join(".slop").join("providers")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn desk() -> Discovery {
    provider("desk")
}

fn provider(id: &str) -> Discovery {
    Discovery { id: id.to_owned(), name: "Desk".to_owned(), capabilities: &["state", "patches"] }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_file_names_the_endpoint_and_only_its_user_can_read_it() {
    let scratch = Scratch::new();
    let file = LocalDescriptor::publish_in(&scratch.providers(), &desk(), URL).unwrap();
    assert_eq!(file.path(), scratch.providers().join("desk.json"));
    assert_eq!(mode(file.path()), 0o600);
    assert_eq!(mode(&scratch.providers()), 0o700);
    assert_eq!(mode(&scratch.0.join(".slop")), 0o700);
    let wanted = json!({
        "id": "desk",
        "name": "Desk",
        "slop_version": "0.1",
        "transport": {"type": "ws", "url": URL},
        "capabilities": ["state", "patches"],
        "pid": std::process::id(),
    });
    assert_eq!(read(file.path()), wanted);
    assert_eq!(names(&scratch.providers()), ["desk.json"]);
}

#[test]
fn the_file_is_removed_when_closed_and_when_dropped() {
    let scratch = Scratch::new();
    let publish = || LocalDescriptor::publish_in(&scratch.providers(), &desk(), URL).unwrap();
    publish().close().unwrap();
    assert!(names(&scratch.providers()).is_empty());
    drop(publish());
    assert!(names(&scratch.providers()).is_empty());
}

#[test]
fn closing_is_no_error_when_the_file_is_already_gone() {
    let scratch = Scratch::new();
    let file = LocalDescriptor::publish_in(&scratch.providers(), &desk(), URL).unwrap();
    fs::remove_file(file.path()).unwrap();
    file.close().unwrap();
}

#[test]
fn the_file_of_another_process_stays() {
    let scratch = Scratch::new();
    let first = LocalDescriptor::publish_in(&scratch.providers(), &desk(), URL).unwrap();
    let second = LocalDescriptor::publish_in(&scratch.providers(), &desk(), "ws://127.0.0.1:4000/slop").unwrap();
    first.close().unwrap();
    assert_eq!(read(second.path())["transport"]["url"], "ws://127.0.0.1:4000/slop");
    second.close().unwrap();
    assert!(names(&scratch.providers()).is_empty());
}

#[test]
fn files_left_by_a_killed_process_are_replaced() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.providers()).unwrap();
    fs::set_permissions(scratch.providers(), PermissionsExt::from_mode(0o700)).unwrap();
    let left = format!("desk.json.tmp.{}", std::process::id());
    fs::write(scratch.providers().join(left), "half a fi").unwrap();
    fs::write(scratch.providers().join("desk.json"), "{}").unwrap();
    let file = LocalDescriptor::publish_in(&scratch.providers(), &desk(), URL).unwrap();
    assert_eq!(read(file.path())["id"], "desk");
    assert_eq!((mode(file.path()), names(&scratch.providers()).len()), (0o600, 1));
}

#[test]
fn a_failed_publication_leaves_nothing_behind() {
    let scratch = Scratch::new();
    LocalDescriptor::publish_in(&scratch.providers(), &desk(), URL).unwrap().close().unwrap();
    fs::create_dir(scratch.providers().join("desk.json")).unwrap();
    assert!(LocalDescriptor::publish_in(&scratch.providers(), &desk(), URL).is_err());
    assert_eq!(names(&scratch.providers()), ["desk.json"]);
}

#[test]
fn a_link_in_place_of_the_file_is_replaced_and_not_followed() {
    let scratch = Scratch::new();
    LocalDescriptor::publish_in(&scratch.providers(), &desk(), URL).unwrap().close().unwrap();
    let precious = scratch.0.join("precious");
    fs::write(&precious, "precious").unwrap();
    symlink(&precious, scratch.providers().join("desk.json")).unwrap();
    symlink(&precious, scratch.providers().join(format!("desk.json.tmp.{}", std::process::id()))).unwrap();
    let file = LocalDescriptor::publish_in(&scratch.providers(), &desk(), URL).unwrap();
    assert!(fs::symlink_metadata(file.path()).unwrap().is_file());
    assert_eq!(fs::read_to_string(precious).unwrap(), "precious");
}

#[test]
fn a_directory_to_which_others_have_access_is_refused() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.providers()).unwrap();
    for open in [0o755, 0o710, 0o701, 0o770, 0o707, 0o720] {
        fs::set_permissions(scratch.providers(), PermissionsExt::from_mode(open)).unwrap();
        let error = LocalDescriptor::publish_in(&scratch.providers(), &desk(), URL).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{open:o}");
        assert!(names(&scratch.providers()).is_empty(), "{open:o}");
    }
}

#[test]
fn a_link_or_a_file_in_place_of_the_directory_is_refused() {
    let scratch = Scratch::new();
    let (real, link, file) = (scratch.0.join("real"), scratch.0.join("link"), scratch.0.join("file"));
    fs::create_dir(&real).unwrap();
    fs::set_permissions(&real, PermissionsExt::from_mode(0o700)).unwrap();
    symlink(&real, &link).unwrap();
    fs::write(&file, "").unwrap();
    assert!(LocalDescriptor::publish_in(&link, &desk(), URL).is_err());
    assert!(LocalDescriptor::publish_in(&file, &desk(), URL).is_err());
    assert!(names(&real).is_empty());
}

#[test]
fn the_directory_of_another_user_is_refused() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.providers()).unwrap();
    fs::set_permissions(scratch.providers(), PermissionsExt::from_mode(0o700)).unwrap();
    // Only root may change the owner of a directory; for other users there is nothing to test.
    if std::os::unix::fs::chown(scratch.providers(), Some(65_534), None).is_ok() {
        let error = LocalDescriptor::publish_in(&scratch.providers(), &desk(), URL).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(names(&scratch.providers()).is_empty());
    }
}

#[test]
fn a_parent_that_another_user_could_change_is_refused() {
    let scratch = Scratch::new();
    let parent = scratch.0.join("parent");
    let providers = parent.join("slop").join("providers");
    LocalDescriptor::publish_in(&providers, &desk(), URL).unwrap().close().unwrap();
    for (open, refused) in [(0o777, true), (0o775, true), (0o1777, false), (0o755, false), (0o711, false)] {
        fs::set_permissions(&parent, PermissionsExt::from_mode(open)).unwrap();
        match LocalDescriptor::publish_in(&providers, &desk(), URL) {
            Ok(file) => file.close().unwrap(),
            Err(error) => {
                assert!(refused, "{open:o}: {error}");
                assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{open:o}");
                assert!(error.to_string().contains("parent is writable for others"), "{error}");
            }
        }
        assert!(names(&providers).is_empty(), "{open:o}");
    }
    // Only root may change the owner of a directory; for other users there is nothing to test.
    if std::os::unix::fs::chown(&parent, Some(65_534), None).is_ok() {
        let error = LocalDescriptor::publish_in(&providers, &desk(), URL).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(names(&providers).is_empty());
    }
}

#[test]
fn nothing_is_created_below_a_parent_that_another_user_could_change() {
    let scratch = Scratch::new();
    fs::set_permissions(&scratch.0, PermissionsExt::from_mode(0o777)).unwrap();
    assert!(LocalDescriptor::publish_in(&scratch.providers(), &desk(), URL).is_err());
    assert!(names(&scratch.0).is_empty());
}

#[test]
fn links_among_the_parents_are_followed_if_no_other_user_could_change_them() {
    let scratch = Scratch::new();
    let (real, shared) = (scratch.0.join("real"), scratch.0.join("shared"));
    fs::create_dir(&real).unwrap();
    fs::create_dir(&shared).unwrap();
    symlink("real", scratch.0.join("relative")).unwrap();
    symlink(&real, scratch.0.join("absolute")).unwrap();
    symlink("loop", scratch.0.join("loop")).unwrap();
    symlink("../real", shared.join("link")).unwrap();
    for link in ["relative", "absolute", "shared/link", "relative/../real"] {
        let file = LocalDescriptor::publish_in(&scratch.0.join(link).join("providers"), &desk(), URL).unwrap();
        assert_eq!(names(&real.join("providers")), ["desk.json"], "{link}");
        file.close().unwrap();
    }
    assert!(LocalDescriptor::publish_in(&scratch.0.join("loop").join("providers"), &desk(), URL).is_err());
    fs::set_permissions(&shared, PermissionsExt::from_mode(0o777)).unwrap();
    let error = LocalDescriptor::publish_in(&shared.join("link").join("providers"), &desk(), URL).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

#[test]
fn an_id_that_readers_would_skip_is_refused() {
    let scratch = Scratch::new();
    let longest = "a".repeat(64);
    for good in ["desk", "0", "a.b_c-d", longest.as_str()] {
        LocalDescriptor::publish_in(&scratch.providers(), &provider(good), URL).unwrap().close().unwrap();
    }
    let too_long = "a".repeat(65);
    for bad in ["", "Desk", "-desk", ".desk", "_desk", "a b", "a/b", "../desk", "d\u{e9}sk", "a\0", too_long.as_str()] {
        let error = LocalDescriptor::publish_in(&scratch.providers(), &provider(bad), URL).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
    }
    assert!(names(&scratch.providers()).is_empty());
}

#[test]
fn a_url_that_is_not_a_websocket_url_is_refused_and_not_repeated() {
    let scratch = Scratch::new();
    let error = LocalDescriptor::publish_in(&scratch.providers(), &desk(), "http://x?token=s3cret").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

#[test]
fn no_reader_ever_sees_half_a_file() {
    let scratch = Scratch::new();
    let path = scratch.providers().join("desk.json");
    let first = LocalDescriptor::publish_in(&scratch.providers(), &desk(), URL).unwrap();
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            for _ in 0..200 {
                // Stays until the next one replaces it.
                std::mem::forget(LocalDescriptor::publish_in(&scratch.providers(), &desk(), URL).unwrap());
            }
        });
        while !publishing.is_finished() {
            assert_eq!(read(&path)["transport"]["url"], URL);
        }
    });
    first.close().unwrap();
    assert!(path.exists());
}

/// Runs only as a process of its own, with another home: see the next test.
#[test]
#[ignore = "started by `the_default_directory_is_in_the_home_directory`"]
fn child_process_that_publishes_in_its_home() {
    let file = LocalDescriptor::publish(&desk(), URL).unwrap();
    let home = PathBuf::from(std::env::var_os("HOME").unwrap());
    assert_eq!(file.path(), home.join(".slop/providers/desk.json"));
    assert_eq!(read(file.path())["pid"], std::process::id());
}

#[test]
fn the_default_directory_is_in_the_home_directory() {
    let scratch = Scratch::new();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "local_descriptor::child_process_that_publishes_in_its_home", "--ignored"])
        .env("HOME", &scratch.0)
        .env("TMPDIR", &scratch.0)
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"));
    assert!(names(&scratch.providers()).is_empty());
}
