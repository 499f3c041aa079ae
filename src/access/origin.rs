//! Which web pages may call: `Origin` against same-origin and the settings, `Host` against rebinding.

use std::net::{IpAddr, SocketAddr};

use super::{Denied, Presented};
use crate::settings::Access;

#[derive(Debug)]
pub(super) struct OriginRule {
    origins: Vec<String>,
    hosts: Hosts,
}

#[derive(Debug)]
enum Hosts {
    Any,
    Loopback,
    Listed(Vec<String>),
}

impl OriginRule {
    pub(super) fn new(access: &Access, bound: SocketAddr) -> Self {
        let hosts = match (access.hosts.is_empty(), bound.ip().is_loopback()) {
            (true, true) => Hosts::Loopback,
            (true, false) => Hosts::Any,
            (false, _) => Hosts::Listed(access.hosts.iter().map(|h| h.to_ascii_lowercase()).collect()),
        };
        Self { origins: access.origins.iter().map(|o| o.to_ascii_lowercase()).collect(), hosts }
    }

    /// For a listener that no other page has any business with.
    pub(super) fn own_only(bound: SocketAddr) -> Self {
        let hosts = if bound.ip().is_loopback() { Hosts::Loopback } else { Hosts::Any };
        Self { origins: Vec::new(), hosts }
    }

    /// A `Host` that is served, if it may not be just any name of the address itself.
    pub(super) fn listed_host(&self) -> Option<&str> {
        match &self.hosts {
            Hosts::Any | Hosts::Loopback => None,
            Hosts::Listed(hosts) => hosts.first().map(String::as_str),
        }
    }

    pub(super) fn check(&self, presented: &Presented<'_>) -> Result<(), Denied> {
        let host =
            presented.host.and_then(|host| std::str::from_utf8(host).ok()).map(str::to_ascii_lowercase);
        if !self.hosts.allow(host.as_deref()) {
            return Err(Denied::Host);
        }
        let origin = match presented.origin.as_slice() {
            [] => return Ok(()),
            [origin] => std::str::from_utf8(origin).map_err(|_| Denied::Origin)?.to_ascii_lowercase(),
            _ => return Err(Denied::Origin),
        };
        let same = host.is_some_and(|host| same_origin(&origin, &host));
        if same || self.origins.contains(&origin) { Ok(()) } else { Err(Denied::Origin) }
    }
}

impl Hosts {
    fn allow(&self, host: Option<&str>) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (_, None) => false,
            (Self::Listed(hosts), Some(host)) => {
                hosts.iter().any(|allowed| allowed == host || allowed == host_name(host))
            }
            (Self::Loopback, Some(host)) => is_loopback_name(host),
        }
    }
}

/// Whether a `Host`, with or without a port, names the machine that it is used on.
pub fn is_loopback_name(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let name = host_name(&host).trim_start_matches('[').trim_end_matches(']');
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// `scheme://authority` is ours if the authority is the `Host` we were called by. A proxy may end TLS, so
/// the scheme is only used for the port that goes without saying.
fn same_origin(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let plain = |authority: &str| authority.strip_suffix(default).unwrap_or(authority).to_owned();
    plain(authority) == plain(host)
}

fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}
