//! Remotes that behave badly: the call fails, clearly and alone.

use std::sync::Arc;

use serde_json::json;

use crate::remote::{call, end, gateway, goes_on, is_told, open};
use crate::scripted::reply::Reply;
use crate::scripted::{Request, faults, handshake};

/// How a remote answers.
type Fault = fn(&Request) -> Reply;

/// While another call of the same session is open, and another session.
async fn fails_alone(fault: Fault, words: &[&str]) {
    let (remote, server) = handshake::remote_but("fault", fault);
    let gateway = gateway(&remote, "");
    let session = Arc::new(open(&gateway).await);
    let bystander = open(&gateway).await;
    let gated = tokio::spawn({
        let session = session.clone();
        async move { call(&session, 4, "gated", json!({})).await }
    });
    remote.called("gated").await;
    is_told(&call(&session, 5, "fault", json!({})).await, 5, words);
    goes_on(&session, 6).await;
    goes_on(&bystander, 7).await;
    server.door.open();
    assert_eq!(gated.await.unwrap()["result"]["said"], "late");
    end(&gateway, &[&session, &bystander]).await;
    remote.until("both have ended there", |_| server.sessions().is_empty()).await;
}

/// The same for what nobody waits for any longer: until then, and after it, others are served.
async fn times_out_alone(fault: Fault) {
    let (remote, server) = handshake::remote_but("fault", fault);
    let gateway = gateway(&remote, "timeout = \"1s\"");
    let session = Arc::new(open(&gateway).await);
    let bystander = open(&gateway).await;
    let hanging = tokio::spawn({
        let session = session.clone();
        async move { call(&session, 5, "fault", json!({})).await }
    });
    let asked = remote.called("fault").await;
    goes_on(&session, 6).await;
    goes_on(&bystander, 7).await;
    is_told(&hanging.await.unwrap(), 5, &["did not answer within 1s"]);
    remote.left(&asked).await;
    let note = remote.called("notifications/cancelled").await;
    assert_eq!(note.message()["params"]["requestId"], asked.message()["id"]);
    goes_on(&session, 8).await;
    end(&gateway, &[&session, &bystander]).await;
    remote.until("both have ended there", |_| server.sessions().is_empty()).await;
}

/// Odd, but the answer can be told, and it is the one that is given.
async fn is_understood(fault: Fault, said: &str) {
    let (remote, _) = handshake::remote_but("fault", fault);
    let gateway = gateway(&remote, "");
    let session = open(&gateway).await;
    let answer = call(&session, 5, "fault", json!({})).await;
    assert_eq!((&answer["id"], &answer["result"]["said"]), (&json!(5), &json!(said)));
    goes_on(&session, 6).await;
    end(&gateway, &[&session]).await;
}

/// A test for each fault, of the same name.
macro_rules! faults {
    ($($name:ident => $check:expr;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                ($check)(faults::$name).await;
            }
        )*
    };
}

const BROKEN: &[&str] = &["closed the connection", "before it answered"];
const TOO_LARGE: &[&str] = &["more than the 16777216 bytes"];
const NO_ANSWER: &[&str] = &["before it answered", "without answering"];
const NO_MESSAGE: &[&str] = &["no json-rpc message"];

faults! {
    hangs_before_headers => times_out_alone;
    hangs_in_the_body => times_out_alone;
    hangs_in_the_stream => times_out_alone;
    drips_for_ever => times_out_alone;
    floods_with_comments => times_out_alone;
    floods_with_json => |fault| fails_alone(fault, TOO_LARGE);
    sends_a_line_that_is_too_long => |fault| fails_alone(fault, TOO_LARGE);
    announces_more_than_anybody_takes => |fault| fails_alone(fault, TOO_LARGE);
    says_too_great_a_length => |fault| fails_alone(fault, BROKEN);
    says_too_small_a_length => |fault| fails_alone(fault, NO_MESSAGE);
    closes_before_headers => |fault| fails_alone(fault, BROKEN);
    resets => |fault| fails_alone(fault, BROKEN);
    closes_in_the_headers => |fault| fails_alone(fault, BROKEN);
    closes_in_the_json => |fault| fails_alone(fault, BROKEN);
    cuts_the_stream => |fault| fails_alone(fault, BROKEN);
    cuts_the_stream_in_an_event => |fault| fails_alone(fault, BROKEN);
    ends_the_stream => |fault| fails_alone(fault, NO_ANSWER);
    is_not_http => |fault| fails_alone(fault, &["http", "connection"]);
    answers_html => |fault| fails_alone(fault, &["text/html", "content type"]);
    answers_in_the_wrong_type => |fault| fails_alone(fault, &["text/plain", "content type"]);
    answers_html_502 => |fault| fails_alone(fault, &["502"]);
    answers_401 => |fault| fails_alone(fault, &["credential"]);
    answers_403 => |fault| fails_alone(fault, &["credential"]);
    answers_429 => |fault| fails_alone(fault, &["429"]);
    answers_202 => |fault| fails_alone(fault, NO_ANSWER);
    answers_another_id => |fault| fails_alone(fault, NO_ANSWER);
    answers_null => |fault| fails_alone(fault, NO_MESSAGE);
    answers_nonsense => |fault| fails_alone(fault, NO_MESSAGE);
    answers_nothing => |fault| fails_alone(fault, NO_MESSAGE);
    redirects_in_a_circle => |fault| fails_alone(fault, &["redirect"]);
    drips => |fault| is_understood(fault, "done");
    answers_twice => |fault| is_understood(fault, "done");
    answers_in_a_batch => |fault| is_understood(fault, "done");
    answers_in_odd_pieces => |fault| is_understood(fault, "done");
    answers_invalid_utf8 => |fault| is_understood(fault, "\u{fffd}done");
}
