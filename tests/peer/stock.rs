//! What the scripted server has with `--stocked`: tools on two pages, resources, templates and prompts. Its answers
//! are texts, so that a test can tell whether each byte came through.

use serde_json::Value;

/// The tools of the first page and of the second; each is a method of the peer.
const FIRST: &str = r#"{ "tools" : [ {"name":"echo","x":12345678901234567890123} , {"name":"p\u0069d"},{"name":"raw"} ], "nextCursor" : "\u0032" }"#;
const SECOND: &str = r#"{"tools":[{"name":"heard"},{"name":"environment"}]}"#;
const RESOURCES: &str =
    r#"{"resources":[{"uri":"docs://a"},{"uri":"docs://b"},{"uri":"keys://a"}],"nextCursor":"none"}"#;
const TEMPLATES: &str =
    r#"{"resourceTemplates":[{"uriTemplate":"docs://{x}"},{"uriTemplate":"keys://{x}"}]}"#;
const PROMPTS: &str = r#"{"prompts":[{"name":"greet"},{"name":"scold"}]}"#;

/// The result of a request, if it is one for any of that. A list of tools at the page `doubled` may be read in two
/// ways.
pub(crate) fn answer(method: &str, params: &Value) -> Option<String> {
    let list = match (method, params["cursor"].as_str()) {
        ("tools/list", None) => FIRST,
        ("tools/list", Some("doubled")) => r#"{"tools":[{"name":"echo"}],"Tools":[{"name":"raw"}]}"#,
        ("tools/list", Some(_)) => SECOND,
        ("resources/list", _) => RESOURCES,
        ("resources/templates/list", _) => TEMPLATES,
        ("prompts/list", _) => PROMPTS,
        (
            "prompts/get"
            | "resources/read"
            | "resources/subscribe"
            | "resources/unsubscribe"
            | "completion/complete",
            _,
        ) => return Some(params.to_string()),
        _ => return None,
    };
    Some(list.to_owned())
}
