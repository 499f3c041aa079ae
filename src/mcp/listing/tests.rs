use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn answer(result: &str) -> Frame {
    Frame::parse(Bytes::from(format!(r#"{{"id":7,"result":{result},"jsonrpc":"2.0"}}"#))).unwrap()
}

/// What is left of a list of tools where names that begin with `d` are denied.
fn left(result: &str) -> Result<String, Unlisted> {
    let frame = answer(result).without(Listed::Tools, |name| !name.starts_with('d'))?;
    // What the message says of itself is still what its bytes say.
    let read = Frame::parse(frame.bytes().clone()).unwrap();
    assert_eq!((read.kind(), read.payload()), (frame.kind(), frame.payload()));
    Ok(frame.payload().to_owned())
}

#[test]
fn what_is_denied_goes_and_the_rest_stays_to_the_byte() {
    for (result, expected) in [
        (
            r#"{"tools":[{"name":"a"},{"name":"d"}],"nextCursor":"\u0063"}"#,
            Some(r#"{"tools":[{"name":"a"}],"nextCursor":"\u0063"}"#),
        ),
        (
            r#"{"tools": [ {"name":"d"} , {"x":1e400,"name":"a"} ] }"#,
            Some(r#"{"tools": [ {"x":1e400,"name":"a"} ] }"#),
        ),
        (r#"{"tools":[{"name":"d"}]}"#, Some(r#"{"tools":[]}"#)),
        (
            r#"{"tools":[{"name":"\u0064x"},{"title":"no name"},7,{"name":1},{"name":"b"}]}"#,
            Some(r#"{"tools":[{"name":"b"}]}"#),
        ),
        (r#"{"tools":[{"name":"a","name":"d"},{"name":"b","Name":"d"}]}"#, Some(r#"{"tools":[]}"#)),
        (r#"{"tools":[]}"#, None),
        (r#"{"resources":[{"name":"d"}],"resultType":"input_required"}"#, None),
    ] {
        assert_eq!(left(result).unwrap(), expected.unwrap_or(result));
    }
}

#[test]
fn what_readers_may_take_for_different_lists_is_not_shown() {
    for result in [
        r#"{"tools":[],"tools":[{"name":"d"}]}"#,
        r#"{"tools":[],"Tools":[{"name":"d"}]}"#,
        r#"{"tools":{"d":{"name":"d"}}}"#,
        r#"{"tools":null}"#,
        r#"[{"name":"d"}]"#,
        r#""d""#,
    ] {
        assert!(left(result).is_err(), "{result}");
    }
}

#[test]
fn an_error_passes() {
    let text = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no","tools":[{"name":"d"}]}}"#;
    let frame = Frame::parse(Bytes::from(text)).unwrap().without(Listed::Tools, |_| false).unwrap();
    assert_eq!(frame.bytes(), text);
}

fn member() -> impl Strategy<Value = (bool, String)> {
    let rest = prop::sample::select(vec!["", r#","x":[1e400,"\ud800"]"#, r#","y":{"name":"d"}"#]);
    (any::<bool>(), "[a-z\"\\\\]{0,5}", rest).prop_map(|(denied, name, rest)| {
        let name = serde_json::Value::from(format!("{}{name}", if denied { "d" } else { "a" }));
        (denied, format!(r#"{{ "name" :{name}{rest}}}"#))
    })
}

proptest! {
    /// A list is left as the members that are seen, each as it was, and everything around it as it was.
    #[test]
    fn lists_lose_what_is_denied_and_nothing_else(
        members in prop::collection::vec((member(), "[ \t]{0,2}"), 0..12),
        rest in prop::sample::select(vec!["", r#","nextCursor":"c""#, r#","_meta":{"tools":[{"name":"d"}]}"#]),
    ) {
        let list = |denied_too: bool| {
            let shown = members.iter().filter(|((denied, _), _)| denied_too || !denied);
            shown.map(|((_, text), space)| format!("{space}{text}")).collect::<Vec<_>>()
        };
        let text = |members: &[String]| format!(r#"{{"tools":[{}]{rest}}}"#, members.join(","));
        let whole = text(&list(true));
        let all = answer(&whole);
        let unfiltered = all.clone().without(Listed::Tools, |_| true).unwrap();
        prop_assert_eq!(unfiltered.bytes(), all.bytes());
        let left = left(&whole).unwrap();
        // White space before the first of the list belongs to the list.
        let compact = |text: &str| text.replace([' ', '\t'], "");
        prop_assert_eq!(compact(&left), compact(&text(&list(false))));
        for member in list(false).iter().skip(1) {
            prop_assert!(left.contains(member.as_str()), "{} in {}", member, left);
        }
    }
}
