//! Every way in which a remote answers badly. Each is told the request, so that what is wrong is only that.

use serde_json::json;

use super::reply::{Reply, Step, chunk, event};
use super::{Request, rpc};

const JSON: (&str, &str) = ("content-type", "application/json");
const EVENTS: (&str, &str) = ("content-type", "text/event-stream");
const CHUNKED: (&str, &str) = ("transfer-encoding", "chunked");

/// More than the largest message that a server may send.
const TOO_LARGE: usize = 17 << 20;

/// The proper answer, as text.
fn answer(request: &Request) -> String {
    rpc::result(&request.message(), json!({ "said": "done" })).to_string()
}

/// The first bytes of the proper answer.
fn half(request: &Request) -> Vec<u8> {
    answer(request).into_bytes()[..20].to_vec()
}

fn with_length(length: usize, body: Vec<Step>) -> Reply {
    Reply::steps(&[JSON, ("content-length", &length.to_string())], body)
}

pub(crate) fn hangs_before_headers(_: &Request) -> Reply {
    Reply::raw(vec![Step::Hang])
}

pub(crate) fn hangs_in_the_body(request: &Request) -> Reply {
    with_length(answer(request).len(), vec![Step::Bytes(half(request)), Step::Hang])
}

pub(crate) fn hangs_in_the_stream(_: &Request) -> Reply {
    Reply::stream(vec![Step::Bytes(chunk(b": working\n\n")), Step::Hang])
}

/// Slowly, but to the end.
pub(crate) fn drips(request: &Request) -> Reply {
    with_length(answer(request).len(), vec![Step::Drip(answer(request).into_bytes())])
}

/// A byte now and then, and no end to be seen.
pub(crate) fn drips_for_ever(_: &Request) -> Reply {
    with_length(1 << 20, vec![Step::Drip(vec![b' '; 1 << 20])])
}

pub(crate) fn floods_with_comments(_: &Request) -> Reply {
    Reply::stream(vec![Step::Flood(chunk(b": noise\n\n"))])
}

pub(crate) fn floods_with_events(request: &Request) -> Reply {
    let token = &request.message()["params"]["_meta"]["progressToken"];
    let params = json!({ "progressToken": token, "progress": 1, "message": "x".repeat(1000) });
    Reply::stream(vec![Step::Flood(chunk(&event(&rpc::notification("notifications/progress", params))))])
}

pub(crate) fn floods_with_json(_: &Request) -> Reply {
    Reply::steps(&[JSON, CHUNKED], vec![Step::Bytes(chunk(b"[\"")), Step::Flood(chunk(&[b'x'; 1000]))])
}

pub(crate) fn sends_a_line_that_is_too_long(_: &Request) -> Reply {
    let line = [&b"data: "[..], &vec![b'x'; TOO_LARGE], b"\n\n"].concat();
    Reply::stream(vec![Step::Bytes(chunk(&line)), Step::Hang])
}

pub(crate) fn says_too_great_a_length(request: &Request) -> Reply {
    let text = answer(request);
    with_length(text.len() + 100, vec![Step::Bytes(text.into_bytes()), Step::Close])
}

/// What is left over looks like the response to the next request.
pub(crate) fn says_too_small_a_length(request: &Request) -> Reply {
    let forged = json!({ "jsonrpc": "2.0", "id": 6, "result": { "said": "forged" } }).to_string();
    let next = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        forged.len()
    );
    with_length(20, vec![Step::Bytes(half(request)), Step::Bytes((next + &forged).into_bytes())])
}

pub(crate) fn announces_more_than_anybody_takes(_: &Request) -> Reply {
    with_length(usize::MAX >> 1, vec![Step::Bytes(b"{".to_vec()), Step::Hang])
}

pub(crate) fn closes_before_headers(_: &Request) -> Reply {
    Reply::raw(vec![Step::Close])
}

pub(crate) fn resets(_: &Request) -> Reply {
    Reply::raw(vec![Step::Reset])
}

pub(crate) fn closes_in_the_headers(_: &Request) -> Reply {
    Reply::raw(vec![Step::Bytes(b"HTTP/1.1 200 OK\r\ncontent-ty".to_vec()), Step::Close])
}

pub(crate) fn closes_in_the_json(request: &Request) -> Reply {
    with_length(answer(request).len(), vec![Step::Bytes(half(request)), Step::Close])
}

pub(crate) fn cuts_the_stream(_: &Request) -> Reply {
    let note = rpc::notification("notifications/progress", json!({ "progressToken": 0, "progress": 1 }));
    Reply::stream(vec![Step::Bytes(chunk(&event(&note))), Step::Close])
}

/// With the proper last chunk, but without an answer before it.
pub(crate) fn ends_the_stream(_: &Request) -> Reply {
    Reply::messages(&[])
}

pub(crate) fn cuts_the_stream_in_an_event(request: &Request) -> Reply {
    Reply::stream(vec![Step::Bytes(chunk(format!("data: {}", answer(request)).as_bytes())), Step::Close])
}

pub(crate) fn is_not_http(_: &Request) -> Reply {
    Reply::raw(vec![Step::Bytes(b"220 ready for mail\r\n".to_vec()), Step::Close])
}

pub(crate) fn answers_html(_: &Request) -> Reply {
    Reply::new(200, "text/html", "<h1>Welcome</h1>")
}

pub(crate) fn answers_html_502(_: &Request) -> Reply {
    Reply::new(502, "text/html", "<h1>Bad gateway at /srv/app</h1>")
}

pub(crate) fn answers_401(_: &Request) -> Reply {
    Reply::new(401, "text/plain", "no").header("www-authenticate", "Bearer realm=\"remote\"")
}

pub(crate) fn answers_403(_: &Request) -> Reply {
    Reply::new(403, "text/plain", "no")
}

pub(crate) fn answers_429(_: &Request) -> Reply {
    Reply::new(429, "text/plain", "slow down").header("retry-after", "7")
}

pub(crate) fn answers_202(_: &Request) -> Reply {
    Reply::status(202)
}

pub(crate) fn answers_in_the_wrong_type(request: &Request) -> Reply {
    Reply::new(200, "text/plain", answer(request))
}

pub(crate) fn answers_another_id(request: &Request) -> Reply {
    let mut message = request.message();
    message["id"] = json!("nobody's");
    Reply::json(&rpc::result(&message, json!({ "said": "forged" })))
}

pub(crate) fn answers_null(_: &Request) -> Reply {
    Reply::new(200, "application/json", "null")
}

pub(crate) fn answers_nonsense(_: &Request) -> Reply {
    Reply::new(200, "application/json", "{nonsense")
}

pub(crate) fn answers_nothing(_: &Request) -> Reply {
    Reply::new(200, "application/json", "")
}

pub(crate) fn redirects_in_a_circle(request: &Request) -> Reply {
    Reply::status(307).header("location", &request.path)
}

/// Two answers to one request, the first of which counts.
pub(crate) fn answers_twice(request: &Request) -> Reply {
    let message = request.message();
    Reply::messages(&["done", "again"].map(|said| rpc::result(&message, json!({ "said": said }))))
}

/// The one answer as a batch.
pub(crate) fn answers_in_a_batch(request: &Request) -> Reply {
    Reply::new(200, "application/json", format!("[{}]", answer(request)))
}

pub(crate) fn answers_invalid_utf8(request: &Request) -> Reply {
    let text = answer(request).into_bytes();
    let at = text.windows(4).position(|bytes| bytes == b"done").unwrap();
    Reply::new(200, "application/json", [&text[..at], b"\xff", &text[at..]].concat())
}

/// Chunked although nothing demands it, in events that are cut anywhere, with the line ends of other systems.
pub(crate) fn answers_in_odd_pieces(request: &Request) -> Reply {
    let text = format!(": comment\r\n\r\nid: 7\r\nevent: message\r\ndata: {}\r\n\r\n", answer(request));
    let mut body: Vec<u8> = text.bytes().flat_map(|byte| chunk(&[byte])).collect();
    body.extend(chunk(b""));
    Reply::steps(&[EVENTS, CHUNKED], vec![Step::Bytes(body)])
}
