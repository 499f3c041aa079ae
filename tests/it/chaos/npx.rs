//! What package runners cost (C10). They need a registry, so only a soak does this.

use std::time::Instant;

use crate::gateway::{Gateway, SECRET};

use super::all;
use super::run::Run;

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_package_runners_gets_ready_two_at_a_time() {
    let mut run = Run::new("C10 npx");
    if !run.is_soak() {
        return;
    }
    let settings = "[rate]\nper_minute = 0\nopens_per_minute = 0\n[limits]\nstarts = 2\n[timeouts]\nstart = \"5m\"\n\
                    [sandbox]\nmemory = \"1GiB\"\n\
                    [servers.everything]\nrun = \"npx -y @modelcontextprotocol/server-everything@2025.9.25\"\n";
    let gateway = Gateway::start_bare(settings, &[("LOCKGATE_SECRET", SECRET)]);
    while run.again() {
        let begun = Instant::now();
        let clients: Vec<_> = (0..30).map(|_| gateway.client()).collect();
        let ready = all(clients.into_iter().map(|client| async move {
            let mut session = client.open("everything").await;
            session.initialize().await;
            session
        }))
        .await;
        run.count(ready.len());
        run.judge("all_ready_s", begun.elapsed().as_secs_f64(), 300.0);
        drop(ready);
        gateway.until_active(0).await;
    }
    run.finish(None);
}
