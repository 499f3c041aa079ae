//! SIGTERM with sessions of every kind (C9).

use serde_json::json;

use crate::gateway::{Gateway, until};
use crate::traces::marked;

use super::field::Field;
use super::run::Run;

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_willing_the_stubborn_and_the_escaped_and_exits_0() {
    let mut run = Run::new("C9 stop");
    let mut slowest = std::time::Duration::ZERO;
    while run.again() {
        let short_drain = ("LOCKGATE__TIMEOUTS__DRAIN", "300ms");
        let place = tempfile::tempdir().unwrap();
        let mut field = Field::start_cold(crate::gateway::lockgate(), place, &mut run.dice, &[short_drain]);
        let mut sessions = Vec::new();
        let (many, some) = (run.size(16, 160), run.size(4, 20));
        for (server, count) in [("plain", many), ("stubborn", some), ("escaping", some), ("flooding", 2)] {
            sessions.extend(field.connect(server, count).await);
        }
        let asking = sessions.len() / 4;
        for session in sessions.iter_mut().step_by(4) {
            session.request("never", json!({})).await;
        }
        assert!(marked(&field.mark).len() >= sessions.len() + some, "they run, the escaped ones too");
        let begun = std::time::Instant::now();
        field.gateway.signal("TERM");
        until("new sessions are refused", || field.gateway.log().contains("draining")).await;
        let mut told = 0;
        for session in &mut sessions {
            while let Some(message) = session.message().await {
                let text = message["error"]["message"].as_str().unwrap();
                assert!(text.contains("shutting down"), "{text}");
                told += 1;
            }
        }
        assert!(told >= asking, "{told} of {asking} were told");
        assert_eq!(field.gateway.wait().code(), Some(0));
        slowest = slowest.max(begun.elapsed());
        nothing_is_left(&field.gateway, &field).await;
        run.count(sessions.len());
    }
    // drain 0.3 s + eof 0.3 s + term 0.3 s + the kill and a directory to remove
    run.judge("stop_ms", slowest.as_secs_f64() * 1000.0, 2900.0);
    run.finish(None);
}

async fn nothing_is_left(gateway: &Gateway, field: &Field) {
    assert_eq!(marked(&field.mark), Default::default(), "a process outlived its gateway");
    field.until_ended().await;
    assert!(gateway.homes().is_empty(), "{:?}", gateway.homes());
    assert!(field.groups().is_empty(), "{:?}", field.groups());
}
