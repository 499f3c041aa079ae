//! The connection to the store: made here, TLS included, so that nothing of it is left to defaults of a library.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, RedisConnectionInfo, RedisError};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::settings::Place;

/// Where the store is, and how one gets in.
pub(super) struct Door {
    host: String,
    port: u16,
    shown: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// As whom, with what, and which database.
    credentials: RedisConnectionInfo,
}

/// A connection, and what has to be awaited for anything to happen on it; done when it is lost.
pub(super) type Line = (MultiplexedConnection, Pin<Box<dyn Future<Output = ()> + Send>>);

/// Why there is no connection, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) reason: String,
    pub(super) remedy: &'static str,
}

/// Until there is a connection: the name, TCP, TLS and the password together.
const CONNECT: Duration = Duration::from_secs(2);

const REACH: &str = "is it running, and does store.url lead to it from here?";
const TRUST: &str = "if its certificate is of an authority of your own, name that one's file in store.ca; it must be for the host in store.url";
const ADMISSION: &str = "set LOCKGATE_STORE_PASSWORD to its password; a user's name stands in store.url";
const USE: &str = "it must be Valkey, or Redis from 6.2 on, that takes scripts and may be written to";

impl Door {
    pub(super) fn new(place: Place, password: Option<&str>, ca: &Path) -> Result<Self, String> {
        let shown = place.to_string();
        let mut credentials =
            RedisConnectionInfo::default().set_db(place.database.into()).set_skip_set_lib_name();
        if place.password.is_some() && password.is_some() {
            return Err(
                "store.url holds a password, and LOCKGATE_STORE_PASSWORD another; leave one out".into()
            );
        }
        if let Some(password) = password.or(place.password.as_deref()) {
            credentials = credentials.set_password(password);
        }
        if let Some(user) = &place.user {
            if credentials.password().is_none() {
                return Err(
                    "store.url names a user, but there is no password; set LOCKGATE_STORE_PASSWORD".into()
                );
            }
            credentials = credentials.set_username(user);
        }
        let tls = if place.tls {
            let name = ServerName::try_from(place.host.clone())
                .map_err(|_| "store.url has a host that no certificate can be for".to_owned())?;
            Some((TlsConnector::from(Arc::new(trusting(ca)?)), name))
        } else {
            None
        };
        Ok(Self { host: place.host, port: place.port, shown, tls, credentials })
    }

    /// Makes a connection that the store has let in.
    pub(super) async fn connect(&self) -> Result<Line, Trouble> {
        timeout(CONNECT, self.try_connect()).await.unwrap_or_else(|_| {
            Err(Trouble::new(format!("nothing has come of it within {} s", CONNECT.as_secs()), REACH))
        })
    }

    async fn try_connect(&self) -> Result<Line, Trouble> {
        let plain = TcpStream::connect((self.host.as_str(), self.port)).await;
        let plain = plain.map_err(|error| Trouble::new(error.to_string(), REACH))?;
        // Small messages that somebody waits for.
        let _ = plain.set_nodelay(true);
        match &self.tls {
            None => self.enter(plain).await,
            Some((connector, name)) => {
                let secret = connector.connect(name.clone(), plain).await;
                self.enter(secret.map_err(|error| untrusted(&error))?).await
            }
        }
    }

    async fn enter<S>(&self, stream: S) -> Result<Line, Trouble>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // How long anything may take is decided by who asks.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let entered = MultiplexedConnection::new_with_config(&self.credentials, stream, config).await;
        let (connection, driver) = entered.map_err(|error| Trouble::of(&error))?;
        Ok((connection, Box::pin(driver)))
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Trouble {
    pub(super) fn new(reason: impl Into<String>, remedy: &'static str) -> Self {
        Self { reason: reason.into(), remedy }
    }

    /// It was lost without a word.
    pub(super) fn lost() -> Self {
        Self::new("the connection was lost", REACH)
    }

    pub(super) fn silent() -> Self {
        Self::new("it does not answer in time", REACH)
    }

    /// What the store says in detail is left out: nobody knows what it repeats.
    pub(super) fn of(error: &RedisError) -> Self {
        let code = error.code();
        if error.kind() == ErrorKind::AuthenticationFailed || matches!(code, Some("NOAUTH" | "WRONGPASS")) {
            return Self::new("it does not let this node in with this password, or without one", ADMISSION);
        }
        if is_broken(error) {
            return Self::new(error.category(), REACH);
        }
        let code = code.map_or_else(|| error.category().to_owned(), str::to_owned);
        Self::new(format!("it refuses what it is asked ({code})"), USE)
    }
}

/// Whether an error says that there is no connection any more, rather than that the store will not do what it was asked,
/// or something else.
pub(super) fn is_broken(error: &RedisError) -> bool {
    use ErrorKind::{Extension, Server, UnexpectedReturnType};
    !matches!(error.kind(), Server(_) | Extension | UnexpectedReturnType)
}

fn untrusted(error: &io::Error) -> Trouble {
    Trouble::new(format!("there is no TLS with it: {error}"), TRUST)
}

/// Whose certificates are believed.
fn trusting(ca: &Path) -> Result<ClientConfig, String> {
    let fault =
        |error: &dyn fmt::Display| format!("store.url asks for TLS, which this host cannot do: {error}");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(&error))?;
    if ca.as_os_str().is_empty() {
        let builder = builder.with_platform_verifier().map_err(|error| fault(&error))?;
        return Ok(builder.with_no_client_auth());
    }
    let unusable = |reason: &dyn fmt::Display| {
        format!("store.ca: cannot use {}: {reason}; give a file with certificates in PEM", ca.display())
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).map_err(|error| unusable(&error))? {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() {
        return Err(unusable(&"it holds no certificate"));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
