//! Secrets that the operator has revoked at once, on whichever node: they open nothing any more, whatever settings say.

use super::rights::Rights;
use super::{Gate, Intent, SecretHash};
use crate::audit::{self, Event};
use crate::ids::TenantId;

/// What revoking a secret has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// This tenant's it was.
    Of(TenantId),
    /// No tenant has it here; it is revoked all the same, since one may have it on another node.
    Nobodys,
    /// It was revoked before.
    Already,
}

/// Why a secret is not revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is the operator's own secret; to revoke that, restart the gateway with another LOCKGATE_ADMIN_SECRET"
)]
pub struct IsOperators;

impl Gate {
    /// Revokes a secret: it is refused from now on, and its sessions end. Reloads leave it so; a restart does not.
    ///
    /// # Errors
    /// If it is the operator's.
    pub fn revoke(&self, _intent: &Intent, key: SecretHash) -> Result<Revoked, IsOperators> {
        if self.unlisted.operator == Some(key) {
            return Err(IsOperators);
        }
        if self.rights.is_revoked(&key) {
            return Ok(Revoked::Already);
        }
        let owner = self.revoke_one(key, "by the operator");
        Ok(owner.map_or(Revoked::Nobodys, Revoked::Of))
    }

    /// Revokes what was revoked on another node; how many of these are news here.
    pub fn revoke_told(&self, keys: impl IntoIterator<Item = SecretHash>) -> usize {
        let mut news = 0;
        for key in keys {
            if !self.rights.is_revoked(&key) {
                self.revoke_one(key, "by the operator of another node");
                news += 1;
            }
        }
        news
    }

    /// Every secret that was revoked, as settings have it.
    pub fn revoked(&self) -> Vec<String> {
        self.rights.revoked().iter().map(SecretHash::to_string).collect()
    }

    fn revoke_one(&self, key: SecretHash, why: &str) -> Option<TenantId> {
        let owner = self.keyring.keys().find(|(known, _)| *known == key).map(|(_, tenant)| tenant.id.clone());
        // First, so that the line stands before those of the sessions that end.
        audit::record(Event::SecretRevoked(owner.as_ref(), why));
        self.rights.revoke(key);
        owner
    }
}

impl Rights {
    fn revoke(&self, key: SecretHash) {
        self.modify(|known| known.revoke(key));
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use super::*;
    use crate::access::{Denied, Machine, Presented, Secret, Secrets};
    use crate::ids::ServerName;
    use crate::settings::{Flags, Platform, Settings};

    fn gate(secret: &Secret) -> (Gate, Settings) {
        let settings = Settings::load(&Flags::default(), &Platform::default()).unwrap();
        let secrets = Secrets { tenant: Some(secret), ..Secrets::default() };
        let bound = SocketAddr::from((Ipv4Addr::LOCALHOST, 8000));
        let gate = Gate::new(&settings, secrets, bound, &Machine::default()).unwrap();
        (gate, settings)
    }

    fn admit(gate: &Gate, secret: &str) -> Result<crate::access::Permit, Denied> {
        let header = format!("Bearer {secret}");
        crate::access::tests::now(gate.admit(&Presented {
            authorization: vec![header.as_bytes()],
            origin: vec![],
            host: Some(b"localhost:8000"),
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            fly_client_ip: vec![],
            forwarded_for: vec![],
            vouched: None,
        }))
    }

    #[tokio::test]
    async fn a_revoked_secret_is_refused_loses_what_it_had_and_stays_so_after_a_reload() {
        let secret = Secret::new("s3cret".into()).unwrap();
        let (gate, settings) = gate(&secret);
        let permit = admit(&gate, "s3cret").unwrap();
        let mut standing = permit.follow(&ServerName::new("demo"));
        assert!(standing.take_change() && standing.check().is_ok());
        assert_eq!(gate.revoke_told([secret.hash(), Secret::draw().unwrap().hash()]), 2);
        assert!(standing.take_change() && standing.check().is_err());
        assert_eq!(admit(&gate, "s3cret").unwrap_err(), Denied::Secret);
        assert_eq!(gate.revoke_told([secret.hash()]), 0);
        let renewed = gate.renewed(&settings).unwrap();
        renewed.take_effect();
        assert_eq!(admit(&renewed, "s3cret").unwrap_err(), Denied::Secret);
        assert_eq!(renewed.revoked().len(), 2);
        assert!(standing.check().is_err());
    }
}
