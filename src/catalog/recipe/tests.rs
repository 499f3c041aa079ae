use super::*;

fn read(run: &str) -> Result<Recipe, Fault> {
    Recipe::read(&Server::of(run), &shell_words::split(run).unwrap(), Path::new("/bin/true"))
}

#[test]
fn the_runner_is_told_to_fetch_what_it_would_run() {
    for (run, expected) in [
        ("npx -y a@latest --flag x", "npx -y --package=a@latest --yes -- true"),
        ("npx --registry=http://r @s/a", "npx --registry=http://r --package=@s/a --yes -- true"),
        ("npx -y -p a -p b cmd arg", "npx -y -p a -p b --yes -- true"),
        ("/opt/bin/npx -- a", "/opt/bin/npx --package=a --yes -- true"),
        ("uvx a@1.2 --tz x", "uvx --from=a@1.2 python -c ''"),
        ("uvx --with b --from 'a[x]' cmd", "uvx --with b --from 'a[x]' python -c ''"),
        ("uv tool run -q a", "uv tool run -q --from=a python -c ''"),
    ] {
        let argv = read(run).unwrap().argv().to_vec();
        assert_eq!(argv, shell_words::split(expected).unwrap(), "{run}");
    }
}

#[test]
fn what_there_is_no_recipe_for_is_refused_with_the_remedy() {
    for (run, key, expected) in [
        ("pipx run a", "prefetch", "uvx"),
        ("uv run a", "prefetch", "leave it out"),
        ("npx -c 'a b'", "run", "--name=value"),
        ("npx -y", "run", "names no package"),
        ("npx ./here", "run", "on this machine already"),
        ("uvx --no-cache a", "run", "--name=value"),
        ("uvx --cache-dir=/c a", "run", "not found again"),
    ] {
        let (found, reason) = read(run).unwrap_err();
        assert_eq!(found, key, "{run}");
        assert!(reason.contains(expected), "{run}: {reason}");
    }
    let mut server = Server::of("npx a");
    server.env.insert("NPM_CONFIG_CACHE".into(), "/shared".into());
    let refused = Recipe::read(&server, &["npx".into(), "a".into()], Path::new("/bin/true"));
    assert!(refused.unwrap_err().1.contains("leave out one"));
}

#[test]
fn indexes_lists_and_locks_are_never_shared() {
    let (npx, uvx) = (read("npx a").unwrap(), read("uvx a").unwrap());
    for path in [".npm/_cacache/content-v2/sha512/a/b", ".npm/_npx/0/node_modules/a/package.json"] {
        assert!(npx.is_content(Path::new(path)), "{path}");
    }
    for path in [
        ".npm/_cacache/index-v5/a",
        ".npm/_npx/0/package.json",
        ".npm/_npx/0/package-lock.json",
        ".npm/_npx/0/node_modules/.package-lock.json",
        "node_modules/a",
    ] {
        assert!(!npx.is_content(Path::new(path)), "{path}");
    }
    assert!(uvx.is_content(Path::new(".cache/uv/archive-v0/a/lib/b.py")));
    assert!(!uvx.is_content(Path::new(".cache/uv/.lock")));
}

#[test]
fn another_command_or_other_variables_have_another_key() {
    let mut server = Server::of("npx a");
    let argv = ["npx".to_owned(), "a".to_owned()];
    let key = |server: &Server| Recipe::read(server, &argv, Path::new("/bin/true")).unwrap().key;
    let plain = key(&server);
    assert_eq!(plain, key(&server));
    server.env.insert("NPM_CONFIG_REGISTRY".into(), "http://r".into());
    assert_ne!(plain, key(&server));
    assert_ne!(plain, read("npx b").unwrap().key);
}
