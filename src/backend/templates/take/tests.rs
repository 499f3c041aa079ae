use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use rustix::fs::{CWD, FileType, mkdirat, mknodat};

use super::super::store::Store;
use super::*;

struct Taken {
    place: tempfile::TempDir,
    outcome: Result<Amount, Uncopied>,
}

/// Fills a home, has it taken over, and publishes it as `key`.
fn taken(fill: impl FnOnce(&Path)) -> Taken {
    let place = tempfile::tempdir().unwrap();
    let (home, store) = (place.path().join("home"), Store::prepare(place.path()).unwrap());
    fs::create_dir(&home).unwrap();
    fill(&home);
    let draft = store.draft().unwrap();
    let outcome = take(&home, rustix::process::getuid().as_raw(), &draft);
    store.publish(draft, "key").unwrap();
    Taken { place, outcome }
}

impl Taken {
    fn at(&self, path: &str) -> PathBuf {
        self.place.path().join("packages/key").join(path)
    }
}

#[test]
fn files_are_new_ones_that_nobody_else_may_write_to_and_nothing_else_is_kept() {
    let taken = taken(|home| {
        fs::create_dir(home.join("d")).unwrap();
        for (name, mode) in [("plain", 0o666), ("d/program", 0o6777), ("d/closed", 0o400)] {
            fs::write(home.join(name), name).unwrap();
            fs::set_permissions(home.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::set_permissions(home.join("d"), fs::Permissions::from_mode(0o1777)).unwrap();
        mknodat(CWD, home.join("d/pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        drop(std::os::unix::net::UnixListener::bind(home.join("d/socket")).unwrap());
    });
    assert_eq!(taken.outcome.as_ref().unwrap().bytes, 5 + 9 + 8);
    for (name, mode) in [("plain", 0o644), ("d/program", 0o755), ("d/closed", 0o644), ("d", 0o755)] {
        assert_eq!(fs::metadata(taken.at(name)).unwrap().mode() & 0o7777, mode, "{name}");
    }
    assert_eq!(fs::read_to_string(taken.at("d/program")).unwrap(), "d/program");
    let old = fs::metadata(taken.place.path().join("home/plain")).unwrap();
    let new = fs::metadata(taken.at("plain")).unwrap();
    assert_ne!(old.ino(), new.ino());
    assert_eq!(old.mtime_nsec(), new.mtime_nsec());
    assert!(!taken.at("d/pipe").exists() && !taken.at("d/socket").exists());
}

#[test]
fn links_stay_inside_or_lead_to_programs_or_go() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "x").unwrap();
    let taken = taken(|home| {
        fs::create_dir_all(home.join("a/b")).unwrap();
        fs::write(home.join("a/file"), "in").unwrap();
        symlink("../file", home.join("a/b/relative")).unwrap();
        symlink(home.join("a/file"), home.join("a/b/absolute")).unwrap();
        symlink("/usr/bin/env", home.join("a/program")).unwrap();
        symlink("../../../etc/passwd", home.join("a/up")).unwrap();
        symlink("/usr/../etc/passwd", home.join("a/round")).unwrap();
        symlink(outside.path(), home.join("a/directory")).unwrap();
        symlink(outside.path().join("secret"), home.join("a/out")).unwrap();
    });
    taken.outcome.as_ref().unwrap();
    let target = |name: &str| fs::read_link(taken.at(name)).ok().map(|t| t.to_str().unwrap().to_owned());
    assert_eq!(target("a/b/relative").as_deref(), Some("../file"));
    assert_eq!(target("a/b/absolute").as_deref(), Some("../../a/file"));
    assert_eq!(target("a/program").as_deref(), Some("/usr/bin/env"));
    for name in ["a/up", "a/round", "a/directory", "a/out"] {
        assert!(fs::symlink_metadata(taken.at(name)).is_err(), "{name}");
    }
}

#[test]
fn what_belongs_to_somebody_else_is_not_taken() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::prepare(place.path()).unwrap();
    let home = place.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("theirs"), "x").unwrap();
    let draft = store.draft().unwrap();
    let amount = take(&home, rustix::process::getuid().as_raw() + 1, &draft).unwrap();
    assert_eq!((amount.entries, amount.bytes), (1, 0));
    store.publish(draft, "key").unwrap();
    assert!(!place.path().join("packages/key/theirs").exists());
}

#[test]
fn a_nest_deeper_than_any_path_is_refused_and_leaves_nothing() {
    let taken = taken(|home| {
        let mut at = fs::File::open(home).unwrap();
        for _ in 0..3000 {
            mkdirat(&at, "d", Mode::RWXU).unwrap();
            let flags = rustix::fs::OFlags::RDONLY;
            at = fs::File::from(rustix::fs::openat(&at, "d", flags, Mode::empty()).unwrap());
        }
    });
    assert!(matches!(taken.outcome, Err(Uncopied::TooMany)));
}
