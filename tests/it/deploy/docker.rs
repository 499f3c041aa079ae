//! The commands and the compose file of docs/docker.md, and the image that they are about.

use std::time::Duration;

use super::{capabilities, is_enough_to_stop, is_valid, read};
use crate::page_files::{Page, edited, python, yaml};

/// What follows this option of `docker run`.
fn option<'p>(page: &'p Page, name: &str) -> &'p str {
    let run = page.text.lines().find(|line| line.starts_with("docker run ")).unwrap();
    let mut words = run.split(' ').skip_while(|word| *word != name).skip(1);
    words.next().unwrap_or_else(|| panic!("no {name} in {run}"))
}

#[test]
fn the_compose_file_is_valid_to_the_last_key() {
    let file = Page::open("docker.md").file("compose.yml");
    let arguments = ["--builtin-schema", "vendor.compose-spec", "--default-filetype", "yaml", "-"];
    let (success, said) = python("check-jsonschema", &arguments, &file);
    assert!(success, "{said}");
    let (success, said) =
        python("check-jsonschema", &arguments, &edited(&file, &[("mem_limit", "memory_limit")]));
    assert!(!success, "a key that there is not passes: {said}");
}

#[test]
fn containers_may_take_as_long_as_their_settings_say() {
    let page = Page::open("docker.md");
    let production: toml::Table = read("config/production.toml").parse().unwrap();
    is_enough_to_stop(&production, Duration::from_secs(option(&page, "--stop-timeout").parse().unwrap()));
    page.says(&format!("| `--stop-timeout {}` |", option(&page, "--stop-timeout")));
    let service = &yaml(&page.file("compose.yml"))[0]["services"]["lockgate"];
    let grace = service["stop_grace_period"].as_str().unwrap();
    let settings = is_valid(&page.file("lockgate.toml"));
    is_enough_to_stop(&settings, humantime_serde::re::humantime::parse_duration(grace).unwrap());
}

#[test]
fn they_fit_the_image() {
    let page = Page::open("docker.md");
    let dockerfile = read("Dockerfile");
    let service = &yaml(&page.file("compose.yml"))[0]["services"]["lockgate"];
    let settings: toml::Table = page.file("lockgate.toml").parse().unwrap();
    let address = settings["listen"]["address"].as_str().unwrap();
    for published in [option(&page, "--publish"), service["ports"][0].as_str().unwrap()] {
        let port = published.rsplit(':').next().unwrap();
        assert!(dockerfile.contains(&format!("EXPOSE {port}")) && address.ends_with(&format!(":{port}")));
    }
    let volumes = service["volumes"].as_array().unwrap();
    let (_, mounted) = volumes[0].as_str().unwrap().split_once(':').unwrap();
    assert!(dockerfile.contains(&format!("ENV LOCKGATE_CONFIG={}", mounted.trim_end_matches(":ro"))));
    let directory = service["environment"]["TMPDIR"].as_str().unwrap();
    assert_eq!(volumes[1], format!("sessions:{directory}"));
    assert_eq!(settings["sandbox"]["templates"].as_str(), Some(directory));
    assert_eq!(*service["cap_add"].as_array().unwrap(), capabilities::NEEDED);
}
