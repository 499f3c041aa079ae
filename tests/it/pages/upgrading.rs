//! docs/upgrading.md: it has every flag of what people come from, and names none of ours that is not there.

use std::process::Stdio;

use super::Faults;
use super::markdown::{Page, spans};
use crate::gateway::lockgate;

/// As `--help` of supergateway 4.0.0 (npm) lists them.
const SUPERGATEWAY: [&str; 19] = [
    "--version",
    "--stdio",
    "--sse",
    "--streamableHttp",
    "--outputTransport",
    "--port",
    "--baseUrl",
    "--ssePath",
    "--messagePath",
    "--streamableHttpPath",
    "--logLevel",
    "--cors",
    "--healthEndpoint",
    "--header",
    "--oauth2Bearer",
    "--stateful",
    "--sessionTimeout",
    "--protocolVersion",
    "--help",
];
/// As `--help` of mcp-proxy 0.13.0 (PyPI) lists them.
const MCP_PROXY: [&str; 32] = [
    "-h",
    "--help",
    "--version",
    "-H",
    "--headers",
    "--transport",
    "--client-id",
    "--client-secret",
    "--token-url",
    "--username",
    "--password",
    "--digest",
    "--verify-ssl",
    "--no-verify-ssl",
    "-e",
    "--env",
    "--cwd",
    "--pass-environment",
    "--no-pass-environment",
    "--log-level",
    "--debug",
    "--no-debug",
    "--named-server",
    "--named-server-config",
    "--port",
    "--host",
    "--stateless",
    "--no-stateless",
    "--sse-port",
    "--sse-host",
    "--allow-origin",
    "--expose-header",
];

#[test]
fn the_flags_of_other_bridges_are_all_there() {
    let (page, mut faults) = (Page::read("docs/upgrading.md"), Faults::default());
    for (heading, flags) in [("supergateway", &SUPERGATEWAY[..]), ("mcp-proxy", &MCP_PROXY)] {
        let rows = page.rows(heading);
        let named: Vec<(usize, &str)> = rows
            .iter()
            .flat_map(|(line, cells)| spans(cells[0]).into_iter().map(|flag| (*line, flag)))
            .collect();
        for flag in flags.iter().filter(|flag| !named.iter().any(|(_, named)| named == *flag)) {
            faults.add(&page, 1, format!("says nothing of {flag} of {heading}"));
        }
        for (line, flag) in named.iter().filter(|(_, flag)| !flags.contains(flag)) {
            faults.add(&page, *line, format!("{heading} has no {flag}"));
        }
    }
    faults.tell();
}

#[test]
fn the_flags_of_ours_that_it_names_are_there() {
    let output = lockgate().arg("--help").stdin(Stdio::null()).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let words: Vec<&str> = help.split([' ', ',', '\n']).collect();
    let (page, mut faults) = (Page::read("docs/upgrading.md"), Faults::default());
    let mut count = 0;
    for heading in ["go-mcp-sse-proxy", "supergateway", "mcp-proxy"] {
        for (line, cells) in page.rows(heading) {
            for flag in spans(cells[1]).into_iter().filter(|text| text.starts_with("--")) {
                count += 1;
                if !words.contains(&flag) {
                    faults.add(&page, line, format!("there is no {flag}"));
                }
            }
        }
    }
    faults.tell();
    assert!(count > 5, "only {count} were found");
}
