//! `[access]` and `[tenants.*]`: who may connect, and from where.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::catalog::Server;
use super::choice::Choice;
use super::offer::{self, Selection};
use super::remote::Auth;

/// Origins, hosts and client addresses.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Access {
    /// Further `Origin` values that may call, such as `https://app.example.com`.
    pub origins: Vec<String>,
    /// Allowed `Host` values; empty on a loopback address means loopback names only, elsewhere any.
    pub hosts: Vec<String>,
    /// Where a client's address is read from.
    pub client_address: ClientAddress,
    /// Proxies: whose word on a client's address is believed.
    pub trusted_proxies: Vec<Network>,
    /// What becomes of a blocked environment name.
    pub blocked_env: BlockedEnv,
}

/// Where a client's address is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", rename_all = "lowercase")]
pub enum ClientAddress {
    /// The socket's peer.
    Peer,
    /// `Fly-Client-IP`, which Fly.io's proxy overwrites.
    Fly,
    /// The right-most hop of `X-Forwarded-For` that is not a trusted proxy.
    Forwarded,
}

/// What becomes of a blocked environment name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", rename_all = "lowercase")]
pub enum BlockedEnv {
    /// The request is refused and the name told.
    Reject,
    /// The variable is left out silently.
    Ignore,
}

/// One tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Tenant {
    /// `sha256:` and 64 lower-case hexadecimal digits each.
    pub secrets: Vec<String>,
    /// Short names of servers, or `*` for every one.
    pub servers: Vec<String>,
    /// Live sessions of this tenant, instead of `limits.sessions_per_tenant`.
    pub sessions: Option<usize>,
    /// What differs for this tenant from `[rate]`.
    #[serde(default)]
    pub rate: TenantRate,
    /// Environment of every session of this tenant, over the server's.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The tools that are offered to it, of those that a server offers.
    #[serde(default, skip_serializing_if = "Selection::is_everything")]
    pub tools: Selection,
    /// The same of resources and their templates.
    #[serde(default, skip_serializing_if = "Selection::is_everything")]
    pub resources: Selection,
    /// The same of prompts.
    #[serde(default, skip_serializing_if = "Selection::is_everything")]
    pub prompts: Selection,
    /// What remote servers are given to know that it is this tenant who asks, by short name.
    #[serde(default)]
    pub auth: BTreeMap<String, Auth>,
}

/// Rates of one tenant; what is left out is as in `[rate]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct TenantRate {
    /// Requests in a minute; 0 = no limit.
    pub per_minute: Option<u32>,
    /// Requests at once.
    pub burst: Option<NonZeroU32>,
    /// Sessions opened in a minute; 0 = no limit.
    pub opens_per_minute: Option<u32>,
}

/// An address or a network in CIDR form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Access {
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if let Some(origin) = self.origins.iter().find(|o| !o.contains("://") || o.ends_with('/')) {
            let reason = format!("{origin:?} is no origin; write scheme://host or scheme://host:port");
            return Err(("access.origins", reason));
        }
        if self.client_address == ClientAddress::Forwarded && self.trusted_proxies.is_empty() {
            let reason = "is empty, so access.client_address = \"forwarded\" could believe nobody";
            return Err(("access.trusted_proxies", reason.into()));
        }
        Ok(())
    }
}

impl Tenant {
    pub(super) fn check(&self, servers: &BTreeMap<String, Server>) -> Result<(), (&'static str, String)> {
        if let Some(unknown) = self.servers.iter().find(|name| *name != "*" && !servers.contains_key(*name)) {
            return Err(("servers", format!("names {unknown:?}, but there is no [servers.{unknown}]")));
        }
        if self.sessions == Some(0) {
            let reason = "0 would refuse every session; give at least 1, or remove the tenant";
            return Err(("sessions", reason.into()));
        }
        for (name, auth) in &self.auth {
            let Some(server) = servers.get(name).filter(|server| server.url.is_some()) else {
                let reason = format!("names {name:?}, but there is no [servers.{name}] with a `url`");
                return Err(("auth", reason));
            };
            if !self.servers.iter().any(|own| own == "*" || own == name) {
                let reason = format!("names {name:?}, which this tenant may not use; add it to `servers`");
                return Err(("auth", reason));
            }
            server.check_auth(auth).map_err(|reason| ("auth", format!("for {name:?} {reason}")))?;
        }
        offer::check([("tools", &self.tools), ("resources", &self.resources), ("prompts", &self.prompts)])
    }
}

impl Choice for ClientAddress {
    const WORDS: &'static [(&'static str, Self)] =
        &[("peer", Self::Peer), ("fly", Self::Fly), ("forwarded", Self::Forwarded)];
}

impl TryFrom<String> for ClientAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::of(&text)
    }
}

impl Choice for BlockedEnv {
    const WORDS: &'static [(&'static str, Self)] = &[("reject", Self::Reject), ("ignore", Self::Ignore)];
}

impl TryFrom<String> for BlockedEnv {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::of(&text)
    }
}

impl Network {
    /// Whether the address lies in this network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = |ip: IpAddr| match ip {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
            IpAddr::V6(v6) => (v6.to_bits(), 128),
        };
        let ((ours, width), (theirs, other)) = (bits(self.address), bits(address));
        width == other && (ours ^ theirs).checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let refuse = || format!("{text:?} is no address or network, such as 10.0.0.1 or 10.0.0.0/8");
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(width), str::parse).map_err(|_| refuse())?;
        match address.to_canonical() {
            _ if prefix > width => Err(refuse()),
            // A mapped IPv4 network: addresses are compared in their plain form.
            plain if plain != address && prefix >= 96 => Ok(Self { address: plain, prefix: prefix - 96 }),
            _ => Ok(Self { address, prefix }),
        }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        format!("{}/{}", network.address, network.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses_only() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.200.1.1", "11.0.0.1"),
            ("192.168.1.7", "192.168.1.7", "192.168.1.8"),
            ("fdaa::/16", "fdaa:1::2", "fdab::1"),
            ("0.0.0.0/0", "8.8.8.8", "::1"),
            ("::ffff:10.0.0.0/104", "10.200.1.1", "11.0.0.1"),
            ("::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{network} {outside}");
        }
        assert!("10.0.0.0/33".parse::<Network>().is_err());
    }
}
