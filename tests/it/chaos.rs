//! What hosts, clients and servers do to a gateway on bad days (security.md section 4, C1 to C11).
//!
//! Here each is one short round. `tests/soak` runs the same code for as long as it is told, with more of
//! everything, and judges the figures too.

mod container;
mod crowd;
mod dice;
mod ends;
mod field;
mod kills;
mod npx;
mod run;
mod shortage;
mod stops;
mod storms;

use std::future::Future;

/// Does all of them at once and gives what came of each, in order.
async fn all<T: Send + 'static, F>(work: impl IntoIterator<Item = F>) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
{
    let running: Vec<_> = work.into_iter().map(tokio::spawn).collect();
    let mut done = Vec::with_capacity(running.len());
    for one in running {
        done.push(one.await.unwrap());
    }
    done
}
