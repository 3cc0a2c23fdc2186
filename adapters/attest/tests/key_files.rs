//! Files with secret keys (peers 1, 7; SEC20).
#![cfg(unix)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use grove_attest::{SecretKey, SecretKeyError};

/// A directory that is removed in the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("grove-keys-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_key_that_was_written_is_read_again_and_only_its_owner_can_read_it() {
    let directory = Directory::new("written");
    let path = directory.0.join("key");
    let key = SecretKey::generate().unwrap();
    assert_ne!(key.public_key(), SecretKey::generate().unwrap().public_key());
    key.write_new(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&path).unwrap().len(), 65);
    assert_eq!(SecretKey::read(&path).unwrap().public_key(), key.public_key());
    assert!(matches!(key.write_new(&path), Err(SecretKeyError::File(_))), "no key is overwritten");
    for mode in [0o640, 0o604, 0o666] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let refused = SecretKey::read(&path).unwrap_err();
        assert!(matches!(refused, SecretKeyError::ReadableByOthers(found) if found == mode), "{refused}");
        assert!(refused.to_string().contains("chmod 600"), "it says what to do");
    }
}

#[test]
fn a_file_that_holds_something_else_is_refused_and_not_shown() {
    let directory = Directory::new("wrong");
    let path = directory.0.join("key");
    let key = "0123456789abcdef".repeat(4);
    for content in
        ["", "\n", &key[1..], &format!("{key}\n\n"), &format!("{key}0\n"), &key.to_uppercase(), &"x".repeat(64)]
    {
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let refused = SecretKey::read(&path).unwrap_err();
        assert!(matches!(refused, SecretKeyError::NoKey), "{content}: {refused}");
    }
    fs::write(&path, &key).unwrap();
    let read = SecretKey::read(&path).unwrap();
    assert!(!format!("{read:?}").contains(&key), "a secret is never shown");
    assert!(SecretKey::read(&directory.0).is_err(), "a directory is no key");
    assert!(matches!(SecretKey::read(&directory.0.join("none")), Err(SecretKeyError::File(_))));
}
