//! The files and commands that connect a client which is not run here: each has the keys that its client documents, and
//! what the client would send opens a session, with the variable.

use serde_json::{Map, Value};

use super::Faults;
use super::commands::lines;
use super::markdown::{Block, Page};
use super::programs::{adapted, gateway};
use crate::clients::{stdout_of, tests};
use crate::gateway::{Gateway, SECRET};

/// Where a client's file lists servers, and what it knows of one that is reached by HTTP.
const FILES: [(&str, &str, &[&str]); 9] = [
    ("claude-code", "mcpServers", &["type", "url", "headers", "headersHelper", "timeout", "oauth"]),
    ("claude-desktop", "mcpServers", &["command", "args", "env"]),
    ("cline", "mcpServers", &["type", "url", "headers", "disabled", "autoApprove", "timeout"]),
    ("cursor", "mcpServers", &["url", "headers", "auth"]),
    ("gemini-cli", "mcpServers", &["type", "url", "httpUrl", "headers", "timeout", "trust", "includeTools"]),
    ("inspector", "mcpServers", &["type", "url", "headers", "protocolEra"]),
    ("vscode", "servers", &["type", "url", "headers"]),
    ("windsurf", "mcpServers", &["serverUrl", "url", "headers", "disabled", "disabledTools"]),
    ("zed", "context_servers", &["url", "headers", "enabled"]),
];
/// Whose pages have commands that add a server, or use one.
const COMMANDS: [(&str, &str); 4] =
    [("claude-code", "claude"), ("gemini-cli", "gemini"), ("inspector", "npx"), ("vscode", "code")];
/// Whose pages have Python that needs packages which the tests do without.
const LITERALS: [&str; 2] = ["langchain", "openai-agents"];
/// Prints the first dictionary of a program that has a URL.
const FIND_LITERAL: &str = "import ast, json, sys
found = [ast.literal_eval(node) for node in ast.walk(ast.parse(sys.argv[1])) if isinstance(node, ast.Dict)
         and any(isinstance(key, ast.Constant) and key.value == 'url' for key in node.keys)]
print(json.dumps(found[0]))";

/// What a client would send.
struct Request {
    url: String,
    headers: Vec<(String, String)>,
}

/// A value as the client fills it in: from its own variables, from the server's, or from the user.
fn filled_in(value: &str, own: &Value) -> String {
    let mut parts = value.split('$');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |whole, part| {
        let bare = |c: char| !(c.is_alphanumeric() || c == '_');
        let (name, rest) = match part.strip_prefix('{').and_then(|part| part.split_once('}')) {
            Some(braced) => braced,
            None => part.split_at(part.find(bare).unwrap_or(part.len())),
        };
        let given = own[name].as_str();
        let asked = if name.to_lowercase().contains("secret") { SECRET } else { "key" };
        format!("{whole}{}{rest}", given.unwrap_or(asked))
    })
}

fn pair(header: &str, own: &Value) -> Option<(String, String)> {
    let (name, value) = header.split_once(':')?;
    Some((name.to_owned(), filled_in(value.trim(), own)))
}

impl Request {
    /// Of an entry in a file.
    fn of_entry(entry: &Map<String, Value>) -> Option<Self> {
        let own = entry.get("env").unwrap_or(&Value::Null);
        if let Some(words) = entry.get("args").and_then(Value::as_array) {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            return Self::of_words(&words, own);
        }
        let url =
            ["url", "serverUrl", "httpUrl"].iter().find_map(|key| entry.get(*key)?.as_str())?.to_owned();
        let headers = entry.get("headers")?.as_object()?.iter();
        let headers =
            headers.filter_map(|(name, value)| Some((name.clone(), filled_in(value.as_str()?, own))));
        Some(Self { url, headers: headers.collect() })
    }

    /// Of a command line.
    fn of_words(words: &[&str], own: &Value) -> Option<Self> {
        // VS Code takes an entry.
        if let Some(entry) =
            words.iter().find_map(|word| serde_json::from_str::<Map<String, Value>>(word).ok())
        {
            return Self::of_entry(&entry);
        }
        let url = words.iter().find(|word| word.starts_with("http://"))?.to_string();
        let headers = words.windows(2).filter(|pair| pair[0] == "--header");
        Some(Self { url, headers: headers.filter_map(|words| pair(words[1], own)).collect() })
    }

    /// Whether the gateway opens a session, and has taken the variable.
    async fn opens(&self) -> Result<(), String> {
        let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
        let mut request = crate::client::http().build().unwrap().post(&self.url).body(hello);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = request.header("content-type", "application/json").send().await;
        let response = response.map_err(|error| error.to_string())?;
        let accepted = response.headers().get("lockgate-env").cloned();
        let status = response.status();
        if status != 200 {
            return Err(format!(
                "what it sends gets {status}: {}",
                response.text().await.unwrap_or_default()
            ));
        }
        let arrived = accepted.is_some_and(|names| names == "CONTEXT7_API_KEY");
        if arrived { Ok(()) } else { Err("the variable does not arrive".into()) }
    }
}

fn page(name: &str) -> Page {
    Page::read(&format!("docs/clients/{name}.md"))
}

fn blocks(page: &Page, language: &str, gateway: &Gateway) -> Vec<Block> {
    let mut blocks = page.blocks();
    blocks.retain(|block| block.language == language);
    assert!(!blocks.is_empty(), "{} has nothing in {language}", page.name);
    blocks.iter_mut().for_each(|block| block.text = adapted(&block.text, gateway, SECRET));
    blocks
}

/// The entries of a file, if it has nothing that the client does not know.
fn entries(text: &str, list: &str, known: &[&str]) -> Result<Vec<Map<String, Value>>, String> {
    let file: Value = serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))?;
    let servers = file[list].as_object().ok_or_else(|| format!("has no {list:?}"))?;
    let entries: Vec<_> = servers.values().filter_map(Value::as_object).cloned().collect();
    match entries.iter().flat_map(Map::keys).find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("{key:?} is no key that this client documents")),
        None => Ok(entries),
    }
}

#[tokio::test]
async fn every_clients_file_has_its_keys_and_connects() {
    let (gateway, mut faults) = (gateway(), Faults::default());
    for (name, list, known) in FILES {
        let page = page(name);
        for block in blocks(&page, "json", &gateway) {
            match entries(&block.text, list, known) {
                Err(reason) => faults.add(&page, block.line, reason),
                Ok(entries) => {
                    assert!(!entries.is_empty(), "{}:{}: it has no server", page.name, block.line);
                    for entry in entries {
                        let request = Request::of_entry(&entry).expect("a URL and headers");
                        request.opens().await.unwrap_or_else(|reason| faults.add(&page, block.line, reason));
                    }
                }
            }
        }
    }
    faults.tell();
}

#[tokio::test]
async fn every_clients_command_connects() {
    let (gateway, mut faults) = (gateway(), Faults::default());
    for (name, program) in COMMANDS {
        let page = page(name);
        for block in blocks(&page, "sh", &gateway) {
            for (line, text) in lines(&block) {
                let words = shell_words::split(&text).expect("a command line");
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                assert_eq!(words[0], program, "{}:{line}", page.name);
                let request = Request::of_words(&words, &Value::Null).expect("a URL");
                request.opens().await.unwrap_or_else(|reason| faults.add(&page, line, reason));
            }
        }
    }
    faults.tell();
}

#[tokio::test]
async fn every_clients_python_can_be_read_and_connects() {
    let (gateway, mut faults) = (gateway(), Faults::default());
    for name in LITERALS {
        let page = page(name);
        for block in blocks(&page, "python", &gateway) {
            let mut python = std::process::Command::new(tests().join(".venv/bin/python"));
            python.args(["-c", FIND_LITERAL, &block.text]);
            let (success, said) = stdout_of(python);
            assert!(success, "{}:{}: {said}", page.name, block.line);
            let request =
                Request::of_entry(&serde_json::from_str(&said).unwrap()).expect("a URL and headers");
            request.opens().await.unwrap_or_else(|reason| faults.add(&page, block.line, reason));
        }
    }
    faults.tell();
}

/// A page that none of the tests here and in `programs` knows is not tested.
#[test]
fn every_clients_page_is_tested() {
    let run = ["README", "curl", "python", "typescript"];
    let known = FILES.iter().map(|(name, ..)| *name).chain(LITERALS).chain(run);
    let known: Vec<String> = known.map(|name| format!("docs/clients/{name}.md")).collect();
    let pages =
        Page::all().into_iter().map(|page| page.name).filter(|name| name.starts_with("docs/clients/"));
    assert_eq!(pages.filter(|name| !known.contains(name)).collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn values_are_filled_in_as_clients_do() {
    let own = serde_json::json!({ "AUTH": "Bearer own" });
    for (value, wanted) in [
        ("${AUTH}", "Bearer own"),
        ("a ${env:KEY} b", "a key b"),
        ("$KEY-b", "key-b"),
        ("${input:lockgate-secret}", SECRET),
    ] {
        assert_eq!(filled_in(value, &own), wanted, "{value}");
    }
}
