//! Text becomes checked values here, before a socket or a process exists.
//!
//! Layers, later ones win: the compiled-in `config/default.toml`, the operator's file, a client's list of servers
//! (`import`), what hosting platforms set (`HOST`, `PORT`), `LOCKGATE__SECTION__KEY`, flags. An unknown key, a
//! contradiction or an unreadable file stops the start with the place, the key, the reason and a suggestion.

mod access;
mod admin;
mod catalog;
mod choice;
mod import;
mod invalid;
mod layers;
mod limits;
mod listen;
mod load;
mod mask;
mod offer;
mod reload;
mod remote;
mod sandbox;
mod store;
mod telemetry;
mod unknown;

pub use self::access::{Access, BlockedEnv, ClientAddress, Network, Tenant, TenantRate};
pub use self::admin::{Admin, AdminAddress};
pub use self::catalog::{Server, ServerEra};
pub use self::invalid::Invalid;
pub use self::limits::{Limits, Rate, Timeouts};
pub use self::listen::Listen;
pub use self::load::{Flags, Platform};
pub use self::offer::Selection;
pub use self::remote::{Auth, RemoteTransport, Scheme};
pub use self::sandbox::{NetworkAccess, Profile, Sandbox, UidRange};
pub use self::store::{Place, Store, WhileAway};
pub use self::telemetry::{LogForm, Telemetry};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The documented defaults, as compiled in.
pub const DEFAULTS: &str = include_str!("../config/default.toml");

/// Everything an operator can set, checked.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Settings {
    /// Where clients connect.
    pub listen: Listen,
    /// Where the operator looks in.
    pub admin: Admin,
    /// Who may connect, and from where.
    pub access: Access,
    /// How often.
    pub rate: Rate,
    /// How much.
    pub limits: Limits,
    /// How long.
    pub timeouts: Timeouts,
    /// What a session's processes are kept from.
    pub sandbox: Sandbox,
    /// What it tells of itself.
    pub telemetry: Telemetry,
    /// What it shares with other nodes.
    pub store: Store,
    /// The allowlist, by short name.
    #[serde(default)]
    pub servers: BTreeMap<String, Server>,
    /// The tenants, by id.
    #[serde(default)]
    pub tenants: BTreeMap<String, Tenant>,
}
