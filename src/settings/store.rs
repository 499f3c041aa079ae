//! `[store]`: what nodes share, a node being one of several gateways that serve the same clients.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::choice::Choice;

/// The store. Its password is better put in `LOCKGATE_STORE_PASSWORD` than here.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Store {
    /// Where it is, as [`Store::place`] reads it; empty for none.
    pub url: String,
    /// What becomes of limits while it is out of reach.
    pub away: WhileAway,
    /// A file with the certificate authority that its certificate is of, in PEM; empty for the usual ones.
    pub ca: PathBuf,
}

/// What becomes of limits that all nodes have together while the store is out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", rename_all = "lowercase")]
pub enum WhileAway {
    /// Each node applies them by itself, so that a tenant may have them once at each.
    Alone,
    /// What they would decide is refused.
    Refuse,
}

/// What a store's URL says.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    /// Whether it is spoken to by TLS.
    pub tls: bool,
    /// A name or an address, an IPv6 one without brackets.
    pub host: String,
    /// 6379, unless the URL has another.
    pub port: u16,
    /// Which of its databases.
    pub database: u32,
    /// As whom.
    pub user: Option<String>,
    /// With what.
    pub password: Option<String>,
}

/// Where such servers listen.
const PORT: u16 = 6379;
const FORM: &str =
    "is no URL of a store; give one such as \"redis://host:6379/0\", or \"rediss://…\" for TLS, or \"\"";

impl Store {
    /// What the URL says; `None` if there is no store.
    ///
    /// # Errors
    /// With what is wrong with it, without any part of it, which may be the password.
    pub fn place(&self) -> Result<Option<Place>, &'static str> {
        if self.url.is_empty() {
            return Ok(None);
        }
        let url = Url::parse(&self.url).map_err(|_| FORM)?;
        let tls = match url.scheme() {
            "redis" => false,
            "rediss" => true,
            _ => return Err(FORM),
        };
        if url.query().is_some() || url.fragment().is_some() {
            return Err("may have neither a query nor a fragment");
        }
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            _ => return Err(FORM),
        };
        let database = match url.path().trim_start_matches('/') {
            "" => 0,
            number => number.parse().map_err(|_| "must end with the number of a database, such as \"/0\"")?,
        };
        let user = decode(url.username())?;
        let password = url.password().map(decode).transpose()?.flatten();
        Ok(Some(Place { tls, host, port: url.port().unwrap_or(PORT), database, user, password }))
    }

    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        let place = self.place().map_err(|reason| ("store.url", reason.to_owned()))?;
        if !self.ca.as_os_str().is_empty() && !place.is_some_and(|place| place.tls) {
            let reason = "is for a store with TLS; give a store.url that begins with rediss://, or \"\" here";
            return Err(("store.ca", reason.into()));
        }
        Ok(())
    }
}

/// What may be percent-encoded in a URL; nothing for none.
fn decode(text: &str) -> Result<Option<String>, &'static str> {
    let decoded = urlencoding::decode(text).map_err(|_| FORM)?.into_owned();
    Ok(Some(decoded).filter(|text| !text.is_empty()))
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Place({self})")
    }
}

impl std::fmt::Display for Place {
    /// Host and port, which may be shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl Choice for WhileAway {
    const WORDS: &'static [(&'static str, Self)] = &[("alone", Self::Alone), ("refuse", Self::Refuse)];
}

impl TryFrom<String> for WhileAway {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::of(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(url: &str, ca: &str) -> Store {
        Store { url: url.into(), away: WhileAway::Alone, ca: ca.into() }
    }

    #[test]
    fn a_url_says_where_the_store_is_and_as_whom_it_is_asked() {
        assert_eq!(store("", "").place(), Ok(None));
        let place = |url: &str| store(url, "").place().unwrap().unwrap();
        let plain = place("redis://store.internal");
        assert_eq!(
            (plain.tls, plain.to_string().as_str(), plain.database),
            (false, "store.internal:6379", 0)
        );
        assert_eq!((plain.user, plain.password), (None, None));
        let full = place("rediss://gate:p%40ss@[::1]:7000/3");
        assert_eq!((full.tls, full.host.as_str(), full.port, full.database), (true, "::1", 7000, 3));
        assert_eq!(full.to_string(), "[::1]:7000");
        assert_eq!((full.user.as_deref(), full.password.as_deref()), (Some("gate"), Some("p@ss")));
        assert_eq!(place("redis://:p@a").password.as_deref(), Some("p"));
    }

    #[test]
    fn what_is_no_url_of_a_store_is_refused_without_showing_it() {
        for url in [
            "hunter2",
            "redis://",
            "http://a:hunter2@b",
            "redis://:hunter2@a/x",
            "redis://a?protocol=hunter2",
            "rediss://a/#insecure",
            "redis://:hunter2@a:99999",
            "unix:///tmp/hunter2",
        ] {
            let (key, reason) = store(url, "").check().unwrap_err();
            assert!(key == "store.url" && !reason.contains("hunter2"), "{url}: {reason}");
        }
        let shown = format!("{:?}", store("redis://u:hunter2@a", "").place());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_certificate_authority_is_for_tls_only() {
        assert_eq!(store("redis://a", "ca.pem").check().unwrap_err().0, "store.ca");
        assert_eq!(store("", "ca.pem").check().unwrap_err().0, "store.ca");
        assert_eq!(store("rediss://a", "ca.pem").check(), Ok(()));
    }
}
