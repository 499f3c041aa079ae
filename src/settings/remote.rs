//! What `[servers.*]` says of a remote server: how it is reached, and as whom.

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use url::Url;

use super::choice::Choice;

/// How a remote server is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", rename_all = "lowercase")]
pub enum RemoteTransport {
    /// Found out for each session, as MCP 2025-11-25 (transports, backwards compatibility) says.
    #[default]
    Auto,
    /// Streamable HTTP, of every revision.
    Streamable,
    /// HTTP with SSE (2024-11-05).
    Sse,
}

/// What a remote server is given to know who asks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Auth {
    /// Which form the credential has.
    pub scheme: Scheme,
    /// The variable of the gateway's environment that holds it.
    pub env: Option<String>,
    /// The file that holds it; a line break at its end does not count.
    pub file: Option<String>,
    /// `basic`: the user; without one, the credential is `user:password`.
    pub user: Option<String>,
    /// `apiKey`: the header that it goes into.
    pub header: Option<String>,
    /// `apiKey`: the parameter of the query that it goes into.
    pub query: Option<String>,
    /// The header in which a client may send a credential of its own, which then goes instead.
    pub passthrough: Option<String>,
    /// `oauth`: where tokens are had.
    pub token_url: Option<String>,
    /// `oauth`: as whom.
    pub client_id: Option<String>,
    /// `oauth`: for what.
    pub scope: Option<String>,
}

/// Where a credential goes: a header, in lower case, or a parameter of the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Header(String),
    Query(String),
}

/// The form of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub enum Scheme {
    /// `Authorization: Bearer …`
    #[serde(rename = "bearer")]
    Bearer,
    /// `Authorization: Basic …`
    #[serde(rename = "basic")]
    Basic,
    /// A header or a parameter of the query.
    #[serde(rename = "apiKey")]
    ApiKey,
    /// A token for client credentials (RFC 6749 section 4.4).
    #[serde(rename = "oauth")]
    OAuth,
}

impl Choice for RemoteTransport {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("streamable", Self::Streamable), ("sse", Self::Sse)];
}

impl TryFrom<String> for RemoteTransport {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::of(&text)
    }
}

impl Choice for Scheme {
    const WORDS: &'static [(&'static str, Self)] =
        &[("bearer", Self::Bearer), ("basic", Self::Basic), ("apiKey", Self::ApiKey), ("oauth", Self::OAuth)];
}

impl TryFrom<String> for Scheme {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::of(&text)
    }
}

impl Auth {
    /// Whether it says all that its scheme needs and nothing else; else the reason.
    pub(super) fn check(&self) -> Result<(), String> {
        let scheme = self.scheme.word();
        let given = |key: &str| match key {
            "user" => self.user.is_some(),
            "header" => self.header.is_some(),
            "query" => self.query.is_some(),
            "token_url" => self.token_url.is_some(),
            "client_id" => self.client_id.is_some(),
            "scope" => self.scope.is_some(),
            _ => self.passthrough.is_some(),
        };
        let (allowed, needed): (&[&str], &[&str]) = match self.scheme {
            Scheme::Bearer => (&["passthrough"], &[]),
            Scheme::Basic => (&["user", "passthrough"], &[]),
            Scheme::ApiKey => (&["header", "query", "passthrough"], &[]),
            Scheme::OAuth => (&["token_url", "client_id", "scope"], &["token_url", "client_id"]),
        };
        let all = ["user", "header", "query", "token_url", "client_id", "scope", "passthrough"];
        if let Some(key) = all.iter().find(|key| given(key) && !allowed.contains(key)) {
            return Err(format!("has the scheme {scheme:?}, for which `{key}` means nothing; leave it out"));
        }
        if let Some(key) = needed.iter().find(|key| !given(key)) {
            return Err(format!("has the scheme {scheme:?}, which needs `{key}`"));
        }
        if self.scheme == Scheme::ApiKey && self.header.is_some() == self.query.is_some() {
            return Err("has the scheme \"apiKey\"; say where it goes, by either `header` or `query`".into());
        }
        self.check_source()?;
        if self.passthrough.as_ref().is_some_and(|name| name.eq_ignore_ascii_case("authorization")) {
            let reason = "has the passthrough \"Authorization\", in which clients show their secret for the gateway; \
                          choose another header";
            return Err(reason.into());
        }
        for name in self.header.iter().chain(&self.passthrough) {
            name.parse::<HeaderName>()
                .map_err(|_| format!("holds {name:?}, which is no name of a header"))?;
        }
        if let Some(name) = self.header.as_ref().filter(|name| is_ours(name)) {
            return Err(format!(
                "holds the header {name:?}, which the gateway sets by itself; choose another"
            ));
        }
        if self.query.as_ref().is_some_and(String::is_empty) {
            return Err("has an empty `query`; name the parameter that it goes into".into());
        }
        let token_url = self.token_url.as_deref().map(parse_url).transpose();
        token_url.map(drop).map_err(|reason| format!("has a `token_url` that {reason}"))
    }

    /// Where it goes.
    pub(super) fn place(&self) -> Place {
        match (self.scheme, &self.header, &self.query) {
            (Scheme::ApiKey, _, Some(name)) => Place::Query(name.clone()),
            (Scheme::ApiKey, Some(name), None) => Place::Header(name.to_ascii_lowercase()),
            _ => Place::Header("authorization".into()),
        }
    }

    /// A credential must come from somewhere.
    fn check_source(&self) -> Result<(), String> {
        match (&self.env, &self.file) {
            (Some(_), Some(_)) => Err("has both `env` and `file`; leave out one of the two".into()),
            (None, None) if self.passthrough.is_none() => {
                Err("does not say where the credential is; add `env = \"NAME\"` or `file = \"/path\"`".into())
            }
            (Some(empty), _) | (_, Some(empty)) if empty.is_empty() => {
                Err("has an empty `env` or `file`; name where the credential is".into())
            }
            _ => Ok(()),
        }
    }
}

/// Headers that say what a message is, or that belong to the connection.
pub(super) fn is_ours(name: &str) -> bool {
    const OURS: [&str; 12] = [
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "last-event-id",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    let name = name.to_ascii_lowercase();
    OURS.contains(&name.as_str()) || name.starts_with("mcp-")
}

/// The address of something that speaks HTTP.
pub(super) fn parse_url(text: &str) -> Result<Url, String> {
    if text.contains("${") {
        return Err("holds a `${…}`, which is filled in in `headers` and `query` only; write it there".into());
    }
    let url = Url::parse(text).map_err(|fault| format!("is no URL: {fault}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("must begin with https:// or http:// and a host".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "holds a user or a password, which logs would show; use `auth` with the scheme \"basic\"".into(),
        );
    }
    if url.fragment().is_some() {
        return Err("has a part behind `#`, which no server gets to see; leave it out".into());
    }
    Ok(url)
}

/// Whether this can be sent as a header; else the reason.
pub(super) fn check_header(name: &str, value: &str) -> Result<(), String> {
    if name.parse::<HeaderName>().is_err() {
        return Err(format!("holds {name:?}, which is no name of a header"));
    }
    if is_ours(name) {
        return Err(format!("holds {name:?}, which the gateway sets by itself; leave it out"));
    }
    HeaderValue::from_str(value)
        .map(drop)
        .map_err(|_| format!("holds a value for {name:?} that no header can have"))
}

#[cfg(test)]
mod tests;
