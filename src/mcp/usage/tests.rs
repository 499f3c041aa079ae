use bytes::Bytes;

use super::*;

fn frame(text: &str) -> Frame {
    Frame::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

fn request(method: &str, params: &str) -> Frame {
    frame(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#))
}

/// Everything is offered whose name does not begin with `d`.
fn check(frame: &Frame) -> Result<(), Misuse> {
    frame.check_use(|_, name| !name.starts_with('d'))
}

#[test]
fn a_call_names_a_tool_and_its_arguments_are_an_object() {
    for params in [r#"{"name":"x"}"#, r#"{ "arguments" : {} , "name" : "" }"#, r#"{"name":"\ud800","x":7}"#] {
        assert_eq!(request("tools/call", params).check_call(), Ok(()), "{params}");
    }
    for params in [
        "{}",
        r#"{"name":7}"#,
        r#"{"name":null}"#,
        r#"{"name":"x","arguments":[]}"#,
        r#"{"name":"x","arguments":"{}"}"#,
        r#"{"name":"x","arguments":null}"#,
        r#"{"name":"x","name":"y"}"#,
        r#"["x"]"#,
    ] {
        assert!(request("tools/call", params).check_call().is_err(), "{params}");
        assert!(request(r"tools\/call", params).check_call().is_err(), "{params}");
        assert_eq!(request("tools/callx", params).check_call(), Ok(()), "{params}");
    }
    assert!(frame(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#).check_call().is_err());
    assert!(frame(r#"{"jsonrpc":"2.0","method":"tools/call"}"#).check_call().is_err());
}

#[test]
fn everything_that_is_used_by_name_is_looked_at() {
    for (method, of, params) in [
        ("tools/call", Listed::Tools, r#"{"name":"NAME","arguments":{}}"#),
        ("prompts/get", Listed::Prompts, r#"{"name":"NAME"}"#),
        ("resources/read", Listed::Resources, r#"{"uri":"NAME"}"#),
        ("resources/subscribe", Listed::Resources, r#"{"uri":"NAME"}"#),
        ("resources/unsubscribe", Listed::Resources, r#"{"uri":"NAME"}"#),
        ("completion/complete", Listed::Prompts, r#"{"ref":{"type":"ref/prompt","name":"NAME"}}"#),
        ("completion/complete", Listed::Templates, r#"{"ref":{"type":"ref/resource","uri":"NAME"}}"#),
        ("completion/complete", Listed::Templates, r#"{"ref":{"name":"a","uri":"NAME"}}"#),
        (
            "subscriptions/listen",
            Listed::Resources,
            r#"{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["a","NAME","b"]}}"#,
        ),
    ] {
        for (name, offered) in [("allowed", true), ("denied", false), (r"\u0064enied", false)] {
            let expected = if offered { Ok(()) } else { Err(Misuse::NotOffered(of, "denied".to_owned())) };
            assert_eq!(check(&request(method, &params.replace("NAME", name))), expected, "{method}");
        }
        for token in ["7", "null", r#"["allowed"]"#] {
            let malformed = check(&request(method, &params.replace(r#""NAME""#, token)));
            assert!(matches!(malformed, Err(Misuse::Malformed(..))), "{method} {token}");
        }
    }
    assert_eq!(check(&request("tools/list", r#"{"name":"denied"}"#)), Ok(()));
    assert_eq!(check(&request("subscriptions/listen", r#"{"notifications":{}}"#)), Ok(()));
    // Some servers act on a call that expects no answer.
    let silent = r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"denied"}}"#;
    assert!(check(&frame(silent)).is_err());
}

/// What Go's `encoding/json` would read is `denied`.
#[test]
fn what_a_server_may_read_otherwise_does_not_pass() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"denied"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"denied"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"PARAMS":{"name":"denied"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"param\u017f":{"name":"denied"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{"name":"denied"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"Method":"tools/call","params":{"name":"denied"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a","URI":"denied"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{},"Ref":{"name":"denied"}}}"#,
    ] {
        assert!(matches!(check(&frame(text)), Err(Misuse::Malformed(..))), "{text}");
    }
}

#[test]
fn an_error_says_what_to_do_and_repeats_no_more_than_a_name() {
    let misuse = check(&request("tools/call", r#"{"name":"delete\nall"}"#)).unwrap_err();
    let text = r#"tool "delete\nall" is not offered by this server; tools/list shows what is"#;
    assert_eq!(misuse.to_string(), text);
    let long = format!(r#"{{"name":"{}"}}"#, "d".repeat(100_000));
    assert!(check(&request("tools/call", &long)).unwrap_err().to_string().len() < 300);
}

#[test]
fn an_update_names_its_resource() {
    let note = |params: &str| {
        let text =
            format!(r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{params}}}"#);
        frame(&text).updated().map(|uri| uri.map(Cow::into_owned))
    };
    assert_eq!(note(r#"{"uri":"a:\/\/b"}"#), Some(Some("a://b".to_owned())));
    assert_eq!(note(r#"{"uri":"a","Uri":"b"}"#), Some(None));
    assert_eq!(note("{}"), Some(None));
    assert_eq!(request("notifications/resources/updated", "{}").updated(), None);
}
