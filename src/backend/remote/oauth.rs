//! stub
use crate::catalog::{Grant, Sealed};
use std::sync::Arc;
#[derive(Debug)]
pub(super) struct Tokens(Arc<Grant>);
impl Tokens {
    pub(super) fn new(grant: Arc<Grant>) -> Self {
        Self(grant)
    }
    pub(super) async fn token(&self, _c: &reqwest::Client) -> Result<Sealed, std::io::Error> {
        Err(std::io::Error::other("x"))
    }
    pub(super) async fn renew(&self, _c: &reqwest::Client, _r: &Sealed) -> Result<Sealed, std::io::Error> {
        Err(std::io::Error::other("x"))
    }
}
