use super::*;

const SERVER: &str = "io.modelcontextprotocol/serverInfo";

fn answered(both: &mut Both, method: &str, result: &str) -> Value {
    let sent = both.asks(1, method, r#"{"name":"t"}"#);
    assert_eq!(sent.to_backend[0]["id"], 1);
    let mut said = both.answers("1", result);
    assert_eq!((said.to_client.len(), said.to_backend.len()), (1, 0));
    assert!(both.open_one().requests.is_empty());
    said.to_client.remove(0)["result"].take()
}

#[test]
fn a_request_loses_what_belongs_to_the_other_era_and_nothing_else() {
    let mut both = Both::open("{}");
    let asked = r#"{"a" : 1e400 ,"inputResponses":{}, "_meta":{"x":"\/","io.modelcontextprotocol/protocolVersion":"2026-07-28","traceparent":"00","io.modelcontextprotocol/clientInfo":{},"io.modelcontextprotocol/clientCapabilities":{},"progressToken":1},"b":[]}"#;
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{asked}}}"#);
    let out = both.does(|upgrade, now, out| upgrade.client_says(frame(&text), now, out));
    let expected = r#"{"a" : 1e400, "_meta":{"x":"\/","traceparent":"00","progressToken":1},"b":[]}"#;
    assert_eq!(out.to_backend[0].payload(), expected);
}

#[test]
fn results_say_what_clients_of_the_other_era_look_for() {
    let mut both = Both::open("{}");
    let info = json!({ "name": "s", "version": "1" });
    let plain = answered(&mut both, "completion/complete", r#"{"a":1,"resultType":"own","ttlMs":5}"#);
    assert_eq!(plain, json!({ "resultType": "complete", "_meta": { SERVER: info }, "a": 1, "ttlMs": 5 }));
    let merged = answered(&mut both, "tools/call", &format!(r#"{{"_meta":{{"{SERVER}":1,"b":2}},"c":[]}}"#));
    assert_eq!(merged, json!({ "resultType": "complete", "_meta": { SERVER: info, "b": 2 }, "c": [] }));
    for odd in [r#"{"_meta":7}"#, r#"{"_meta":{"a":1},"_meta":{}}"#, "{}"] {
        let result = answered(&mut both, "tools/call", odd);
        assert_eq!(result, json!({ "resultType": "complete", "_meta": { SERVER: info } }), "{odd}");
    }
    for method in
        ["tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"]
    {
        let result = answered(&mut both, method, r#"{"ttlMs":9,"cacheScope":"public","x":1}"#);
        let expected = json!({
            "resultType": "complete", "ttlMs": 0, "cacheScope": "private", "_meta": { SERVER: info }, "x": 1
        });
        assert_eq!(result, expected, "{method}");
    }
}

#[test]
fn what_passes_keeps_its_bytes() {
    let mut both = Both::open("{}");
    both.asks(1, "tools/list", "{}");
    let answer = frame(
        r#"{"result":{"tools":[ {"name":"\u0061" , "execution":{"taskSupport":"optional"},"n":1e400},{"execution":1}, 7 ],"resultType":"x"},"jsonrpc":"2.0","id":1}"#,
    );
    let out = both.does(|upgrade, now, out| upgrade.backend_says(answer, now, out));
    let expected = format!(
        r#"{{"result":{{"resultType":"complete","ttlMs":0,"cacheScope":"private","_meta":{{"{SERVER}":{INFO}}},"tools":[ {{"name":"\u0061","n":1e400}},{{}}, 7 ]}},"jsonrpc":"2.0","id":1}}"#
    );
    assert_eq!(out.to_client[0].frame.bytes(), &expected);
}

#[test]
fn tools_that_can_be_called_as_tasks_only_are_not_listed() {
    let mut both = Both::open("{}");
    both.asks(1, "tools/list", "{}");
    let tools = r#"{"tools":[{"name":"a","execution":{"taskSupport":"required"}},{"name":"b","execution":{"taskSupport":"optional"}}]}"#;
    let listed = both.answers("1", tools).to_client.remove(0);
    assert_eq!(listed["result"]["tools"], json!([{ "name": "b" }]));
}

#[test]
fn a_result_that_is_none_is_said_to_be_none() {
    let mut both = Both::open("{}");
    for result in ["7", "null", "[]"] {
        both.asks(1, "tools/call", "{}");
        assert_eq!(code(&both.answers("1", result).to_client[0]), -32603, "{result}");
    }
}

#[test]
fn errors_are_those_of_the_other_era() {
    let mut both = Both::open("{}");
    let mut error = |code: i64, method: &str| {
        both.asks(1, method, "{}");
        let mut said =
            both.fails("1", &format!(r#"{{"data":{{"elicitations":[]}},"code":{code},"message":"m"}}"#));
        assert_eq!(said.to_client.len(), 1);
        said.to_client.remove(0)["error"].take()
    };
    assert_eq!(
        error(-32002, "resources/read"),
        json!({"data":{"elicitations":[]},"code":-32602,"message":"m"})
    );
    assert_eq!(error(-32601, "a/b")["code"], -32601);
    assert_eq!(error(17, "tools/call")["code"], 17);
    assert_eq!(error(-32042, "tools/list")["code"], -32603, "only a call can be answered with a question");
}

#[test]
fn tasks_of_the_handshake_era_are_not_there() {
    let mut both = Both::open("{}");
    let said = both.asks(1, "tasks/get", "{}");
    assert_eq!((code(&said.to_client[0]), said.to_backend.len()), (-32601, 0));
}

#[test]
fn requests_that_cannot_be_read_in_one_way_are_refused() {
    let mut both = Both::open(EVERYTHING);
    let meta =
        r#""_meta":{"io.modelcontextprotocol/logLevel":"info","io.modelcontextprotocol/logLevel":"debug"}"#;
    for params in
        ["[]", r#"{"requestState":"a","requestState":"b"}"#, &format!("{{{meta}}}"), r#"{"_meta":7}"#]
    {
        let said = both.asks(1, "tools/call", params);
        assert_eq!((code(&said.to_client[0]), said.to_backend.len()), (-32602, 0), "{params}");
    }
    assert!(!both.upgrade.is_taken());
}

#[test]
fn what_a_client_calls_off_is_called_off_at_the_backend_and_answered_no_more() {
    let mut both = Both::open("{}");
    both.calls(1);
    both.calls(2);
    let off = both.calls_off(1);
    assert_eq!(off.to_backend[0]["params"], json!({ "requestId": 1, "reason": "r" }));
    assert_eq!(both.calls_off(1), Said::default());
    assert_eq!(both.answers("1", "{}"), Said::default());
    assert_eq!(both.answers("2", "{}").to_client[0]["id"], 2);
    assert_eq!(both.answers("2", "{}"), Said::default());
    assert_eq!(both.calls_off(77), Said::default());
    assert!(both.open_one().requests.is_empty());
}

#[test]
fn other_notifications_pass_in_neither_direction() {
    let mut both = Both::open(EVERYTHING);
    let note = r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#;
    assert_eq!(both.client(note), Said::default());
    assert_eq!(both.client(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), Said::default());
    assert_eq!(both.client(r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#), Said::default());
    both.calls(1);
    for method in ["elicitation/complete", "cancelled", "x"] {
        assert_eq!(both.tells(method, r#"{"requestId":1,"elicitationId":"e"}"#), Said::default(), "{method}");
    }
    assert_eq!(both.backend(r#"{"jsonrpc":"2.0","error":{"code":1,"message":"m"}}"#), Said::default());
    assert_eq!(both.answers("1", "{}").to_client.len(), 1);
}

#[test]
fn progress_goes_to_who_wants_it_and_waits() {
    let mut both = Both::open("{}");
    both.asks(1, "tools/call", r#"{"_meta":{"progressToken":1}}"#);
    both.asks(2, "tools/call", "{}");
    let told = both.tells("progress", r#"{"progressToken":1,"progress":0.5}"#);
    assert_eq!(told.to_client[0]["params"], json!({ "progressToken": 1, "progress": 0.5 }));
    for nobody in ["2", "3", r#""1""#, "{}"] {
        let told = both.tells("progress", &format!(r#"{{"progressToken":{nobody},"progress":1}}"#));
        assert_eq!(told, Said::default(), "{nobody}");
    }
    both.answers("1", "{}");
    assert_eq!(both.tells("progress", r#"{"progressToken":1,"progress":1}"#), Said::default());
}

fn leveled(level: &str) -> String {
    format!(r#"{{"_meta":{{"io.modelcontextprotocol/logLevel":{level}}}}}"#)
}

#[test]
fn a_backend_is_told_the_level_when_it_changes() {
    let mut both = Both::open("{}");
    let said = both.asks(1, "tools/call", &leveled(r#""info""#));
    assert_eq!(said.to_backend[0]["method"], "logging/setLevel");
    assert_eq!(said.to_backend[0]["params"], json!({ "level": "info" }));
    assert_eq!(said.to_backend[1]["method"], "tools/call");
    let own = said.to_backend[0]["id"].to_string();
    assert_eq!(both.answers(&own, "{}"), Said::default());
    assert_eq!(both.asks(2, "tools/call", &leveled(r#""info""#)).to_backend.len(), 1);
    assert_eq!(both.calls(3).to_backend.len(), 1);
    assert_eq!(both.asks(4, "tools/call", &leveled(r#""debug""#)).to_backend.len(), 2);
    let said = both.asks(5, "tools/call", &leveled(r#""loud""#));
    assert_eq!((code(&said.to_client[0]), said.to_backend.len()), (-32602, 0));

    let (mut both, _) = Both::begin(sides("{}"));
    both.answers(r#""lockgate-1""#, r#"{"capabilities":{}}"#);
    assert_eq!(both.asks(1, "tools/call", &leveled(r#""info""#)).to_backend.len(), 1, "it has no log");
}

#[test]
fn a_line_of_the_log_goes_to_the_only_request_that_it_can_be_of() {
    let mut both = Both::open("{}");
    let line = |level: &str| format!(r#"{{"level":"{level}","data":"d"}}"#);
    assert_eq!(both.tells("message", &line("error")), Said::default());
    both.asks(1, "tools/call", &leveled(r#""info""#));
    let text = format!(r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{}}}"#, line("info"));
    let out = both.does(|upgrade, now, out| upgrade.backend_says(frame(&text), now, out));
    assert_eq!(out.to_client[0].about, Some(RequestId::number(1)));
    assert_eq!(out.to_client[0].frame.bytes(), &text);
    assert_eq!(both.tells("message", &line("debug")), Said::default());
    assert_eq!(both.tells("message", &line("loud")), Said::default());
    both.calls(2);
    assert_eq!(both.tells("message", &line("error")), Said::default(), "it could be of the other");
    both.answers("1", "{}");
    assert_eq!(both.tells("message", &line("error")), Said::default(), "nobody asked for it");
    both.answers("2", "{}");
    both.asks(3, "tools/list", &leveled(r#""info""#));
    let listen = r#"{"notifications":{"resourceSubscriptions":["u"]}}"#;
    both.asks(4, "subscriptions/listen", listen);
    assert_eq!(both.tells("message", &line("error")), Said::default(), "it could be of our own question");
}
