//! The rules of the house that a compiler does not know.

mod citations;
mod crate_tree;
mod dependencies;
mod sizes;
mod workspace;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All sources below a folder, with their text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found.sort();
    found
}

/// What is code: neither comments nor the tests of a module itself.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    let before_tests = lines.take_while(|(_, line)| !line.starts_with("#[cfg(test)]"));
    before_tests.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The modules that `lib.rs` lists.
fn listed() -> Vec<String> {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let module = |line: &str| {
        let line = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        line.strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned)
    };
    lib.lines().filter_map(module).collect()
}

#[test]
fn every_module_of_the_crate_is_listed_in_the_reading_order() {
    let listed = listed();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(name == "lib" || listed.iter().any(|module| module == name), "`{name}` is not listed");
    }
}

#[test]
fn every_file_begins_with_what_it_is_about() {
    for folder in ["src", "tests"] {
        for (path, text) in sources(&root().join(folder)) {
            assert!(text.starts_with("//! "), "{} begins without a `//!` doc", path.display());
        }
    }
}

#[test]
fn no_module_is_a_drawer_for_whatever() {
    let drawers = ["util", "utils", "common", "helper", "helpers", "manager", "misc", "shared", "base", "types"];
    for folder in ["src", "tests"] {
        for (path, _) in sources(&root().join(folder)) {
            for part in path.with_extension("").strip_prefix(root()).unwrap() {
                let name = part.to_str().unwrap();
                assert!(
                    !drawers.iter().any(|drawer| name.split('_').any(|word| word == *drawer)),
                    "{}",
                    path.display()
                );
            }
        }
    }
}

/// What is pure: no IO, no clock, nothing awaited (design, invariant 1).
#[test]
fn the_core_knows_no_io_no_clock_and_no_runtime() {
    let forbidden = ["tokio", "std::net", "std::fs", "std::time::Instant", "SystemTime::now", "crate::clock"];
    for (path, text) in sources(&root().join("src")) {
        let inside = path.strip_prefix(root().join("src")).unwrap();
        let pure = ["model", "protocol", "render"].iter().any(|module| inside.starts_with(module));
        for (number, line) in code(&text).filter(|_| pure) {
            for word in forbidden {
                assert!(!line.contains(word), "{}:{number}: `{word}` in the pure core", inside.display());
            }
        }
    }
}

/// Invariant 2: below `sessions` no function sees two sessions.
#[test]
fn what_renders_and_delivers_does_not_know_the_table_of_sessions() {
    for (path, text) in sources(&root().join("src")) {
        let inside = path.strip_prefix(root().join("src")).unwrap();
        if ["model", "protocol", "render", "deliver"].iter().any(|module| inside.starts_with(module)) {
            for (number, line) in code(&text) {
                assert!(!line.contains("sessions::"), "{}:{number}: {line}", inside.display());
            }
        }
    }
}

/// The scheduler of the concurrency tests sees only what goes through `sync`.
#[test]
fn every_lock_and_signal_is_named_through_sync() {
    let forbidden = [
        "parking_lot",
        "sync::Mutex;",
        "std::sync::Mutex",
        "std::sync::RwLock",
        "event_listener",
        "tokio::sync::Mutex",
        "tokio::sync::RwLock",
        "tokio::sync::Notify",
    ];
    for (path, text) in sources(&root().join("src")) {
        let inside = path.strip_prefix(root().join("src")).unwrap();
        if inside.starts_with("sync") || inside.starts_with("sync.rs") {
            continue;
        }
        for (number, line) in code(&text).filter(|(_, line)| !line.contains("crate::sync::")) {
            for word in forbidden {
                assert!(!line.contains(word), "{}:{number}: `{word}` beside `sync`", inside.display());
            }
        }
    }
}

/// Which lock is taken before which is a matter of the whole process.
#[test]
fn every_lock_of_an_adapter_is_named_in_the_architecture() {
    let page = fs::read_to_string(root().join("../docs/architecture.md")).unwrap();
    let mut locks = 0;
    for (path, text) in sources(&root().join("../adapters")) {
        let inside = path.strip_prefix(root().join("..")).unwrap().to_str().unwrap().to_owned();
        let has_lock = code(&text).any(|(_, line)| line.contains("Mutex<") || line.contains("RwLock<"));
        if has_lock && inside.contains("/src/") {
            locks += 1;
            assert!(page.contains(&format!("`{inside}`")), "{inside}: its lock is not named in docs/architecture.md");
        }
    }
    assert!(locks > 5, "{locks} files with locks");
}

#[test]
fn tests_do_not_sleep() {
    // Put together, so that this file does not find itself.
    let words = [["thread::", "sleep"].concat(), ["time::", "sleep"].concat()];
    for (path, text) in sources(&root().join("tests")) {
        for (number, line) in code(&text) {
            assert!(!words.iter().any(|word| line.contains(word)), "{}:{number}: {line}", path.display());
        }
    }
}
