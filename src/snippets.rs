//! What to paste where, to connect to a server: text about a URL, the same on the command line and on the operator's
//! page. None holds a secret; where one belongs stands [`SECRET`].

use serde::Serialize;
use serde_json::{Value, json};

/// What stands where a secret belongs.
pub const SECRET: &str = "<secret>";

/// Where clients find a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What a client's settings may call it.
    name: String,
    /// Without the last segment, which tells the transport.
    root: String,
}

/// One thing to paste.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Snippet {
    /// Who takes it.
    pub client: &'static str,
    /// Where it goes, in a few words; empty if it is clear.
    pub place: &'static str,
    /// The text.
    pub text: String,
}

impl Place {
    /// The server that has this name or command, behind the URL that all of them have in common.
    pub fn new(base: &str, server: &str) -> Self {
        let root = format!("{}/{}", base.trim_end_matches('/'), urlencoding::encode(server));
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        Self { name: server.chars().map(plain).collect(), root }
    }

    /// Streamable HTTP, of every revision.
    pub fn url(&self) -> String {
        format!("{}/mcp", self.root)
    }

    /// For clients that only speak HTTP with SSE (2024-11-05).
    pub fn legacy_url(&self) -> String {
        format!("{}/sse", self.root)
    }

    /// One for each kind of client.
    pub fn snippets(&self) -> Vec<Snippet> {
        let url = self.url();
        let snippet = |client, place, text| Snippet { client, place, text };
        vec![
            snippet("TypeScript", "@modelcontextprotocol/sdk", typescript(&url)),
            snippet("Python", "mcp 2", python(&url)),
            snippet("Shell", "curl; prints what the server says of itself", curl(&url, SECRET)),
            snippet("Claude Desktop", "claude_desktop_config.json", self.claude_desktop()),
            snippet("Cursor", "~/.cursor/mcp.json", self.cursor()),
            snippet("VS Code", ".vscode/mcp.json", self.vs_code()),
        ]
    }

    /// It starts commands, so one carries it over. In arguments, some of its versions split at spaces.
    fn claude_desktop(&self) -> String {
        let url = self.url();
        let mut args = json!(["-y", "mcp-remote", url, "--header", "Authorization:${AUTHORIZATION}"]);
        if needs_leave(&url)
            && let Some(args) = args.as_array_mut()
        {
            args.push("--allow-http".into());
        }
        let env = json!({ "AUTHORIZATION": format!("Bearer {SECRET}") });
        self.entry("mcpServers", json!({ "command": "npx", "args": args, "env": env }))
    }

    fn cursor(&self) -> String {
        self.entry("mcpServers", json!({ "url": self.url(), "headers": headers() }))
    }

    fn vs_code(&self) -> String {
        self.entry("servers", json!({ "type": "http", "url": self.url(), "headers": headers() }))
    }

    fn entry(&self, list: &str, server: Value) -> String {
        // Indented, it cannot fail: every key is text.
        serde_json::to_string_pretty(&json!({ list: { &self.name: server } })).unwrap_or_default()
    }
}

/// A line for the shell: asks the server to initialize and prints its reply.
pub fn curl(url: &str, secret: &str) -> String {
    let hello = concat!(
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
        r#""capabilities":{},"clientInfo":{"name":"curl","version":"1"}}}"#
    );
    format!(
        "curl -s '{url}' -H 'Authorization: Bearer {secret}' -H 'Content-Type: application/json' -d '{hello}'"
    )
}

/// Whether `mcp-remote` has to be told that there is no TLS: it takes that from loopback names only.
fn needs_leave(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    !["localhost", "127.0.0.1"]
        .iter()
        .any(|name| rest.strip_prefix(name).is_some_and(|rest| rest.starts_with([':', '/'])))
}

fn headers() -> Value {
    json!({ "Authorization": format!("Bearer {SECRET}") })
}

fn typescript(url: &str) -> String {
    format!(
        r#"import {{ Client }} from "@modelcontextprotocol/sdk/client/index.js";
import {{ StreamableHTTPClientTransport }} from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const transport = new StreamableHTTPClientTransport(new URL("{url}"), {{
  requestInit: {{ headers: {{ Authorization: "Bearer {SECRET}" }} }},
}});
const client = new Client({{ name: "my-client", version: "1.0.0" }});
await client.connect(transport);
console.log(await client.listTools());"#
    )
}

fn python(url: &str) -> String {
    format!(
        r#"import asyncio

from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client


async def main():
    headers = {{"Authorization": "Bearer {SECRET}"}}
    async with create_mcp_http_client(headers=headers) as http:
        async with Client(streamable_http_client("{url}", http_client=http)) as client:
            print(await client.list_tools())


asyncio.run(main())"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_names_the_url_and_where_the_secret_goes() {
        let place = Place::new("https://gate.example/base/", "npx -y @a/b");
        assert_eq!(place.url(), "https://gate.example/base/npx%20-y%20%40a%2Fb/mcp");
        for Snippet { client, text, .. } in place.snippets() {
            assert!(text.contains(&place.url()) && text.contains(SECRET), "{client}: {text}");
        }
    }

    #[test]
    fn what_desktop_clients_take_is_json_with_a_name_they_take() {
        let place = Place::new("http://10.0.0.1:8000", "npx -y @a/b");
        for (text, list) in [
            (place.claude_desktop(), "mcpServers"),
            (place.cursor(), "mcpServers"),
            (place.vs_code(), "servers"),
        ] {
            let document: Value = serde_json::from_str(&text).unwrap();
            assert!(document[list]["npx--y--a-b"].is_object(), "{text}");
        }
    }

    #[test]
    fn mcp_remote_is_told_of_plain_http_where_it_would_refuse() {
        for (url, expected) in [
            ("http://gate.example/x/mcp", true),
            ("http://127.0.0.1.evil/x/mcp", true),
            ("http://127.0.0.1:8000/x/mcp", false),
            ("http://localhost/x/mcp", false),
            ("https://gate.example/x/mcp", false),
        ] {
            assert_eq!(needs_leave(url), expected, "{url}");
        }
    }
}
