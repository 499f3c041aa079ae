//! Requests of which two readers could disagree where they end or whom they are for (security.md T39), and
//! others that no client library sends.

use crate::gateway::Gateway;
use crate::raw::{Raw, exchange, head};

/// What a request could hide behind itself.
const HIDDEN: &str = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";

async fn sessions_so_far(gateway: &Gateway) -> u64 {
    let health = crate::client::get(gateway.url("/health")).await.unwrap();
    health.json::<serde_json::Value>().await.unwrap()["sessions"]["total"].as_u64().unwrap()
}

#[tokio::test]
async fn whoever_disagrees_about_the_length_is_refused_and_nothing_hides_behind() {
    let gateway = Gateway::start("");
    for framing in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\u{b}chunked\r\n",
        "X: y\r\n Transfer-Encoding: chunked\r\n",
    ] {
        let text = format!("{}{framing}\r\n0\r\n\r\n{HIDDEN}", head(&gateway, "POST /peer/mcp"));
        let answer = exchange(&gateway, text).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{framing:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{framing:?}: {answer}");
    }
    assert_eq!(sessions_so_far(&gateway).await, 0);
}

#[tokio::test]
async fn chunks_that_are_none_end_the_connection() {
    let gateway = Gateway::start("");
    for chunks in [
        "zz\r\nhello\r\n0\r\n\r\n",
        "-1\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
    ] {
        let text =
            format!("{}Transfer-Encoding: chunked\r\n\r\n{chunks}{HIDDEN}", head(&gateway, "POST /peer/mcp"));
        let answer = exchange(&gateway, text).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{chunks:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{chunks:?}: {answer}");
    }
}

#[tokio::test]
async fn a_request_is_for_one_host_and_that_is_ours() {
    let gateway = Gateway::start("");
    let own = gateway.address.clone();
    for (request, status) in [
        (format!("GET /health HTTP/1.1\r\nHost: {own}\r\n"), 200),
        // The authority is that of the Host header.
        (format!("GET http://{own}/health HTTP/1.1\r\nHost: {own}\r\n"), 200),
        (format!("GET http://evil.example/health HTTP/1.1\r\nHost: {own}\r\n"), 400),
        (format!("GET http://{own}/health HTTP/1.1\r\nHost: evil.example\r\n"), 400),
        (format!("GET http://{own}@evil.example/health HTTP/1.1\r\nHost: {own}\r\n"), 400),
        (format!("GET http://x@{own}/health HTTP/1.1\r\nHost: {own}\r\n"), 400),
        ("GET http://evil.example/health HTTP/1.0\r\n".into(), 400),
        (format!("GET http://evil.example/peer/sse HTTP/1.1\r\nHost: {own}\r\n"), 400),
        ("GET http://evil.example/peer/sse HTTP/1.1\r\nHost: evil.example\r\n".into(), 403),
        ("GET /health HTTP/1.1\r\n".into(), 400),
        (format!("GET /health HTTP/1.1\r\nHost: {own}\r\nHost: {own}\r\n"), 400),
        (format!("GET /health HTTP/1.1\r\nHost: {own}\r\nHost: evil.example\r\n"), 400),
        // Never a tunnel, whoever is named.
        (format!("CONNECT {own} HTTP/1.1\r\nHost: {own}\r\n"), 404),
        (format!("CONNECT evil.example:443 HTTP/1.1\r\nHost: {own}\r\n"), 400),
        (format!("OPTIONS * HTTP/1.1\r\nHost: {own}\r\n"), 404),
    ] {
        let answer = exchange(&gateway, format!("{request}Connection: close\r\n\r\n")).await;
        let status = format!(" {status} ");
        assert_eq!(answer.get(8..13), Some(&*status), "{request:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{request:?}: {answer}");
    }
    assert_eq!(sessions_so_far(&gateway).await, 0);
}

#[tokio::test]
async fn heads_that_no_client_sends() {
    let gateway = Gateway::start("");
    let own = gateway.address.clone();
    let many = "h: x\r\n".repeat(100);
    let large = format!("h: {}\r\n", "x".repeat(200_000));
    let path = "a".repeat(100_000);
    for (request, status) in [
        (format!("GET /health HTTP/1.1\r\nHost: {own}\r\n{many}"), "431"),
        (format!("GET /health HTTP/1.1\r\nHost: {own}\r\n{large}"), "431"),
        (format!("GET /{path} HTTP/1.1\r\nHost: {own}\r\n"), "400"),
        (format!("GET /health HTTP/1.1\r\nHost: {own}\r\na\0b: x\r\n"), "400"),
        (format!("GET /health HTTP/1.1\r\nHost: {own}\r\na: x\0y\r\n"), "400"),
        (format!("GET /health HTTP/1.1\r\nHost: {own}\r\nENV_A=B: x\r\n"), "400"),
        (format!("GET /health HTTP/1.1\r\nHost: {own}\r\na: x\r\n folded\r\n"), "400"),
        (format!("GET /health HTTP/1.1\r\nHost: {own}\r\na: x\ry\r\n"), "400"),
        (format!("GET /health HTTP/1.1\r\nHost: {own}\r\nno colon\r\n"), "400"),
        (format!("GET /hea lth HTTP/1.1\r\nHost: {own}\r\n"), "400"),
        (format!("GET /health HTTP/3.0\r\nHost: {own}\r\n"), "400"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n".into(), "400"),
        // A bare line feed ends a line (RFC 9112 section 2.2 allows it); nothing is framed by it.
        (format!("GET /health HTTP/1.1\nHost: {own}\nConnection: close\n"), "200"),
    ] {
        let answer = exchange(&gateway, format!("{request}\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{:.100}: {answer}", request);
        assert!(!answer.to_ascii_lowercase().contains("\nserver:"), "{answer}");
    }
    assert_eq!(sessions_so_far(&gateway).await, 0);
}

#[tokio::test]
async fn requests_one_behind_the_other_are_answered_in_order() {
    let gateway = Gateway::start("");
    let own = &gateway.address;
    let body = "[]";
    let first = format!("{}Content-Length: {}\r\n\r\n{body}", head(&gateway, "POST /peer/mcp"), body.len());
    let second = format!("GET /health/live HTTP/1.1\r\nHost: {own}\r\n\r\n");
    let third = format!("GET /nothing HTTP/1.1\r\nHost: {own}\r\nConnection: close\r\n\r\n");
    let mut raw = Raw::connect(&gateway).await;
    raw.send(first + &second + &third).await;
    let answer = raw.rest().await;
    let statuses: Vec<&str> = answer.split("HTTP/1.1 ").skip(1).map(|one| &one[..3]).collect();
    assert_eq!(statuses, ["400", "200", "404"], "{answer}");
}

#[tokio::test]
async fn a_method_that_is_not_meant_starts_nothing() {
    let gateway = Gateway::start("");
    for path in ["/peer/sse", "/peer/mcp", "/peer/message?sessionId=x", "/health"] {
        for method in ["HEAD", "OPTIONS", "TRACE", "PUT", "PATCH", "get", "PROPFIND"] {
            let text = head(&gateway, &format!("{method} {path}"))
                .replace("Content-Type: application/json\r\n", "Connection: close\r\n");
            let answer = exchange(&gateway, text + "\r\n").await;
            let expected = match (method, path) {
                ("OPTIONS", "/health") => "405",
                ("OPTIONS", _) => "204",
                ("HEAD", "/health") => "200",
                _ => "405",
            };
            assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{method} {path}: {answer}");
            assert!(!answer.contains("Bearer"), "TRACE would show the secret: {answer}");
        }
    }
    assert_eq!(sessions_so_far(&gateway).await, 0);
    assert!(gateway.descendants().is_empty());
}

#[tokio::test]
async fn exactly_one_bearer_secret_in_exactly_one_header() {
    use crate::gateway::SECRET;
    let gateway = Gateway::start("");
    // Who is let in learns that there is no session; nothing is started for that.
    let probe = |authorization: String, query: &str| {
        format!(
            "GET /peer/mcp{query} HTTP/1.1\r\nHost: {}\r\n{authorization}Connection: close\r\n\r\n",
            gateway.address
        )
    };
    for (headers, query, status) in [
        (format!("Authorization: Bearer {SECRET}\r\n"), "", "405"),
        (format!("authorization: bEARER {SECRET}\r\n"), "", "405"),
        (format!("Authorization:Bearer {SECRET}\r\n"), "", "405"),
        (format!("Authorization: \t Bearer {SECRET} \t\r\n"), "", "405"),
        (format!("Authorization: Bearer  {SECRET}\r\n"), "", "401"),
        (format!("Authorization: Bearer\t{SECRET}\r\n"), "", "401"),
        (format!("Authorization: Bearer{SECRET}\r\n"), "", "401"),
        (format!("Authorization: Bearer: {SECRET}\r\n"), "", "401"),
        (format!("Authorization: {SECRET}\r\n"), "", "401"),
        (format!("Authorization: Basic {SECRET}\r\n"), "", "401"),
        (format!("Authorization: Bearer {SECRET},{SECRET}\r\n"), "", "401"),
        (format!("Authorization: Bearer {SECRET}, Bearer {SECRET}\r\n"), "", "401"),
        (format!("Authorization: Bearer {SECRET} x\r\n"), "", "401"),
        (format!("Authorization: Bearer \"{SECRET}\"\r\n"), "", "401"),
        (format!("Authorization: Bearer {SECRET}=\r\n"), "", "401"),
        (format!("Authorization: Bearer {}\r\n", SECRET.to_uppercase()), "", "401"),
        (format!("Authorization: Bearer {}\r\n", &SECRET[1..]), "", "401"),
        (format!("Authorization: Bearer {SECRET}\u{e9}\r\n"), "", "401"),
        (format!("Authorization: Bearer {SECRET}\r\nAuthorization: Bearer {SECRET}\r\n"), "", "401"),
        (format!("Authorization: Bearer {SECRET}\r\nAuthorization: Bearer wrong\r\n"), "", "401"),
        (format!("Authorization: Bearer wrong\r\nAuthorization: Bearer {SECRET}\r\n"), "", "401"),
        (format!("Authorization: \r\nAuthorization: Bearer {SECRET}\r\n"), "", "401"),
        ("Authorization: Bearer\r\n".into(), "", "401"),
        ("Authorization: Bearer \r\n".into(), "", "401"),
        ("Authorization:\r\n".into(), "", "401"),
        (String::new(), "", "401"),
        (format!("Proxy-Authorization: Bearer {SECRET}\r\n"), "", "401"),
        (format!("Cookie: access_token={SECRET}\r\n"), "", "401"),
        (String::new(), &format!("?access_token={SECRET}"), "401"),
        (String::new(), &format!("?token={SECRET}&Authorization=Bearer%20{SECRET}"), "401"),
    ] {
        let answer = exchange(&gateway, probe(headers.clone(), query)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{headers:?} {query}: {answer}");
        if status == "401" {
            assert!(answer.contains("\r\nwww-authenticate: Bearer realm=\"lockgate\"\r\n"), "{answer}");
            assert!(!answer.contains(SECRET), "{answer}");
        }
    }
    assert!(!gateway.log().contains(SECRET));
}
