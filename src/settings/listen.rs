//! `[listen]`: where clients connect.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use url::Url;

/// The public listener.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Listen {
    /// Address and port; port 0 takes a free one.
    pub address: SocketAddr,
    /// Prefix of every route, empty or beginning with `/` and not ending with it.
    pub base_path: String,
    /// What clients reach the listener by, such as `https://gate.example.com`, without the base path; empty if that
    /// is its address.
    pub public_url: String,
}

impl Listen {
    /// What the URLs of servers begin with, as clients know them. `bound` is the address that was taken.
    pub fn base(&self, bound: SocketAddr) -> String {
        let Self { public_url, base_path, .. } = self;
        match public_url.trim_end_matches('/') {
            "" => format!("http://{bound}{base_path}"),
            url => format!("{url}{base_path}"),
        }
    }

    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        self.check_public_url()?;
        let path = &self.base_path;
        let sound = path.is_empty()
            || path.starts_with('/')
                && !path.ends_with('/')
                && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.~".contains(&b));
        if sound {
            return Ok(());
        }
        Err((
            "listen.base_path",
            format!(
                "{path:?} must begin with \"/\", not end with it, and hold letters, digits and -_.~ only"
            ),
        ))
    }

    /// Neither of the gateways' own paths nor of secrets, which would be shown wherever the URL is.
    fn check_public_url(&self) -> Result<(), (&'static str, String)> {
        let text = &self.public_url;
        let is_plain = |url: &Url| {
            let bare = url.username().is_empty() && url.password().is_none();
            let nothing_more = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
            matches!(url.scheme(), "http" | "https") && bare && nothing_more
        };
        if text.is_empty() || Url::parse(text).is_ok_and(|url| is_plain(&url)) {
            return Ok(());
        }
        Err((
            "listen.public_url",
            "it must be a scheme and a host, such as \"https://gate.example.com\"; what follows goes in listen.base_path"
                .to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(public_url: &str) -> Listen {
        let address = SocketAddr::from(([127, 0, 0, 1], 8000));
        Listen { address, base_path: "/mcp".into(), public_url: public_url.into() }
    }

    #[test]
    fn the_public_url_is_a_scheme_and_a_host() {
        for good in ["", "https://gate.example", "https://gate.example/", "http://[::1]:8000"] {
            assert_eq!(listen(good).check(), Ok(()), "{good}");
        }
        for bad in [
            "gate.example",
            "ftp://gate.example",
            "https://a:b@gate.example",
            "https://gate.example/x",
            "https://g/?k=v",
        ] {
            assert!(listen(bad).check().is_err_and(|(key, _)| key == "listen.public_url"), "{bad}");
        }
    }

    #[test]
    fn clients_know_the_public_url_else_the_address() {
        let bound = SocketAddr::from(([127, 0, 0, 1], 9000));
        assert_eq!(listen("").base(bound), "http://127.0.0.1:9000/mcp");
        assert_eq!(listen("https://gate.example/").base(bound), "https://gate.example/mcp");
    }
}
