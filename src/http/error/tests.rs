use std::borrow::Cow;

use super::*;
use crate::access::Limit;
use crate::http::Refusals;
use crate::ids::{SessionId, SessionTag};
use crate::mcp::Era;

fn tag() -> SessionTag {
    SessionId::parse(&"A".repeat(43)).unwrap().tag()
}

/// One of each of access and catalog.
fn refusals_of_a_head() -> Vec<Refusal> {
    let allowance = Allowance { per_minute: 6, remaining: 0, wait: Duration::from_millis(1500) };
    let mut all: Vec<Refusal> = Vec::new();
    all.extend(
        [
            Denied::Origin,
            Denied::Host,
            Denied::Credentials("the Authorization header is missing"),
            Denied::Secret,
            Denied::Failures(Duration::from_millis(1)),
            Denied::Rate(Limit::Requests, allowance),
            Denied::Away,
        ]
        .map(Refusal::from),
    );
    all.extend([BadTarget::Escape, BadTarget::Utf8, BadTarget::Control].map(Refusal::from));
    all.extend(
        [
            BadVariable::Name("lower".into()),
            BadVariable::Value("A".into()),
            BadVariable::Conflict("A".into()),
            BadVariable::Blocked("LD_PRELOAD".into()),
            BadVariable::Settled("REGION".into()),
            BadVariable::TooMuch,
        ]
        .map(Refusal::from),
    );
    all.extend([Refused::NotAllowed, Refused::Variable(BadVariable::TooMuch)].map(Refusal::from));
    all
}

/// One of each. `NotOpened::Start`, which holds what is not ours to know, is tried from outside (`status.rs`).
fn every_refusal() -> Vec<Refusal> {
    let mut all = refusals_of_a_head();
    all.extend(
        [
            NotOpened::Draining,
            NotOpened::Full(Full::Host),
            NotOpened::Full(Full::Tenant),
            NotOpened::Full(Full::Server),
            NotOpened::NoRandom,
            NotOpened::Away,
        ]
        .map(Refusal::from),
    );
    all.extend(
        [
            Undelivered::NoSession,
            Undelivered::Busy,
            Undelivered::Draining,
            Undelivered::DuplicateId,
            Undelivered::NotBegun(tag()),
            Undelivered::Begun(tag()),
        ]
        .map(Refusal::from),
    );
    let no_json = crate::mcp::Frame::parse("{".into()).unwrap_err();
    let no_message = Malformed::NotMessage("it is not an object");
    all.extend([no_json, Malformed::Batch, Malformed::TooMany(100), no_message].map(Refusal::from));
    all.extend(
        [
            Misfit::Missing(vec!["a", "b"]),
            Misfit::Malformed("_meta", "must be an object"),
            Misfit::Header(Cow::Borrowed("Mcp-Method"), "is there twice"),
            Misfit::version("1999", Era::Handshake),
            Misfit::Message("a client does not answer"),
        ]
        .map(Refusal::from),
    );
    all.extend([NotResumed::NoSession, NotResumed::Exhausted, NotResumed::Lost].map(Refusal::from));
    all.extend([Crowded::All, Crowded::Tenant].map(Refusal::from));
    all.extend([
        Refusal::Failed(Failure { code: Code::Internal, message: "the server ended".into(), data: None }),
        Refusal::Content("the body must be sent in UTF-8"),
        Refusal::NoEvents,
        Refusal::Revision("1999".into()),
        Refusal::NoSessionNamed,
        Refusal::NotInSession,
        Refusal::Batch("the batch is empty"),
        Refusal::NotAcceptable,
        Refusal::TooLarge(bytesize::ByteSize::mib(4)),
        Refusal::Slow,
        Refusal::Broken,
        Refusal::Method("GET, OPTIONS"),
    ]);
    all
}

/// What an error must not hold: paths, what the system calls its errors, what we are built of.
fn leaks(text: &str) -> Option<String> {
    let mut text = text.to_owned();
    for media_type in ["application/json", "text/event-stream", "application/problem+json"] {
        text = text.replace(media_type, "");
    }
    // Routes that anybody may know.
    for route in ["/{server}/mcp", "/{server}/sse"] {
        text = text.replace(route, "");
    }
    let lower = text.to_ascii_lowercase();
    let words = [
        "/",
        "\\\\",
        "os error",
        "errno",
        "enoent",
        "eacces",
        "no such file",
        "permission denied",
        "panicked",
        "src",
        ".rs",
        "actix",
        "tokio",
        "serde",
        "hyper",
        "unwrap",
        "::",
        "0x",
    ];
    let known = words.iter().find(|word| lower.contains(*word)).map(|word| (*word).to_owned());
    known.or_else(|| text.contains(env!("CARGO_PKG_VERSION")).then(|| "our version".into()))
}

#[test]
fn no_error_shows_what_is_behind_it() {
    for refusal in every_refusal() {
        let text = refusal.to_string();
        assert_eq!(leaks(&text), None, "{text}");
        let response = refusal.response(None);
        for (name, value) in response.headers() {
            let value = value.to_str().unwrap();
            assert_eq!(leaks(value), None, "{name}: {value}");
        }
    }
    for crowded in [connections::Crowded::All, connections::Crowded::Address] {
        let text = turned_away(crowded);
        assert_eq!(leaks(&text.replace("HTTP/1.1", "")), None, "{text}");
    }
}

#[test]
fn every_refusal_is_counted() {
    let (all, refusals) = (every_refusal(), Refusals::default());
    all.iter().for_each(|refusal| refusals.count(refusal));
    assert_eq!(refusals.counts().map(|(_, count)| count).sum::<u64>(), all.len() as u64);
}

#[test]
fn who_is_to_come_back_is_told_when() {
    for refusal in every_refusal() {
        let response = refusal.response(None);
        let later =
            [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&response.status());
        let wait =
            response.headers().get(RETRY_AFTER).map(|wait| wait.to_str().unwrap().parse::<u64>().unwrap());
        assert_eq!(later, wait.is_some_and(|wait| wait >= 1), "{refusal}");
    }
}
