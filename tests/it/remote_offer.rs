//! What of a remote server is offered, to clients of every transport: the operator's choice for the server and for a
//! tenant, narrowed by a header (seeds D3.4, D3.5).

use serde_json::{Value, json};

use crate::caller::Caller;
use crate::gateway::{Gateway, SECRET};
use crate::remote::server;
use crate::scripted::{Remote, handshake, legacy, stateless};
use crate::tenants::tenant;

const HEADER: &str = "x-lockgate-allow-tools";
const ALIAS: &str = "x-envoy-allow-mcp-tools";
const SOME: &str = "tools = { allow = [\"*_page\", \"echo\"], deny = [\"delete_*\"] }\n\
                    resources = { allow = [\"docs://*\"] }\nprompts = { deny = [\"scold\"] }";

/// A remote with three tools on two pages, with resources and prompts.
struct Stocked {
    remote: Remote,
    path: &'static str,
    transport: &'static str,
    /// Whether clients of the stateless era can use it.
    dual: bool,
}

/// One that speaks each transport.
fn remotes() -> [Stocked; 3] {
    [
        Stocked { remote: stateless::dual(), path: "/mcp", transport: "auto", dual: true },
        Stocked { remote: handshake::remote().0, path: "/mcp", transport: "streamable", dual: false },
        Stocked { remote: legacy::remote("").0, path: "/sse", transport: "sse", dual: false },
    ]
}

impl Stocked {
    /// A gateway whose server `stocked` it is, and offers this.
    fn gateway(&self, offer: &str, tables: &str) -> Gateway {
        let more = format!("transport = {:?}\n{offer}", self.transport);
        Gateway::start(&format!("{}{tables}", server("stocked", &self.remote.at(self.path), &more)))
    }

    /// A client of each transport by which it can be used.
    async fn callers<'g>(
        &self,
        gateway: &'g Gateway,
        secret: &'static str,
        headers: &[(&'static str, &'static str)],
    ) -> impl Iterator<Item = Caller<'g>> {
        let all = Caller::all(gateway, secret, headers).await.into_iter();
        all.filter(|caller| self.dual || !matches!(caller, Caller::Stateless(..)))
    }

    /// Nothing of the kind has reached it.
    fn has_not_heard(&self, rpc: &str) {
        assert!(self.remote.of(rpc).is_empty(), "{:?}", self.remote.of(rpc));
    }
}

/// The cursor that a page of a list ends with.
async fn cursor(caller: &mut Caller<'_>, method: &str) -> Value {
    caller.answer(method, json!({})).await["result"]["nextCursor"].clone()
}

#[tokio::test]
async fn lists_have_what_is_offered_and_cursors_stay_as_they_are() {
    for stocked in remotes() {
        let gateway = stocked.gateway(SOME, "");
        for mut caller in stocked.callers(&gateway, SECRET, &[]).await {
            assert_eq!(caller.tools(json!({})).await, ["read_page"]);
            assert_eq!(cursor(&mut caller, "tools/list").await, "page two");
            assert_eq!(caller.tools(json!({ "cursor": "page two" })).await, ["write_page"]);
            let last = stocked.remote.of("tools/list").pop().unwrap();
            assert_eq!(last.message()["params"]["cursor"], "page two", "the remote's own comes back to it");
            let resources = caller.answer("resources/list", json!({})).await["result"].clone();
            let offered = json!([{ "uri": "docs://a", "name": "docs://a" }]);
            assert_eq!(resources, json!({ "resources": offered, "nextCursor": "more/of=them" }));
            let prompts = caller.answer("prompts/list", json!({})).await["result"].clone();
            assert_eq!(prompts, json!({ "prompts": [{ "name": "greet" }] }));
        }
    }
}

#[tokio::test]
async fn what_is_not_offered_is_refused_before_the_remote_hears_of_it() {
    for stocked in remotes() {
        let gateway = stocked.gateway(SOME, "");
        let refused = [
            ("tools/call", json!({ "name": "delete_page", "arguments": {} }), "tools/list"),
            ("tools/call", json!({ "name": "delete_page" }), "tools/list"),
            ("tools/call", json!({ "name": "other", "arguments": {} }), "tools/list"),
            ("resources/read", json!({ "uri": "keys://a" }), "resources/list"),
            ("resources/read", json!({ "uri": "docs://../a" }), "resources/list"),
            ("prompts/get", json!({ "name": "scold" }), "prompts/list"),
        ];
        for mut caller in stocked.callers(&gateway, SECRET, &[]).await {
            for (method, params, list) in &refused {
                let (code, text) = caller.refusal(method, params.clone()).await;
                assert!(code == -32602 && text.contains(&format!("{list} shows what is")), "{code} {text}");
            }
        }
        for (method, ..) in &refused {
            stocked.has_not_heard(method);
        }
        for mut caller in stocked.callers(&gateway, SECRET, &[]).await {
            let call = json!({ "name": "write_page", "arguments": {} });
            let written = caller.answer("tools/call", call).await;
            assert_eq!(written["result"]["content"][0]["text"], "write_page");
            let read = caller.answer("resources/read", json!({ "uri": "docs://a" })).await;
            assert_eq!(read["result"]["contents"][0]["uri"], "docs://a");
            let greeting = caller.answer("prompts/get", json!({ "name": "greet" })).await;
            assert_eq!(greeting["result"]["description"], "greet");
        }
    }
}

#[tokio::test]
async fn a_call_without_a_tool_or_with_arguments_that_are_none_reaches_no_remote() {
    for offer in ["", SOME] {
        for stocked in remotes() {
            let gateway = stocked.gateway(offer, "");
            for mut caller in stocked.callers(&gateway, SECRET, &[]).await {
                for (params, place) in [
                    (json!({ "arguments": {} }), "params.name"),
                    (json!({ "name": null, "arguments": {} }), "params.name"),
                    (json!({ "name": 7, "arguments": {} }), "params.name"),
                    (json!({ "name": "echo", "arguments": "x" }), "params.arguments"),
                    (json!({ "name": "echo", "arguments": ["x"] }), "params.arguments"),
                    (json!({ "name": "echo", "arguments": null }), "params.arguments"),
                ] {
                    let (code, text) = caller.refusal("tools/call", params).await;
                    assert!(code == -32602 && text.contains(place), "{code} {text}");
                }
            }
            stocked.has_not_heard("tools/call");
        }
    }
}

#[tokio::test]
async fn a_tenant_and_a_header_take_away_and_add_nothing() {
    let tables = tenant(
        "less",
        &["less"],
        "tools = { allow = [\"*\"], deny = [\"write_*\"] }\nresources = { deny = [\"*\"] }",
    ) + &tenant("more", &["more"], "tools = { allow = [\"*\"] }");
    for stocked in remotes() {
        let gateway = stocked.gateway(SOME, &tables);
        for (secret, headers, first, second) in [
            ("more", &[][..], &["read_page"][..], &["write_page"][..]),
            ("more", &[(HEADER, "write_page, delete_page")], &[], &["write_page"]),
            ("more", &[(HEADER, "*"), (ALIAS, "read_*")], &["read_page"], &[]),
            ("less", &[], &["read_page"], &[]),
            ("less", &[(ALIAS, "write_page")], &[], &[]),
        ] {
            for mut caller in stocked.callers(&gateway, secret, headers).await {
                assert_eq!(caller.tools(json!({})).await, first, "{secret} {headers:?}");
                assert_eq!(cursor(&mut caller, "tools/list").await, "page two");
                let page = json!({ "cursor": "page two" });
                assert_eq!(caller.tools(page).await, second, "{secret} {headers:?}");
                let before = stocked.remote.of("tools/call").len();
                for name in ["read_page", "write_page", "delete_page"] {
                    let answer = caller.answer("tools/call", json!({ "name": name, "arguments": {} })).await;
                    let offered = first.contains(&name) || second.contains(&name);
                    let code = if offered { Value::Null } else { json!(-32602) };
                    assert_eq!(answer["error"]["code"], code, "{secret} {headers:?} {answer}");
                }
                let heard = stocked.remote.of("tools/call").len() - before;
                assert_eq!(heard, first.len() + second.len(), "{secret} {headers:?}");
                let read = caller.answer("resources/read", json!({ "uri": "docs://a" })).await;
                assert_eq!(read["error"]["code"] == -32602, secret == "less", "{read}");
            }
        }
    }
}
