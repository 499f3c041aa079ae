//! stub
use std::cell::RefCell;
pub(super) fn client(_private: bool) -> reqwest::Client {
    thread_local! { static C: RefCell<Option<reqwest::Client>> = const { RefCell::new(None) }; }
    let _ = rustls::crypto::ring::default_provider().install_default();
    C.with(|c| {
        c.borrow_mut()
            .get_or_insert_with(|| reqwest::Client::builder().tcp_nodelay(true).build().unwrap())
            .clone()
    })
}
