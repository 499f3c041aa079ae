use bytes::Bytes;

use super::*;

fn frame(message: &Value) -> Frame {
    Frame::parse(Bytes::from(message.to_string())).unwrap()
}

fn meta() -> Value {
    json!({ VERSION: "2026-07-28", CAPABILITIES: { "b": 1, "a": {} }, CLIENT: { "name": "n", "version": "1" } })
}

fn request(method: &str, mut params: Value, meta: Value) -> Frame {
    params["_meta"] = meta;
    frame(&json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }))
}

fn mirror<'a>(version: &'a str, method: &'a str, name: Option<&'a str>) -> Mirror<'a> {
    let name = name.map(str::as_bytes).into_iter().collect();
    Mirror { version: vec![version.as_bytes()], method: vec![method.as_bytes()], name, params: Vec::new() }
}

fn code(frame: Frame, mirror: &Mirror<'_>) -> Code {
    Enveloped::check(frame, mirror).unwrap_err().code()
}

#[test]
fn the_body_decides_the_era_and_the_header_cross_checks() {
    let (new, old) = (mirror("2026-07-28", "m", None), mirror("2025-11-25", "m", None));
    let enveloped = request("tools/list", json!({}), meta());
    assert_eq!(era_of(&enveloped, &old), Ok(Era::Stateless));
    assert_eq!(era_of(&enveloped, &Mirror::default()), Ok(Era::Stateless));
    let plain = frame(&json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list" }));
    assert_eq!(era_of(&plain, &old), Ok(Era::Handshake));
    assert_eq!(era_of(&plain, &new).unwrap_err().code(), Code::InvalidParams);
    let initialize = frame(&json!({ "jsonrpc": "2.0", "id": 7, "method": "initialize", "params": {} }));
    assert_eq!(era_of(&initialize, &new), Ok(Era::Handshake));
    assert_eq!(era_of(&request("initialize", json!({}), meta()), &new), Ok(Era::Stateless));
    let half = json!({ VERSION: "2026-07-28" });
    assert_eq!(era_of(&request("initialize", json!({}), half), &new), Ok(Era::Handshake));
    let note = frame(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled" }));
    assert_eq!(era_of(&note, &new), Ok(Era::Stateless));
    assert_eq!(era_of(&note, &old), Ok(Era::Handshake));
    let answer = frame(&json!({ "jsonrpc": "2.0", "id": 7, "result": {} }));
    assert_eq!(era_of(&answer, &new).unwrap_err().code(), Code::InvalidRequest);
    assert_eq!(era_of(&answer, &old), Ok(Era::Handshake));
}

#[test]
fn the_envelope_is_complete_and_well_formed() {
    let list = mirror("2026-07-28", "tools/list", None);
    for (key, value) in [
        (VERSION, json!(1)),
        (CAPABILITIES, json!([])),
        (CLIENT, json!({ "name": "n" })),
        (CLIENT, json!("n")),
    ] {
        let mut broken = meta();
        broken[key] = value;
        assert_eq!(code(request("tools/list", json!({}), broken), &list), Code::InvalidParams);
    }
    let missing =
        Enveloped::check(request("tools/list", json!({}), json!({ VERSION: "1" })), &list).unwrap_err();
    assert_eq!(missing, Misfit::Missing(vec![CAPABILITIES]));
    let whole = Enveloped::check(request("tools/list", json!({}), meta()), &list).unwrap();
    let text = whole.frame().bytes().to_vec();
    let text = String::from_utf8(text).unwrap().replace(r#"{"a":{},"b":1}"#, r#"{ "b": 1, "a": {} }"#);
    let other = Enveloped::check(Frame::parse(Bytes::from(text.clone())).unwrap(), &list).unwrap();
    assert_eq!(whole.capabilities(), other.capabilities());
    let other = Frame::parse(Bytes::from(text.replace(r#""b": 1"#, r#""b": 2"#))).unwrap();
    assert_ne!(Enveloped::check(other, &list).unwrap().capabilities(), whole.capabilities());
}

#[test]
fn a_version_that_disagrees_comes_before_one_that_is_not_served() {
    let mut future = meta();
    future[VERSION] = "2099-01-01".into();
    let ask = || request("tools/list", json!({}), future.clone());
    assert_eq!(code(ask(), &mirror("2026-07-28", "tools/list", None)), Code::HeaderMismatch);
    let refused = Enveloped::check(ask(), &mirror("2099-01-01", "tools/list", None)).unwrap_err();
    assert_eq!(refused.code(), Code::UnsupportedVersion);
    assert_eq!(refused.data(), Some(json!({ "supported": ["2026-07-28"], "requested": "2099-01-01" })));
    let none = Mirror { version: Vec::new(), ..mirror("", "tools/list", None) };
    assert_eq!(code(request("tools/list", json!({}), meta()), &none), Code::HeaderMismatch);
}

#[test]
fn method_and_name_are_repeated_exactly() {
    let call = || request("tools/call", json!({ "name": "é" }), meta());
    let check = |method, name| Enveloped::check(call(), &mirror("2026-07-28", method, name));
    assert_eq!(check("tools/call", Some("=?base64?w6k=?=")).unwrap().tool(), Some("é"));
    assert!(check("tools/call", Some("é")).is_ok());
    for (method, name) in [
        ("tools/Call", Some("é")),
        ("tools/call", None),
        ("tools/call", Some("e")),
        ("tools/call", Some("=?base64?w6k?=")),
    ] {
        assert_eq!(check(method, name).unwrap_err().code(), Code::HeaderMismatch, "{method} {name:?}");
    }
    let doubled = Mirror { method: vec![b"tools/call"; 2], ..mirror("2026-07-28", "", Some("é")) };
    assert_eq!(code(call(), &doubled), Code::HeaderMismatch);
    let read = request("resources/read", json!({ "uri": "a:b", "name": "x" }), meta());
    assert!(Enveloped::check(read, &mirror("2026-07-28", "resources/read", Some("a:b"))).is_ok());
}

#[test]
fn a_name_that_could_be_read_in_two_ways_is_refused() {
    let text = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "a", "_meta": meta() } })
        .to_string()
        .replace(r#""name":"a""#, r#""name":"a","name":"b""#);
    let doubled = Frame::parse(Bytes::from(text)).unwrap();
    assert_eq!(code(doubled, &mirror("2026-07-28", "tools/call", Some("a"))), Code::InvalidParams);
    let mut tokens = meta();
    tokens["progressToken"] = 77.into();
    let text = String::from_utf8(request("tools/list", json!({}), tokens).bytes().to_vec()).unwrap();
    let text = text.replace(r#""progressToken":77"#, r#""progressToken":77,"progressToken":77"#);
    let doubled = Frame::parse(Bytes::from(text)).unwrap();
    assert_eq!(code(doubled, &mirror("2026-07-28", "tools/list", None)), Code::InvalidParams);
}

#[test]
fn removed_methods_are_unknown() {
    for method in REMOVED {
        assert_eq!(
            code(request(method, json!({}), meta()), &mirror("2026-07-28", method, None)),
            Code::NoMethod
        );
    }
}
