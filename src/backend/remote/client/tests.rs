use std::io::{ErrorKind, Read as _};
use std::net::TcpListener;
use std::sync::Arc;

use reqwest::{Certificate, Method, Response};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection};
use tokio::sync::oneshot;

use super::super::address::Forbidden;
use super::super::destination::Destination;
use super::super::stand_in::{Listener, answer};
use super::*;

async fn get(endpoint: &Destination) -> Result<Response, Unreachable> {
    // Only where what is tested is broken does anything take so long.
    let request = endpoint.request(Method::GET, Stay::Short)?.timeout(2 * CONNECT);
    request.send().await.map_err(|error| Unreachable::of(&error))
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://localhost:{}/?key=hunter2", listener.local_addr().unwrap().port());
    let endpoint = Destination::new(url.parse().unwrap(), Reach::Guarded).unwrap();
    let failed = get(&endpoint).await.unwrap_err();
    assert!(matches!(failed, Unreachable::Forbidden(Forbidden::Private)), "{failed:?}");
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody has knocked");
    let shown = format!("{failed} {failed:?}");
    assert!(!shown.contains("127.0.0.1") && !shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn a_name_that_leads_inside_is_connected_to_if_the_operator_says_so() {
    let mut listener = Listener::new(|_| answer(200, "", "here")).await;
    let response = get(&listener.endpoint("localhost", "/", Reach::Open)).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "here");
    let request = listener.requests.recv().await.unwrap();
    assert!(
        request.contains(concat!("\r\nuser-agent: lockgate/", env!("CARGO_PKG_VERSION"), "\r\n")),
        "{request}"
    );
    for absent in ["accept-encoding", "referer", "cookie"] {
        assert!(!request.contains(absent), "{request}");
    }
}

/// The statuses that come of a redirect to this place, and how many requests were made.
async fn redirected_to(status: u16, location: impl Fn(&Listener) -> String) -> (u16, Vec<String>) {
    let place = Arc::new(std::sync::OnceLock::<String>::new());
    let known = place.clone();
    let mut listener = Listener::new(move |request| match request.split(' ').nth(1) {
        Some("/there") => answer(200, "", ""),
        _ => answer(status, &format!("location: {}\r\n", known.get().unwrap()), ""),
    })
    .await;
    place.set(location(&listener)).unwrap();
    let endpoint = listener.endpoint("127.0.0.1", "/here", Reach::Open);
    let request = endpoint.request(Method::POST, Stay::Short).unwrap().bearer_auth("s").body("message");
    let status = request.send().await.unwrap().status().as_u16();
    let mut requests = Vec::new();
    while let Ok(request) = listener.requests.try_recv() {
        requests.push(request);
    }
    (status, requests)
}

#[tokio::test]
async fn a_server_may_move_within_itself() {
    for status in [307, 308] {
        let (status, requests) = redirected_to(status, |_| "/there".into()).await;
        assert_eq!((status, requests.len()), (200, 2));
        assert!(
            requests[1].starts_with("POST /there ") && requests[1].ends_with("\r\n\r\nmessage"),
            "{requests:?}"
        );
    }
}

#[tokio::test]
async fn no_other_redirect_is_followed() {
    for status in [301, 302, 303] {
        let (seen, requests) = redirected_to(status, |_| "/there".into()).await;
        assert_eq!((seen, requests.len()), (status, 1));
    }
    let other = |listener: &Listener| format!("http://localhost:{}/there", listener.address.port());
    let (status, requests) = redirected_to(307, other).await;
    assert_eq!((status, requests.len()), (307, 1), "another host");
    let other = |listener: &Listener| format!("https://{}/there", listener.address);
    assert_eq!(redirected_to(308, other).await.0, 308, "another scheme");
    let (status, requests) = redirected_to(307, |_| "/here".into()).await;
    assert_eq!((status, requests.len()), (307, 1 + MAX_REDIRECTS), "round and round");
}

#[tokio::test]
async fn who_is_not_there_is_told_apart_from_who_is_no_server() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = |url: &str| Destination::new(url.parse().unwrap(), Reach::Open).unwrap();
    let failed = get(&endpoint(&format!("http://{gone}/"))).await.unwrap_err();
    assert!(matches!(failed, Unreachable::Unconnected(_)), "{failed:?}");
    // No resolver asks for a name with so long a part, so this needs no network.
    let failed = get(&endpoint(&format!("http://{}.invalid/", "x".repeat(64)))).await.unwrap_err();
    assert!(matches!(failed, Unreachable::Unresolved(_)), "{failed:?}");
    let listener = Listener::new(|_| "SSH-2.0-x\r\n\r\n".into()).await;
    let failed = get(&listener.endpoint("127.0.0.1", "/", Reach::Open)).await.unwrap_err();
    assert!(matches!(failed, Unreachable::Broken(_)), "{failed:?}");
    assert!(!failed.to_string().contains("http://"), "{failed}");
}

#[test]
fn a_client_stays_on_the_runtime_that_its_connections_are_on() {
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = Listener::new(|_| answer(200, "", "")).await;
            let endpoint = listener.endpoint("127.0.0.1", "/", Reach::Open);
            get(&endpoint).await.unwrap();
            get(&endpoint).await.unwrap();
        });
        let of_runtime = CLIENTS.with_borrow(|clients| clients.runtime);
        assert_eq!(of_runtime, Some(runtime.handle().id()));
    }
}

/// A server that makes one TLS connection, and the first bytes that it is sent on it, or none.
fn tls_server(alpn: &[&str]) -> (Destination, Certificate, oneshot::Receiver<Option<Vec<u8>>>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (der, key) = (made.cert.der().clone(), PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der.clone()], PrivateKeyDer::from(key))
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let (tell, first) = oneshot::channel();
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut bytes = vec![0; 14];
        let read = rustls::Stream::new(&mut connection, &mut stream).read_exact(&mut bytes);
        let _ = tell.send(read.is_ok().then_some(bytes));
    };
    std::thread::Builder::new().spawn(serve).unwrap();
    let endpoint = Destination::new(url.parse().unwrap(), Reach::Open).unwrap();
    (endpoint, Certificate::from_der(&der).unwrap(), first)
}

#[tokio::test]
async fn a_certificate_that_nobody_has_signed_is_refused() {
    let (endpoint, _, first) = tls_server(&["h2", "http/1.1"]);
    let failed = get(&endpoint).await.unwrap_err();
    assert!(matches!(failed, Unreachable::Untrusted(_)), "{failed:?}");
    assert_eq!(first.await.unwrap(), None, "nothing was sent");
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_offered_but_for_what_stays() {
    for (stay, alpn, expected) in [
        (Stay::Short, &["h2", "http/1.1"][..], b"PRI * HTTP/2.0"),
        (Stay::Short, &["http/1.1"], b"GET / HTTP/1.1"),
        (Stay::Long, &["h2", "http/1.1"], b"GET / HTTP/1.1"),
    ] {
        let (endpoint, certificate, first) = tls_server(alpn);
        drop(of_thread(Reach::Open, stay).unwrap());
        let trusting = builder(Reach::Open, stay).tls_certs_merge([certificate]).build().unwrap();
        // The server says nothing to it and closes.
        trusting.get(endpoint.url().clone()).send().await.unwrap_err();
        assert_eq!(first.await.unwrap().as_deref(), Some(&expected[..]));
    }
}
