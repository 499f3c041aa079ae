//! How much and how often (seeds D0.7, D0.8).

use crate::gateway::{Gateway, peer, until};

#[tokio::test]
async fn sessions_over_a_limit_are_refused_and_counted_down_when_clients_leave() {
    for (settings, status) in [
        ("[limits]\nsessions = 3", 503),
        ("[limits]\nsessions_per_server = 3", 503),
        ("[limits]\nsessions_per_tenant = 3", 429),
    ] {
        let gateway = Gateway::start(settings);
        let mut sessions = Vec::new();
        for _ in 0..3 {
            sessions.push(gateway.client().open("peer").await);
        }
        let refused = gateway.client().get("/peer/sse").send().await.unwrap();
        assert_eq!(refused.status(), status, "{settings}");
        assert!(refused.headers().contains_key("retry-after"));
        assert_eq!(gateway.descendants().len(), 3, "nothing was started for it");
        drop(sessions.pop());
        until("a seat is free", || gateway.descendants().len() == 2).await;
        gateway.until_active(2).await;
        gateway.client().open("peer").await;
    }
}

#[tokio::test]
async fn a_server_can_have_a_limit_of_its_own() {
    let gateway = Gateway::start(&format!("[servers.one]\nrun = \"{} --linger x\"\nsessions = 1", peer()));
    let _session = gateway.client().open("one").await;
    assert_eq!(gateway.client().get("/one/sse").send().await.unwrap().status(), 503);
    gateway.client().open("peer").await;
}

#[tokio::test]
async fn a_burst_passes_and_then_the_rate_counts() {
    let gateway = Gateway::start("[rate]\nper_minute = 6\nburst = 10");
    let http = gateway.client();
    for left in (0..10).rev() {
        // Forged addresses do not open another bucket.
        let response = http
            .get("/nobody/sse")
            .header("x-forwarded-for", format!("203.0.113.{left}"))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 403, "request {left}");
    }
    let refused = http.get("/nobody/sse").header("fly-client-ip", "203.0.113.77").send().await.unwrap();
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
    assert_eq!(refused.headers()["ratelimit-policy"], "\"requests\";q=6;w=60");
    assert!(refused.headers()["ratelimit"].to_str().unwrap().starts_with("\"requests\";r=0;t="));
}

#[tokio::test]
async fn what_is_left_of_the_rate_is_told() {
    let gateway = Gateway::start("[rate]\nper_minute = 100\nburst = 10");
    let response = gateway.client().get("/peer/sse").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["ratelimit"], "\"requests\";r=9;t=0");
}

#[tokio::test]
async fn wrong_secrets_are_limited_by_address() {
    let gateway = Gateway::start(
        "[rate]\nper_minute = 0\nfailures_per_minute = 5\n[access]\nclient_address = \"fly\"\ntrusted_proxies = [\"127.0.0.1\"]",
    );
    let http = crate::client::http().build().unwrap();
    let try_from = |address: &'static str| {
        http.get(gateway.url("/peer/sse")).bearer_auth("wrong").header("fly-client-ip", address).send()
    };
    for _ in 0..5 {
        assert_eq!(try_from("2001:db8:1:2::1").await.unwrap().status(), 401);
    }
    let refused = try_from("2001:db8:1:2:ffff::9").await.unwrap();
    assert_eq!(refused.status(), 429, "another address of the same network");
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(try_from("2001:db8:1:3::1").await.unwrap().status(), 401);
    gateway.client().open("peer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_starts_waits_its_turn_and_all_get_in() {
    let gateway = Gateway::start("[limits]\nstarts = 1");
    let mut waiting = Vec::new();
    for _ in 0..12 {
        let client = gateway.client();
        waiting.push(tokio::spawn(async move {
            let mut session = client.connect("peer").await;
            session.call("pid", serde_json::json!({})).await
        }));
    }
    for one in waiting {
        one.await.unwrap();
    }
}
