//! What a session can read because its command names it (Landlock; promise 5).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::gateway::{Gateway, SECRET, lockgate, peer, with_peers};
use crate::traces::is_root;

/// Becomes the scripted server.
const SERVER: &str = "import os, sys\nos.execv(sys.argv[1], sys.argv[1:])\n";

fn open_place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    place
}

#[tokio::test]
async fn of_a_home_a_session_reads_the_named_file_and_of_a_project_below_what_lies_beside_it() {
    if !is_root() {
        return;
    }
    let (home, links) = (open_place(), open_place());
    let home = home.path();
    fs::create_dir(home.join("project")).unwrap();
    for directory in [home, &home.join("project")] {
        fs::write(directory.join("server.py"), SERVER).unwrap();
        fs::write(directory.join("beside"), "treasure").unwrap();
    }
    fs::copy(peer(), home.join("program")).unwrap();
    let link = links.path().join("link");
    std::os::unix::fs::symlink(home, &link).unwrap();
    let server = |name: &str, run: String| format!("[servers.{name}]\nrun = {run:?}\n");
    let python = |path: &Path| format!("/usr/bin/python3 {} {}", path.display(), peer());
    let settings = [
        server("home", python(&home.join("server.py"))),
        server("link", python(&link.join("server.py"))),
        server("project", python(&home.join("project/server.py"))),
        server("program", home.join("program").display().to_string()),
    ];
    let mut command = lockgate();
    command.env("HOME", home);
    let place = tempfile::tempdir().unwrap();
    let variables = [("LOCKGATE_SECRET", SECRET)];
    let gateway = Gateway::start_by(command, place, &with_peers(&settings.concat()), &variables);
    for (name, reads_beside) in [("home", false), ("link", false), ("program", false), ("project", true)] {
        let mut session = gateway.client().connect(name).await;
        for (beside, may) in [(home.join("beside"), false), (home.join("project/beside"), reads_beside)] {
            let seen = session.attack("peek", json!({ "path": beside })).await;
            assert_eq!(seen.get("ok").is_some(), may, "{name} {beside:?}: {seen}");
        }
        let listed = session.attack("look", json!({ "path": home })).await;
        assert!(listed["error"].is_string(), "{name}: {listed}");
    }
}
