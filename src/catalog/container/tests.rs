use super::*;

fn read(run: &str, docker: bool) -> Result<Vec<String>, Fault> {
    read_whole(run, docker).map(|(argv, _)| argv)
}

fn read_whole(run: &str, docker: bool) -> Result<(Vec<String>, Option<ContainerRun>), Fault> {
    let mut argv = shell_words::split(run).unwrap();
    let program = PathBuf::from("/nowhere").join(&argv[0]);
    let server = Server { docker, ..Server::of(run) };
    let container = ContainerRun::read(&server, &mut argv, &program)?;
    Ok((argv, container))
}

#[test]
fn what_starts_containers_needs_leave_however_it_is_named() {
    for run in [
        "docker run image",
        "/usr/bin/docker run image",
        "podman run image",
        "nerdctl ps",
        "docker",
        "env A=1 docker run image",
        "/usr/bin/env -i /opt/docker run image",
        "sh -c 'exec docker run image'",
        "bash -c 'x;docker run image'",
        "timeout 5 podman run image",
    ] {
        let (key, reason) = read(run, false).unwrap_err();
        assert!(key == "run" && (reason.contains("docker = true") || reason.contains("begin with")), "{run}");
    }
    for run in ["npx docker", "my-docker run image", "sh -c 'echo dockers'", "env docker=1 node"] {
        assert_eq!(read(run, false).unwrap(), shell_words::split(run).unwrap());
    }
}

#[test]
fn leave_is_for_run_alone() {
    for (run, key, expected) in [
        ("node x", "docker", "not with docker"),
        ("env docker run image", "run", "begin with docker itself"),
        ("docker", "run", "docker run"),
        ("docker exec -i x y", "run", "docker run"),
        ("docker compose run x", "run", "docker run"),
        ("docker --context far run image", "run", "--option=value"),
        ("docker run", "run", "names no image"),
        ("docker run -i --rm", "run", "names no image"),
        ("docker run -e", "run", "names no image"),
    ] {
        let (at, reason) = read(run, true).unwrap_err();
        assert!(at == key && reason.contains(expected), "{run}: {reason}");
    }
}

#[test]
fn options_that_would_defeat_us_are_refused_wherever_they_stand() {
    for (options, name) in [
        ("-d", "detach"),
        ("-idP", "detach"),
        ("--detach=true", "detach"),
        ("-e A -d", "detach"),
        ("-eA=1 -d", "detach"),
        ("-it", "tty"),
        ("-i=true -t", "tty"),
        ("--tty", "tty"),
        ("--name x", "name"),
        ("--name=x", "name"),
        ("--cpus 2 --name=x", "name"),
        ("--cidfile /x", "cidfile"),
        ("--pod new:x", "pod"),
        ("--restart always", "restart"),
        ("-a stdin", "attach"),
        ("--rm=false", "rm"),
        ("--init=0", "init"),
        ("-i=false", "interactive"),
        ("-v /var/run/docker.sock:/var/run/docker.sock", "volume"),
        ("--mount=type=bind,src=/run/podman/podman.sock,dst=/s", "mount"),
        ("--use-api-socket", "use-api-socket"),
        ("--label lockgate.session=x", "label"),
        ("-llockgate.gateway", "label"),
    ] {
        let (_, reason) = read(&format!("docker run {options} image"), true).unwrap_err();
        assert!(reason.contains(&format!("has the option --{name},")), "{options}: {reason}");
    }
    let (_, reason) = read("docker run --new -d image", true).unwrap_err();
    assert!(reason.contains("\"--new\" before \"-d\""), "{reason}");
}

#[test]
fn what_is_missing_is_added_and_what_is_the_servers_is_left_alone() {
    for (run, expected) in [
        ("docker run image -d --name x", "docker run --init --rm --interactive image -d --name x"),
        ("docker run -i --rm --init image", "docker run -i --rm --init image"),
        ("docker run -iq -e A image", "docker run --init --rm -iq -e A image"),
        ("docker run -- image -t", "docker run --init --rm --interactive -- image -t"),
        (
            "docker -H=tcp://x --tls=true container run x",
            "docker -H=tcp://x --tls=true container run --init --rm --interactive x",
        ),
        ("podman run -v /a:/b -l a=b x", "podman run --init --rm --interactive -v /a:/b -l a=b x"),
    ] {
        assert_eq!(read(run, true).unwrap().join(" "), expected);
    }
}

#[test]
fn further_options_come_first_and_the_same_daemon_is_asked() {
    let (argv, run) = read_whole("docker --context=far container run -i x", true).unwrap();
    let run = run.unwrap();
    assert_eq!(run.engine().argv, ["docker", "--context=far"]);
    let whole = run.with(&argv, ["--label".to_owned(), "a=b".to_owned()]).join(" ");
    assert_eq!(whole, "docker --context=far container run --label a=b --init --rm -i x");
}

#[test]
fn clients_may_set_what_is_passed_on_but_not_which_daemon_is_asked() {
    let (_, run) = read_whole("docker run -e A -e B=1 --env=C -eDOCKER_HOST -e PATH x -e D", true).unwrap();
    assert_eq!(run.unwrap().passed(), ["A", "C"]);
    let server = Server {
        docker: true,
        env_allow: Some(vec!["A".into(), "DOCKER_HOST".into()]),
        ..Server::of("docker run x")
    };
    let mut argv = vec!["docker".into(), "run".into(), "x".into()];
    let (key, reason) = ContainerRun::read(&server, &mut argv, Path::new("/nowhere/docker")).unwrap_err();
    assert!(key == "env_allow" && reason.contains("DOCKER_HOST"), "{reason}");
}
