//! What a remote server is given to know who asks, read when the settings are loaded: a credential that is
//! missing then stops the start.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use url::Url;

use crate::settings::{self, Scheme};

/// A text that nobody gets to see but whom it is for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sealed(Arc<str>);

/// What goes to a remote server.
#[derive(Clone, Debug)]
pub enum Credential {
    /// In this header.
    Header(HeaderName, HeaderValue),
    /// As this parameter of the query.
    Query(String, Sealed),
    /// A token that is asked for first.
    Grant(Arc<Grant>),
}

/// What OAuth tokens are asked for with (RFC 6749 section 4.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    /// Where.
    pub token_url: Url,
    /// As whom.
    pub client_id: String,
    /// And the proof of that.
    pub client_secret: Sealed,
    /// For what.
    pub scope: Option<String>,
    /// For which server (RFC 8707).
    pub resource: Url,
}

/// How one server, tenant or tool is to be asked for.
#[derive(Clone, Debug)]
pub(super) struct Auth {
    form: Form,
    /// The operator's credential.
    own: Option<Credential>,
    /// The header in which a client may send its own.
    passthrough: Option<HeaderName>,
}

#[derive(Clone, Debug)]
enum Form {
    Bearer,
    Basic(Option<String>),
    Header(HeaderName),
    Query(String),
    Grant,
}

/// What a header of the request says: nothing if it is not there, and no text if it cannot be told.
pub(super) trait Header: Fn(&HeaderName) -> Option<Option<String>> {}

impl<F: Fn(&HeaderName) -> Option<Option<String>>> Header for F {}

/// A client must bring a credential of its own, in this header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the remote server needs a credential of yours; send it once, in the header {0}")]
pub struct NoCredential(pub HeaderName);

impl Sealed {
    /// For text that is shown to nobody.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text, for whom it is for.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed")
    }
}

impl Credential {
    /// What tells it from others; the first says what the others are.
    pub(super) fn parts(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Header(name, value) => {
                vec![b"header".into(), name.as_str().into(), value.as_bytes().into()]
            }
            Self::Query(name, value) => {
                ["query", name, value.reveal()].map(|text| text.as_bytes().to_vec()).into()
            }
            Self::Grant(grant) => {
                let Grant { token_url, client_id, client_secret, scope, resource } = &**grant;
                let scope = scope.as_deref().unwrap_or_default();
                let parts = [
                    "grant",
                    token_url.as_str(),
                    client_id,
                    client_secret.reveal(),
                    scope,
                    resource.as_str(),
                ];
                parts.map(|text| text.as_bytes().to_vec()).into()
            }
        }
    }
}

impl Auth {
    /// Reads the credential from where the settings say; they have been checked. `server` is whom it is for.
    ///
    /// # Errors
    /// With the reason, if there is none, or one that cannot be sent.
    pub(super) fn load(auth: &settings::Auth, server: &Url) -> Result<Self, String> {
        let name = |text: &Option<String>| text.as_ref().and_then(|name| name.parse::<HeaderName>().ok());
        let form = match (auth.scheme, name(&auth.header), &auth.query) {
            (Scheme::Bearer, ..) => Form::Bearer,
            (Scheme::Basic, ..) => Form::Basic(auth.user.clone()),
            (Scheme::ApiKey, Some(header), _) => Form::Header(header),
            (Scheme::ApiKey, None, query) => Form::Query(query.clone().unwrap_or_default()),
            (Scheme::OAuth, ..) => Form::Grant,
        };
        let own = match source(auth)? {
            Some(text) if matches!(form, Form::Grant) => Some(Credential::Grant(grant(auth, server, text)?)),
            Some(text) => Some(form.credential(&text).ok_or("names a credential that no header can hold")?),
            None => None,
        };
        Ok(Self { form, own, passthrough: name(&auth.passthrough) })
    }

    /// The client's own credential if it may send one and does, else the operator's.
    ///
    /// # Errors
    /// If there is neither, or the client's cannot be used: another's must not go in its place.
    pub(super) fn choose(&self, header: &impl Header) -> Result<Credential, NoCredential> {
        let is_blank = |text: &Option<String>| text.as_ref().is_some_and(|text| text.trim().is_empty());
        let sent = self.passthrough.as_ref().and_then(header).filter(|text| !is_blank(text));
        let chosen = match sent {
            Some(text) => text.and_then(|text| self.passed(&text)),
            None => self.own.clone(),
        };
        chosen.ok_or_else(|| NoCredential(self.passthrough.clone().unwrap_or(AUTHORIZATION)))
    }

    /// Where tokens are asked for, if any are.
    pub(super) fn token_url(&self) -> Option<&Url> {
        match &self.own {
            Some(Credential::Grant(grant)) => Some(&grant.token_url),
            _ => None,
        }
    }

    /// A client sends the bare credential, or the whole of what it would send to the remote server itself.
    fn passed(&self, text: &str) -> Option<Credential> {
        let text = text.trim();
        let bare = match (text.split_once(' '), &self.form) {
            (Some((scheme, rest)), Form::Bearer) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
            (Some((scheme, rest)), Form::Basic(_)) if scheme.eq_ignore_ascii_case("basic") => {
                return sensitive(&format!("Basic {}", rest.trim()))
                    .map(|value| Credential::Header(AUTHORIZATION, value));
            }
            _ => text,
        };
        self.form.credential(bare)
    }
}

impl Form {
    fn credential(&self, text: &str) -> Option<Credential> {
        let authorization =
            |text: String| sensitive(&text).map(|value| Credential::Header(AUTHORIZATION, value));
        match self {
            Self::Bearer => authorization(format!("Bearer {text}")),
            Self::Basic(user) => {
                let pair = user.as_ref().map_or_else(|| text.to_owned(), |user| format!("{user}:{text}"));
                pair.contains(':').then(|| format!("Basic {}", STANDARD.encode(pair))).and_then(authorization)
            }
            Self::Header(name) => sensitive(text).map(|value| Credential::Header(name.clone(), value)),
            Self::Query(name) => Some(Credential::Query(name.clone(), Sealed::new(text))),
            Self::Grant => None,
        }
    }
}

/// A value that is not shown where headers are.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn source(auth: &settings::Auth) -> Result<Option<String>, String> {
    let text = match (&auth.env, &auth.file) {
        (Some(name), _) => std::env::var(name).map_err(|_| {
            format!("names the variable {name}, which the gateway's environment does not hold; set it, or use `file`")
        })?,
        (None, Some(path)) => std::fs::read_to_string(path)
            .map_err(|error| format!("names the file {path}, which cannot be read: {error}"))?,
        (None, None) => return Ok(None),
    };
    let text = text.trim_end_matches(['\r', '\n']);
    if text.trim().is_empty() {
        return Err("names an empty credential; without one, requests would go out as nobody's".into());
    }
    Ok(Some(text.to_owned()))
}

fn grant(auth: &settings::Auth, server: &Url, secret: String) -> Result<Arc<Grant>, String> {
    let token_url = auth.token_url.as_deref().unwrap_or_default();
    Ok(Arc::new(Grant {
        token_url: Url::parse(token_url)
            .map_err(|fault| format!("has a `token_url` that is none: {fault}"))?,
        client_id: auth.client_id.clone().unwrap_or_default(),
        client_secret: Sealed::new(&secret),
        scope: auth.scope.clone(),
        resource: server.clone(),
    }))
}
