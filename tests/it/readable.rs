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

#[tokio::test]
async fn what_is_needed_is_looked_for_until_the_server_runs_and_again_after_a_reload() {
    if !is_root() {
        return;
    }
    let place = open_place();
    let directory = |name: &str| {
        let path = place.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let (bin, programs, later) = (directory("bin"), directory("programs"), directory("later"));
    let script = place.path().join("server");
    fs::write(&script, "#!/usr/bin/env interpreter\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let interpreter = |to: &Path| {
        let _ = fs::remove_file(bin.join("interpreter"));
        fs::write(to.join("beside"), "data").unwrap();
        fs::write(to.join("run"), format!("#!/bin/sh\nexec {}\n", peer())).unwrap();
        fs::set_permissions(to.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink(to.join("run"), bin.join("interpreter")).unwrap();
    };
    let settings = with_peers(&format!("[servers.script]\nrun = {:?}\nreadable = [{:?}]", script, peer()));
    let mut command = lockgate();
    command.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("HOME", place.path());
    let gateway =
        Gateway::start_by(command, tempfile::tempdir().unwrap(), &settings, &[("LOCKGATE_SECRET", SECRET)]);
    let reads = async |directory: &Path| {
        let mut session = gateway.client().connect("script").await;
        let seen = session.attack("peek", json!({ "path": directory.join("beside") })).await;
        seen.get("ok").is_some()
    };
    // Nothing to be run yet.
    let mut early = gateway.client().open("script").await;
    early.post_raw(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).send().await.unwrap();
    while early.message().await.is_some() {}
    interpreter(&programs);
    assert!(!reads(&later).await && reads(&programs).await);
    interpreter(&later);
    gateway.reload_bare(&settings, "settings_reloaded").await;
    assert!(reads(&later).await && !reads(&programs).await);
}
