//! Where readings come from: the admin listener of a gateway, asked as its operator.

use std::error::Error;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use rustls::crypto::{CryptoProvider, ring};
use url::{Host, Url};

use super::overview::Overview;
use crate::access::Secret;
use crate::cli::arguments::TopArgs;
use crate::cli::conceal::Secrets;
use crate::settings::AdminAddress;

/// A gateway's overview.
#[derive(Debug)]
pub(super) struct Source {
    client: Client,
    url: Url,
    /// Marked as what is not to be shown.
    credential: HeaderValue,
}

/// How long an answer may take, whole.
const ANSWERS: Duration = Duration::from_secs(5);
/// The largest that is read, in bytes: a thousand sessions take less than one MiB.
const MAX_SIZE: usize = 64 << 20;
const NO_SECRET: &str = "there is no operator's secret to ask with; put it into LOCKGATE_ADMIN_SECRET, or name a file that \
                         holds it with --secret-file";

impl Source {
    /// The inner error is that the gateway cannot be asked there.
    ///
    /// # Errors
    /// If there is no secret, or the settings cannot be used.
    pub(super) fn new(args: &TopArgs, secrets: &Secrets) -> anyhow::Result<Result<Self, String>> {
        let secret = match &args.secret_file {
            Some(file) => read(file)?,
            None => secrets.admin.clone().context(NO_SECRET)?,
        };
        let address = match &args.url {
            Some(url) => url.clone(),
            None => listening(args.settings.load()?.admin.address)?,
        };
        let mut credential = HeaderValue::try_from(format!("Bearer {}", secret.reveal()))
            .ok()
            .context("the operator's secret cannot be sent; it must be plain text")?;
        credential.set_sensitive(true);
        Ok(overview_at(&address).and_then(|url| {
            let client = client().map_err(|error| format!("this host has no HTTPS: {}", cause(&error)))?;
            Ok(Self { client, url, credential })
        }))
    }

    /// As it came.
    ///
    /// # Errors
    /// With why there is none, and what to do.
    pub(super) async fn document(&self) -> Result<String, String> {
        let place = self.url.origin().ascii_serialization();
        let gone = |error: reqwest::Error| {
            format!(
                "nobody answers as a gateway at {place} ({}); is it running, and is its admin listener there?",
                cause(&error)
            )
        };
        let request = self.client.get(self.url.clone()).header(AUTHORIZATION, self.credential.clone());
        let mut response = request.send().await.map_err(gone)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => {
                return Err(format!(
                    "{place} refuses this secret; give the one that LOCKGATE_ADMIN_SECRET held when the gateway was started"
                ));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                return Err(format!("{place} has heard too many wrong secrets; wait a minute"));
            }
            status => {
                return Err(format!(
                    "{place} has no overview (HTTP {status}); --url must lead to the admin listener, which is not where clients connect"
                ));
            }
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(gone)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_SIZE {
                return Err(format!("what {place} answers is too large to be an overview"));
            }
        }
        String::from_utf8(body).map_err(|_| strange(&place))
    }

    /// What is read of it.
    ///
    /// # Errors
    /// The same.
    pub(super) async fn overview(&self) -> Result<Overview, String> {
        let document = self.document().await?;
        serde_json::from_str(&document).map_err(|_| strange(&self.url.origin().ascii_serialization()))
    }
}

fn strange(place: &str) -> String {
    format!("what {place} answers is no overview of a gateway; --url must lead to the admin listener")
}

fn read(file: &Path) -> anyhow::Result<Secret> {
    let told = || format!("the secret cannot be read from {}", file.display());
    let text = std::fs::read_to_string(file).with_context(told)?;
    Secret::new(text.trim().to_owned()).map_err(|fault| anyhow::anyhow!("{}: it {fault}", told()))
}

/// Where a gateway on this host with these settings would be found.
fn listening(address: AdminAddress) -> anyhow::Result<String> {
    let AdminAddress::At(address) = address else {
        bail!("admin.address is \"\", so there is no admin listener to ask; name one with --url");
    };
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        ip if ip.is_ipv4() => Ipv4Addr::LOCALHOST.into(),
        _ => Ipv6Addr::LOCALHOST.into(),
    };
    Ok(format!("http://{}", SocketAddr::new(ip, address.port())))
}

/// The overview of the listener at this address, if a secret may be sent there.
fn overview_at(address: &str) -> Result<Url, String> {
    let url = Url::parse(address)
        .map_err(|fault| format!("--url is no URL ({fault}); one is http://127.0.0.1:8001"))?;
    let is_near = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if is_near => {}
        "http" => {
            return Err(
                "--url would send the operator's secret in the clear; use https://, or a tunnel: ssh -L \
                 8001:127.0.0.1:8001 and the host's name"
                    .into(),
            );
        }
        _ => return Err("--url must begin with http:// or https://".into()),
    }
    let path = format!("{}/overview", url.path().trim_end_matches('/'));
    let mut overview = url;
    overview.set_path(&path);
    overview.set_query(None);
    Ok(overview)
}

fn client() -> reqwest::Result<Client> {
    if CryptoProvider::get_default().is_none() {
        // Nobody else is there to install another.
        let _ = ring::default_provider().install_default();
    }
    // A redirect or a proxy would take the secret elsewhere.
    Client::builder().no_proxy().redirect(Policy::none()).timeout(ANSWERS).build()
}

/// The last of what it comes from: the first shows the URL, and says less.
fn cause(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.last().map_or_else(|| "no answer in time".into(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_to_this_host_or_over_tls_only() {
        for (address, overview) in [
            ("http://127.0.0.1:8001", "http://127.0.0.1:8001/overview"),
            ("http://localhost:1/", "http://localhost:1/overview"),
            ("http://[::1]:1/?x", "http://[::1]:1/overview"),
            ("https://gate.example.com/admin/", "https://gate.example.com/admin/overview"),
        ] {
            assert_eq!(overview_at(address).unwrap().as_str(), overview);
        }
        for (address, reason) in [
            ("http://10.0.0.1:8001", "in the clear"),
            ("http://localhost.example.com", "in the clear"),
            ("127.0.0.1:8001", "no URL"),
            ("file:///etc/passwd", "must begin with"),
        ] {
            let told = overview_at(address).unwrap_err();
            assert!(told.contains(reason), "{address}: {told}");
        }
    }

    #[test]
    fn a_listener_on_every_address_is_asked_on_loopback() {
        let at = |address: &str| listening(AdminAddress::At(address.parse().unwrap())).unwrap();
        assert_eq!(at("0.0.0.0:8001"), "http://127.0.0.1:8001");
        assert_eq!(at("[::]:8001"), "http://[::1]:8001");
        assert_eq!(at("10.1.2.3:9"), "http://10.1.2.3:9");
        assert!(listening(AdminAddress::Off).unwrap_err().to_string().contains("--url"));
    }
}
