//! URLs that may be asked: the only way to make a request.

use std::fmt;

use reqwest::{Method, RequestBuilder};
use url::Url;

use super::address::{Forbidden, Reach};
use super::client::{self, Stay};
use super::unreachable::Unreachable;

/// A URL that was looked at, and how far connections for it may go.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::backend) struct Destination {
    url: Url,
    reach: Reach,
}

/// Why a URL cannot be asked. None of them tells the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misplaced {
    /// Where it leads.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Of another kind.
    #[error("it is no URL that begins with https:// or http://")]
    NotHttp,
    /// It would go into each log line that shows the URL.
    #[error("it holds a user name or a password, which belong into `auth`")]
    Credentials,
    /// A server sends us to another.
    #[error("it is on another host, port or scheme than the server that names it")]
    Elsewhere,
}

impl Destination {
    /// Takes a URL of the settings.
    ///
    /// # Errors
    /// If it is no URL of HTTP, or names an address where no server may be. A name is looked at when it is used.
    pub(in crate::backend) fn new(url: Url, reach: Reach) -> Result<Self, Misplaced> {
        if !matches!(url.scheme(), "https" | "http") {
            return Err(Misplaced::NotHttp);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Misplaced::Credentials);
        }
        reach.check(&url.host().ok_or(Misplaced::NotHttp)?)?;
        Ok(Self { url, reach })
    }

    /// What the server itself names, such as where the transport of 2024-11-05 takes messages: a URL, or a part of
    /// one beside this.
    ///
    /// # Errors
    /// If it is none, or of another origin (RFC 6454): what was meant for the one server must not go to another.
    pub(in crate::backend) fn named(&self, reference: &str) -> Result<Self, Misplaced> {
        let url = self.url.join(reference).map_err(|_| Misplaced::NotHttp)?;
        let named = Self::new(url, self.reach)?;
        if named.url.origin() == self.url.origin() { Ok(named) } else { Err(Misplaced::Elsewhere) }
    }

    #[cfg(test)]
    pub(in crate::backend) fn url(&self) -> &Url {
        &self.url
    }

    /// The same with one more parameter in its query.
    pub(in crate::backend) fn with(&self, name: &str, value: &str) -> Self {
        let mut with = self.clone();
        with.url.query_pairs_mut().append_pair(name, value);
        with
    }

    /// Begins a request by this thread's client. To be called and sent on the same runtime.
    ///
    /// # Errors
    /// If the host has nothing to make connections with.
    pub(super) fn request(&self, method: Method, stay: Stay) -> Result<RequestBuilder, Unreachable> {
        Ok(client::of_thread(self.reach, stay)?.request(method, self.url.clone()))
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Destination({:?}, {:?})", self.url.origin().ascii_serialization(), self.reach)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Result<Destination, Misplaced> {
        Destination::new(Url::parse(url).unwrap(), Reach::Guarded)
    }

    #[test]
    fn an_address_in_a_url_is_judged_in_whatever_form_it_has() {
        for url in [
            "http://127.0.0.1/",
            "http://127.1:8080/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://127。0。0。1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
        ] {
            assert_eq!(endpoint(url), Err(Misplaced::Forbidden(Forbidden::Private)), "{url}");
        }
        for url in ["http://169.254.169.254/latest/", "http://[fe80::1]/", "http://0/", "http://[::]/"] {
            assert_eq!(endpoint(url), Err(Misplaced::Forbidden(Forbidden::Reserved)), "{url}");
            assert!(Destination::new(Url::parse(url).unwrap(), Reach::Open).is_err(), "{url}");
        }
        assert!(endpoint("https://example.com/mcp").is_ok());
        assert!(endpoint("https://1.1.1.1/mcp").is_ok());
    }

    #[test]
    fn what_is_no_endpoint_is_none() {
        assert_eq!(endpoint("ftp://example.com/"), Err(Misplaced::NotHttp));
        assert_eq!(endpoint("file:///etc/passwd"), Err(Misplaced::NotHttp));
        assert_eq!(endpoint("https://user@example.com/"), Err(Misplaced::Credentials));
        assert_eq!(endpoint("https://:secret@example.com/"), Err(Misplaced::Credentials));
    }

    #[test]
    fn a_server_names_places_of_its_own_only() {
        let sse = endpoint("https://example.com/a/sse?k=1").unwrap();
        let url = |reference: &str| sse.named(reference).map(|named| named.url().to_string());
        assert_eq!(url("/m?id=1"), Ok("https://example.com/m?id=1".into()));
        assert_eq!(url("m"), Ok("https://example.com/a/m".into()));
        assert_eq!(url("https://example.com:443/m"), Ok("https://example.com/m".into()));
        for other in
            ["http://example.com/m", "https://example.com:8443/m", "https://example.org/m", "//a.b/m"]
        {
            assert_eq!(url(other), Err(Misplaced::Elsewhere), "{other}");
        }
        assert_eq!(url("https://u:p@example.com/m"), Err(Misplaced::Credentials));
        assert_eq!(url("http://10.0.0.1/m"), Err(Misplaced::Forbidden(Forbidden::Private)));
    }

    #[test]
    fn debug_output_shows_no_query() {
        assert!(
            !format!("{:?}", endpoint("https://example.com/mcp?key=hunter2").unwrap()).contains("hunter2")
        );
    }
}
