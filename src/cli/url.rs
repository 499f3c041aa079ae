//! `lockgate url`: what to paste where.

use std::process::ExitCode;

use super::SettingsArgs;
use crate::settings::Settings;

pub(super) fn run(args: &SettingsArgs, command: &str, base: Option<&str>) -> anyhow::Result<ExitCode> {
    let settings = args.load()?;
    let local = format!("http://{}", settings.listen.address);
    let origin = format!("{}{}", base.unwrap_or(&local).trim_end_matches('/'), settings.listen.base_path);
    let named = named(&settings, command);
    if named.is_none() {
        let key = if ["http://", "https://"].iter().any(|scheme| command.starts_with(scheme)) {
            "url"
        } else {
            "run"
        };
        eprintln!(
            "lockgate: note: {command:?} is not on the allowlist; add it to the settings:\n\n    [servers.<name>]\n    {key} = {command:?}\n"
        );
    }
    let place = format!("{origin}/{}", urlencoding::encode(named.unwrap_or(command)));
    let url = format!("{place}/mcp");
    println!("{url}\n\nTypeScript (@modelcontextprotocol/sdk):\n{}", typescript(&url));
    println!("\nPython (mcp 2):\n{}", python(&url));
    println!("\nShell:\n{}", try_it(&url, "<secret>"));
    println!("\nClients that only speak HTTP with SSE (2024-11-05) connect to:\n{place}/sse");
    Ok(ExitCode::SUCCESS)
}

/// What clients call a server by. A remote one has no command, so its URL stands for its short name.
fn named<'s>(settings: &'s Settings, wanted: &'s str) -> Option<&'s str> {
    settings.servers.iter().find_map(|(name, server)| match (&server.run, &server.url) {
        _ if name == wanted => Some(wanted),
        (Some(run), _) if run == wanted => Some(wanted),
        (None, Some(url)) if url == wanted => Some(name.as_str()),
        _ => None,
    })
}

/// A line for the shell: asks the server to initialize and prints its reply.
pub(super) fn try_it(url: &str, secret: &str) -> String {
    let hello = concat!(
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
        r#""capabilities":{},"clientInfo":{"name":"curl","version":"1"}}}"#
    );
    format!(
        "curl -s '{url}' -H 'Authorization: Bearer {secret}' -H 'Content-Type: application/json' -d '{hello}'"
    )
}

fn typescript(url: &str) -> String {
    format!(
        r#"  const transport = new StreamableHTTPClientTransport(new URL("{url}"), {{
    requestInit: {{ headers: {{ Authorization: "Bearer <secret>" }} }},
  }});
  await client.connect(transport);"#
    )
}

fn python(url: &str) -> String {
    format!(
        r#"  async with create_mcp_http_client(headers={{"Authorization": "Bearer <secret>"}}) as http:
      async with Client(streamable_http_client("{url}", http_client=http)) as client:
          print(await client.list_tools())"#
    )
}
