//! `lockgate url`: what to paste where.

use std::process::ExitCode;

use super::SettingsArgs;

pub(super) fn run(args: &SettingsArgs, command: &str, base: Option<&str>) -> anyhow::Result<ExitCode> {
    let settings = args.load()?;
    let local = format!("http://{}", settings.listen.address);
    let origin = format!("{}{}", base.unwrap_or(&local).trim_end_matches('/'), settings.listen.base_path);
    let known = settings.servers.iter().any(|(name, server)| name == command || server.run == command);
    if !known {
        eprintln!(
            "lockgate: note: {command:?} is not on the allowlist; add it to the settings:\n\n    [servers.<name>]\n    run = {command:?}\n"
        );
    }
    let url = format!("{origin}/{}/sse", urlencoding::encode(command));
    println!("{url}\n\nTypeScript (@modelcontextprotocol/sdk):\n{}", typescript(&url));
    println!("\nPython (mcp):\n{}", python(&url));
    println!("\nShell:\n{}", try_it(&url, &origin, "<secret>"));
    Ok(ExitCode::SUCCESS)
}

/// A line for the shell: opens a session, asks it to initialize, prints the reply, ends by itself.
pub(super) fn try_it(url: &str, origin: &str, secret: &str) -> String {
    let root = origin
        .split("://")
        .nth(1)
        .and_then(|rest| rest.find('/'))
        .map_or(origin.len(), |at| at + origin.len() - origin.split("://").nth(1).map_or(0, str::len));
    let root = &origin[..root];
    let auth = format!("-H 'Authorization: Bearer {secret}'");
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"curl","version":"1"}}}"#;
    format!(
        "curl -sN -m 2 {auth} '{url}' | while read -r line; do case $line in \
         'data: /'*) curl -s -o /dev/null {auth} -H 'Content-Type: application/json' -d '{hello}' \"{root}${{line#data: }}\";; \
         'data: {{'*) echo \"${{line#data: }}\"; break;; esac; done"
    )
}

fn typescript(url: &str) -> String {
    format!(
        r#"  const headers = {{ Authorization: "Bearer <secret>" }};
  const transport = new SSEClientTransport(new URL("{url}"), {{
    requestInit: {{ headers }},
    eventSourceInit: {{ fetch: (url, init) => fetch(url, {{ ...init, headers: {{ ...init.headers, ...headers }} }}) }},
  }});
  await client.connect(transport);"#
    )
}

fn python(url: &str) -> String {
    format!(
        r#"  async with sse_client("{url}", headers={{"Authorization": "Bearer <secret>"}}) as streams:
      async with ClientSession(*streams) as session:
          await session.initialize()"#
    )
}
