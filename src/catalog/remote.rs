//! A server of the allowlist that is reached over the network.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::credential::{Auth, Credential, Grant, Header, NoCredential};
use super::pattern::Pattern;
use super::variables::Template;
use super::{BadVariable, Refused};
use crate::ids::{ServerName, TenantId};
use crate::settings::{self, RemoteTransport, Server};

/// Where it is, and what it gets to know.
pub(super) struct Remote {
    url: Url,
    transport: RemoteTransport,
    allow_private: bool,
    headers: Vec<(HeaderName, Template)>,
    query: Vec<(String, Template)>,
    environment: BTreeMap<String, String>,
    auth: Option<Auth>,
    by_tool: Vec<(Pattern, Auth)>,
    by_tenant: BTreeMap<TenantId, Auth>,
    timeout: Option<Duration>,
}

/// How a session reaches its remote server, and as whom.
#[derive(Clone)]
pub struct Endpoint {
    server: ServerName,
    /// Whom it is for; `None` for the operator.
    tenant: Option<TenantId>,
    remote: Arc<Remote>,
    url: Url,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    credential: Option<Credential>,
    /// What calls of some tools are sent with instead; the first pattern that fits counts.
    by_tool: Vec<(Pattern, Result<Credential, NoCredential>)>,
}

impl Remote {
    /// Reads what the settings say, which were checked, and the credentials that they name.
    ///
    /// # Errors
    /// With the key and the reason.
    pub(super) fn load(
        name: &str,
        url: &str,
        server: &Server,
        tenants: &BTreeMap<String, settings::Tenant>,
    ) -> Result<Self, (&'static str, String)> {
        let url = Url::parse(url).map_err(|fault| ("url", format!("is no URL: {fault}")))?;
        let auth = |auth: &settings::Auth| Auth::load(auth, &url);
        let mut headers = Vec::new();
        for (name, text) in &server.headers {
            let name = name
                .parse()
                .map_err(|_| ("headers", format!("holds {name:?}, which is no name of a header")))?;
            headers.push((name, Template::read(text).map_err(|reason| ("headers", reason))?));
        }
        let mut query = Vec::new();
        for (name, text) in &server.query {
            query.push((name.clone(), Template::read(text).map_err(|reason| ("query", reason))?));
        }
        let used = |name: &String| {
            let templates = headers.iter().map(|(_, text)| text).chain(query.iter().map(|(_, text)| text));
            templates.flat_map(Template::names).any(|own| own == name)
        };
        if let Some(unused) = server.env.keys().find(|name| !used(name)) {
            let reason = format!(
                "holds {unused}, but neither `headers` nor `query` has ${{{unused}}}; leave it out, or use it"
            );
            return Err(("env", reason));
        }
        let mut by_tool = Vec::new();
        for (tool, wanted) in by_precision(&server.tool_auth) {
            let wanted = auth(wanted).map_err(|reason| ("tool_auth", format!("for {tool:?} {reason}")))?;
            by_tool.push((Pattern::new(tool), wanted));
        }
        let mut by_tenant = BTreeMap::new();
        for (id, tenant) in tenants {
            if let Some(wanted) = tenant.auth.get(name) {
                let wanted = auth(wanted).map_err(|reason| ("auth", format!("of tenants.{id} {reason}")))?;
                by_tenant.insert(TenantId::new(id), wanted);
            }
        }
        Ok(Self {
            transport: server.transport,
            allow_private: server.allow_private,
            headers,
            query,
            environment: server.env.clone(),
            auth: server.auth.as_ref().map(auth).transpose().map_err(|reason| ("auth", reason))?,
            by_tool,
            by_tenant,
            timeout: server.timeout,
            url,
        })
    }

    /// Where anything goes that may be a secret: a credential, or what the settings put into headers and the query.
    pub(super) fn secrets_go_to(&self) -> impl Iterator<Item = &Url> {
        let tools = self.by_tool.iter().map(|(_, auth)| auth);
        let auths = || self.auth.iter().chain(tools.clone()).chain(self.by_tenant.values());
        let told = !self.headers.is_empty() || !self.query.is_empty() || auths().next().is_some();
        told.then_some(&self.url).into_iter().chain(auths().filter_map(Auth::token_url).collect::<Vec<_>>())
    }

    /// The tenants whose credentials alone it gets; none if it has one for everybody, or needs none.
    pub(super) fn only_known_as(&self) -> Vec<TenantId> {
        if self.auth.is_some() { Vec::new() } else { self.by_tenant.keys().cloned().collect() }
    }

    /// The variables that its headers and its query hold: all that a session's have a meaning for.
    pub(super) fn variables(&self) -> Vec<String> {
        let headers = self.headers.iter().map(|(_, text)| text);
        let all = headers.chain(self.query.iter().map(|(_, text)| text));
        all.flat_map(Template::names).cloned().collect()
    }
}

/// Exact names before patterns, and patterns that say more before those that say less: the first that fits counts.
fn by_precision(auths: &BTreeMap<String, settings::Auth>) -> Vec<(&String, &settings::Auth)> {
    let mut auths: Vec<_> = auths.iter().collect();
    auths.sort_by_key(|(tool, _)| (tool.contains('*'), Reverse(tool.len())));
    auths
}

/// Without what it gets to know: texts of the settings and variables may be secrets, and so may its URL's query.
impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// For a session of this tenant, with these variables beside the server's.
    ///
    /// # Errors
    /// If a variable or a credential is missing that the client could have sent.
    pub(super) fn new(
        server: &ServerName,
        remote: &Arc<Remote>,
        tenant: Option<&TenantId>,
        added: &BTreeMap<String, String>,
        header: &impl Header,
    ) -> Result<Self, Refused> {
        let mut variables = remote.environment.clone();
        variables.extend(added.clone());
        let mut url = remote.url.clone();
        let fill =
            |text: &Template| text.fill(&variables).map_err(BadVariable::Missing).map_err(Refused::from);
        let query = remote.query.iter().map(|(name, text)| Ok((name.clone(), fill(text)?)));
        let query = query.collect::<Result<Vec<_>, Refused>>()?;
        for (name, value) in &query {
            url.query_pairs_mut().append_pair(name, value);
        }
        let mut headers = HeaderMap::with_capacity(remote.headers.len());
        for (name, text) in &remote.headers {
            // The text around the variables was checked with the settings.
            let unsendable = |_| {
                let culprit = text.find(&variables, |value| HeaderValue::from_str(value).is_err());
                BadVariable::Unsendable(culprit.cloned().unwrap_or_default())
            };
            let mut value = HeaderValue::try_from(fill(text)?).map_err(unsendable)?;
            value.set_sensitive(true);
            headers.insert(name.clone(), value);
        }
        // Whoever has one of its own has no other's (D3.7, D3.10): what is missing there is not made up for.
        let auth = tenant.and_then(|tenant| remote.by_tenant.get(tenant)).or(remote.auth.as_ref());
        let credential = auth.map(|auth| auth.choose(header)).transpose()?;
        let of_tool = |(tool, auth): &(Pattern, Auth)| (tool.clone(), auth.choose(header));
        let by_tool = remote.by_tool.iter().map(of_tool).collect();
        let (server, tenant, remote) = (server.clone(), tenant.cloned(), remote.clone());
        Ok(Self { server, tenant, remote, url, query, headers, credential, by_tool })
    }

    /// The server that is reached.
    pub fn server(&self) -> &ServerName {
        &self.server
    }

    /// Whom it is for; `None` for the operator.
    pub fn tenant(&self) -> Option<&TenantId> {
        self.tenant.as_ref()
    }

    /// How long a request may take, if that is not what all may.
    pub fn timeout(&self) -> Option<Duration> {
        self.remote.timeout
    }

    /// Where it takes requests, but for a credential in the query.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The parameters that its settings give it, which [`Endpoint::url`] has already: every other URL at which it
    /// takes messages is to have them, too.
    pub fn query(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How it is spoken to.
    pub fn transport(&self) -> RemoteTransport {
        self.remote.transport
    }

    /// Whether it may have a private or loopback address.
    pub fn allows_private(&self) -> bool {
        self.remote.allow_private
    }

    /// What it gets beside a credential.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// What it is given to know who asks.
    pub fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    /// The same for the call of a tool.
    ///
    /// # Errors
    /// If the tool needs one that the client has not sent.
    pub fn credential_for(&self, tool: &str) -> Result<Option<&Credential>, &NoCredential> {
        match self.by_tool.iter().find(|(pattern, _)| pattern.fits(tool)) {
            Some((_, credential)) => credential.as_ref().map(Some),
            None => Ok(self.credential()),
        }
    }

    /// The grants among its credentials.
    pub fn grants(&self) -> impl Iterator<Item = &Arc<Grant>> {
        let of_tools = self.by_tool.iter().filter_map(|(_, credential)| credential.as_ref().ok());
        of_tools.chain(&self.credential).filter_map(|credential| match credential {
            Credential::Grant(grant) => Some(grant),
            Credential::Header(..) | Credential::Query(..) => None,
        })
    }

    /// Whether tools differ in what they are called with.
    pub fn has_tool_credentials(&self) -> bool {
        !self.by_tool.is_empty()
    }

    /// All that tells it from others, in lists of which each says how long it is.
    pub(super) fn parts(&self) -> Vec<Vec<u8>> {
        let Remote { transport, allow_private, .. } = &*self.remote;
        let mut parts = vec![self.url.as_str().into(), format!("{transport:?} {allow_private}").into_bytes()];
        parts.push(self.headers.len().to_le_bytes().into());
        for (name, value) in &self.headers {
            parts.extend([name.as_str().into(), value.as_bytes().into()]);
        }
        parts.push(self.by_tool.len().to_le_bytes().into());
        for (tool, credential) in &self.by_tool {
            parts.push(tool.as_str().into());
            match credential {
                Ok(credential) => parts.extend(credential.parts()),
                Err(NoCredential(header)) => parts.extend([b"none".into(), header.as_str().into()]),
            }
        }
        parts.extend(self.credential.iter().flat_map(Credential::parts));
        parts
    }
}

#[cfg(test)]
mod tests;
