use super::*;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        mode(place.path(), 0o755);
        Self(place)
    }

    fn write(&self, name: &str, text: &str, bits: u32) -> String {
        let path = self.0.path().join(name);
        let directory = path.parent().unwrap();
        fs::create_dir_all(directory).unwrap();
        mode(directory, 0o755);
        fs::write(&path, text).unwrap();
        mode(&path, bits);
        path.to_str().unwrap().to_owned()
    }
}

fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
}

fn barrier(server: &str) -> Option<String> {
    barrier_for(server, Visitor::Stranger, false)
}

fn barrier_for(server: &str, visitor: Visitor, own_places: bool) -> Option<String> {
    let plan = &Launch::for_test(server);
    let search = "/usr/local/bin:/usr/bin:/bin";
    Reach { plan, visitor, own_places }.barrier(search).map(|barrier| barrier.to_string())
}

#[test]
fn what_is_open_to_all_is_in_reach() {
    let place = Place::new();
    let script = place.write("bin/server", "#!/usr/bin/env sh\n", 0o755);
    let data = place.write("data/a", "", 0o644);
    assert_eq!(barrier(&format!("run = '{script} {data} relative /not/there'")), None);
    assert_eq!(barrier("run = 'lockgate demo'"), None);
}

#[test]
fn a_closed_directory_is_named_wherever_a_link_leads_there() {
    let place = Place::new();
    let program = place.write("closed/python", "binary", 0o755);
    let closed = Path::new(&program).parent().unwrap().to_owned();
    mode(&closed, 0o700);
    let told = format!("{} is closed to others (mode 700); install it under /usr/local", closed.display());
    let link = place.0.path().join("link");
    std::os::unix::fs::symlink("closed/../closed/python", &link).unwrap();
    let script = place.write("script", &format!("#!{}\n", link.display()), 0o755);
    for run in [program.clone(), link.display().to_string(), script] {
        let barrier = barrier(&format!("run = '{run}'")).unwrap();
        assert!(barrier.contains(&told), "{run}: {barrier}");
    }
    // Its owner is in another position.
    assert_eq!(barrier_for(&format!("run = '{program}'"), Visitor::Gateway, false), None);
}

#[test]
fn each_kind_of_barrier_has_its_words() {
    let place = Place::new();
    let closed = place.write("a", "", 0o600);
    let plain = place.write("b", "", 0o644);
    let unreadable = place.write("script", "#!/bin/sh\n", 0o711);
    let lost = place.write("lost", "#!/usr/bin/env no-such-program-9\n", 0o755);
    let gone = place.write("gone", "#!/no/such/interpreter\n", 0o755);
    for (server, expected) in [
        (format!("run = 'cat {closed}'"), "cannot be read by the users that sessions get"),
        (format!("run = 'cat'\nreadable = ['{closed}']"), "is closed to others (mode 600)"),
        (format!("run = 'cat'\nwritable = ['{plain}']"), "cannot be written to by"),
        ("run = 'cat'\nwritable = ['/not/there']".into(), "make it, or take it out of the settings"),
        (format!("run = '{unreadable}'"), "(mode 711)"),
        (format!("run = '{lost}'"), "no-such-program-9, which "),
        (
            format!("run = '{gone}'"),
            "begins with, cannot be run by the users that sessions get: it is not there",
        ),
    ] {
        let barrier = barrier(&server).unwrap();
        assert!(barrier.contains(expected), "{server}: {barrier}");
    }
    // Not a matter of its mode: each session would see a directory of its own there.
    let mut file = tempfile::Builder::new();
    let file = file.permissions(fs::Permissions::from_mode(0o755)).tempfile_in("/tmp").unwrap();
    let run = format!("run = '{}'", file.path().display());
    let hidden = barrier_for(&run, Visitor::Gateway, true).unwrap();
    assert!(hidden.contains("each session has a /tmp of its own"), "{hidden}");
}
