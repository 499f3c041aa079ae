//! Whatever a client sends, what passes the checks of the stateless era is what its headers say, to any
//! reader.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use lockgate::mcp::{
    Enveloped, Era, Failure, Frame, Kind, Mirror, Misfit, Origin, RequestId, ToolHeaders, era_of,
};
use lockgate_fuzz::{CAPABILITIES, Case, Text, VERSION, at, spliced};
use serde_json::Value;

const SERVED: &str = "2026-07-28";
/// An answer that marks two arguments of the tool `t`.
const PAGE: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"t","inputSchema":{"properties":{
    "region":{"x-mcp-header":"Region"},"size":{"properties":{"n":{"x-mcp-header":"N"}}}}}}]}}"#;

fuzz_target!(|case: Case| {
    let mirror = mirror(&case);
    let known = tools(&case.page.0);
    if let Ok(frame) = Frame::parse(Bytes::copy_from_slice(&case.request.0)) {
        classified(&frame, &mirror, &known);
    }
});

fn mirror(case: &Case) -> Mirror<'_> {
    let mut mirror = Mirror::default();
    for (name, Text(value)) in &case.headers {
        match (&**name, name.strip_prefix("mcp-param-")) {
            ("mcp-protocol-version", _) => mirror.version.push(value),
            ("mcp-method", _) => mirror.method.push(value),
            ("mcp-name", _) => mirror.name.push(value),
            (_, Some(name)) => mirror.params.push((name, value)),
            _ => {}
        }
    }
    mirror
}

fn tools(page: &[u8]) -> ToolHeaders {
    let mut known = ToolHeaders::default();
    if let Ok(page) = Frame::parse(Bytes::copy_from_slice(page)) {
        known.add_page(&page);
    }
    known
}

fn classified(frame: &Frame, mirror: &Mirror<'_>, known: &ToolHeaders) {
    let era = era_of(frame, mirror).inspect_err(reported);
    let claimed = era_of(frame, &Mirror::default()).expect("without headers nothing disagrees");
    assert!(claimed == Era::Handshake || era == Ok(Era::Stateless), "a header changes no claim");
    assert!(era != Ok(Era::Stateless) || !matches!(frame.kind(), Kind::Response(_)));
    let checked = Enveloped::check(frame.clone(), mirror).inspect_err(reported);
    // Nobody asks for the check of other messages.
    if let (Ok(request), Kind::Request(id, _)) = (checked, frame.kind()) {
        assert_eq!(era, Ok(Era::Stateless));
        passed(&request, mirror);
        renumbered(frame, id);
        let _ = known.check(&request, mirror).inspect_err(reported);
        if tools(PAGE.as_bytes()).check(&request, mirror).inspect_err(reported).is_ok() {
            repeated(&request, mirror);
        }
    }
}

/// What a client is told is a message.
fn reported(misfit: &Misfit) {
    let body = Failure::from(misfit).body(Some(&RequestId::number(1)));
    assert!(Frame::parse(body.into()).is_ok_and(|answer| answer.is_error()), "{misfit:?}");
}

fn passed(request: &Enveloped, mirror: &Mirror<'_>) {
    let whole = std::str::from_utf8(request.frame().bytes()).expect("a message is text");
    let read = |path: &[&str]| at(whole, path).expect("what counts is there once");
    let text = |path: &[&str]| read(path).and_then(string);
    assert_eq!(value(&mirror.version).as_deref(), Some(SERVED));
    assert_eq!(text(&["params", "_meta", VERSION]).as_deref(), Some(SERVED));
    let method = request.frame().method();
    assert_eq!(value(&mirror.method).as_deref(), Some(&*method));
    assert!(!matches!(&*method, "initialize" | "ping" | "resources/subscribe"), "removed in {SERVED}");
    let name = match &*method {
        "tools/call" | "prompts/get" => text(&["params", "name"]),
        "resources/read" => text(&["params", "uri"]),
        _ => None,
    };
    assert!(name.is_none() || unwrapped(&mirror.name) == name);
    assert_eq!(request.tool(), name.as_deref().filter(|_| method == "tools/call"));

    let capabilities = read(&["params", "_meta", CAPABILITIES]).expect("it is required");
    let inside = capabilities.strip_prefix('{').expect("it is an object");
    let respelled = spliced(whole, &[(Some(capabilities), &format!("{{ {inside}"))]);
    let other = Frame::parse(respelled.into()).map(|frame| Enveloped::check(frame, mirror));
    assert!(matches!(other, Ok(Ok(other)) if other.capabilities() == request.capabilities()));
}

/// A backend that others share sees no number of the client's choosing.
fn renumbered(frame: &Frame, id: &RequestId) {
    let number = RequestId::number(u64::MAX);
    let (_, numbered) = Origin::renumber(frame, id.clone(), &number);
    let text = std::str::from_utf8(numbered.bytes()).expect("a message is text");
    for path in [&["id"][..], &["params", "_meta", "progressToken"]] {
        let token = at(text, path).expect("what is renumbered is there once");
        assert!(token.is_none_or(|token| token == number.token()), "{text}");
    }
}

/// What headers repeat of the arguments is what they say.
fn repeated(request: &Enveloped, mirror: &Mirror<'_>) {
    if request.tool() != Some("t") {
        return;
    }
    for (header, path) in [("region", &["arguments", "region"][..]), ("n", &["arguments", "size", "n"])] {
        let values: Vec<_> =
            mirror.params.iter().filter(|(name, _)| *name == header).map(|(_, v)| *v).collect();
        let own = at(request.frame().payload(), path).expect("what a header repeats is there once");
        let (own, text) = (own.filter(|token| *token != "null"), unwrapped(&values));
        let same = |own: &str, text: &str| match string(own) {
            Some(own) => own == text,
            None => json(own) == json(text) || own.parse::<f64>().is_ok_and(|own| text.parse() == Ok(own)),
        };
        assert!(
            own.zip(text.as_deref()).map_or(own.is_none() && text.is_none(), |(own, text)| same(own, text))
        );
    }
}

fn string(token: &str) -> Option<String> {
    serde_json::from_str(token).ok()
}

fn json(token: &str) -> Option<Value> {
    serde_json::from_str(token).ok()
}

/// The one value of a header.
fn value(values: &[&[u8]]) -> Option<String> {
    let [one] = values else { return None };
    Some(std::str::from_utf8(one).ok()?.trim_matches([' ', '\t']).to_owned())
}

fn unwrapped(values: &[&[u8]]) -> Option<String> {
    let text = value(values)?;
    match text.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(inside) => String::from_utf8(STANDARD.decode(inside).ok()?).ok(),
        None => Some(text),
    }
}
