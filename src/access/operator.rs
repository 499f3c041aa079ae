//! Whether it is the operator who asks: for what no tenant may see or do.
//!
//! A program shows the secret with each request. A browser shows it once, and a cookie from then on, which it also
//! shows when another page has it ask for something; so from a cookie follows a [`Login`], with which everything can
//! be looked at, but no [`Intent`], without which nothing can be done.

use std::net::SocketAddr;
use std::time::Duration;

use super::Presented;
use super::address::AddressRule;
use super::login::{Login, Logins};
use super::origin::OriginRule;
use super::rate::Failures;
use super::secret::{self, Keyring, Secret, SecretHash};
use super::{Denied, Gate};
use crate::audit::{self, Event};
use crate::settings::Settings;

/// Proof that the operator asks.
#[derive(Debug)]
pub struct Operator(());

/// Proof that the operator wants something done: the secret came with the request, or a form of this login's own
/// pages was sent.
#[derive(Debug)]
pub struct Intent {
    login: Option<SecretHash>,
}

/// What a browser presents beside what every client does.
#[derive(Clone, Debug)]
pub struct Visit<'a> {
    /// What every client presents.
    pub presented: Presented<'a>,
    /// Every value that the cookie [`LOGIN_COOKIE`] has.
    pub cookies: Vec<&'a [u8]>,
    /// `Sec-Fetch-Site`: where the page is from that wants this, as the browser knows and no page can change.
    pub fetch_site: Option<&'a [u8]>,
}

/// What a browser that has logged in is known by.
pub const LOGIN_COOKIE: &str = "lockgate_admin";

/// The one place where requests to the admin listener are admitted. That they come from this machine says
/// nothing: so does what sessions send.
#[derive(Debug)]
pub struct AdminGate {
    origins: OriginRule,
    addresses: AddressRule,
    keyring: Keyring<()>,
    failures: Failures,
    logins: Logins,
}

/// Why a request to the admin listener is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOperator {
    /// A page of another origin calls, or a name leads here that should not.
    #[error("this listener is called by its own address only, and by no other page")]
    Elsewhere,
    /// No usable `Authorization` header.
    #[error(
        "{0}; send exactly one header `Authorization: Bearer <secret>`, or log in with a browser at /admin"
    )]
    Credentials(&'static str),
    /// It is not the secret.
    #[error(
        "this is not the operator's secret: what LOCKGATE_ADMIN_SECRET held, or what was printed, when the gateway was started"
    )]
    Secret,
    /// Too many wrong secrets from this address.
    #[error("too many wrong secrets from this address; wait, then send the right one")]
    Failures(Duration),
    /// A browser that has not logged in, or not lately.
    #[error("this browser is not logged in, or not any more; log in at /admin/login")]
    LoggedOut,
    /// A form of no page of this login.
    #[error("this form is not of this login; go back to /admin, and do it there again")]
    Form,
    /// No cookie can be drawn.
    #[error("the host gives no random numbers now; try again shortly")]
    NoRandom,
}

impl Operator {
    /// Who starts this program decides all that it does.
    pub fn at_the_command_line() -> Self {
        Self(())
    }
}

impl AdminGate {
    /// Builds the gate of the listener that has this address. It opens to the operator of `tenants`, who sees to
    /// it that no tenant's secret is the operator's as well; `None` if there is no operator.
    pub fn new(settings: &Settings, tenants: &Gate, bound: SocketAddr) -> Option<Self> {
        let mut keyring = Keyring::default();
        keyring.add(tenants.unlisted.operator?, ()).ok()?;
        Some(Self {
            origins: OriginRule::own_only(bound),
            addresses: tenants.addresses.renewed(&settings.access),
            keyring,
            failures: Failures::new(&settings.rate, None),
            logins: Logins::default(),
        })
    }

    /// Admits a request, or says why not.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn admit(&self, presented: &Presented<'_>) -> Result<Operator, NotOperator> {
        self.check_origin(presented)?;
        let secret = secret::bearer(&presented.authorization).map_err(NotOperator::Credentials)?;
        self.check_secret(presented, secret)
    }

    /// The part of admission that must be passed by who wants to see the way in.
    ///
    /// A tunnel (`ssh -L`, `fly proxy`) ends at whatever port the operator chose, so where the listener is on a
    /// loopback address every loopback name will do, with any port; but a page's origin must be the very one.
    ///
    /// # Errors
    /// If the origin or the host is not its own.
    pub fn check_origin(&self, presented: &Presented<'_>) -> Result<(), NotOperator> {
        self.origins.check(presented).map_err(|_: Denied| NotOperator::Elsewhere)
    }

    /// Logs a browser in that shows the secret. What its cookie is from now on.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn log_in(&self, visit: &Visit<'_>, secret: &[u8]) -> Result<Secret, NotOperator> {
        self.check_own_page(visit)?;
        self.check_secret(&visit.presented, secret)?;
        let cookie = self.logins.begin().map_err(|_| NotOperator::NoRandom)?;
        audit::record(Event::OperatorActed("log in", None));
        Ok(cookie)
    }

    /// Lets a browser look that has logged in.
    ///
    /// # Errors
    /// If it has not, or another page has it ask.
    pub fn recognise(&self, visit: &Visit<'_>) -> Result<Login, NotOperator> {
        self.check_origin(&visit.presented)?;
        // Pages on other ports of this machine count as the same site, so its cookies are sent for them.
        if visit.fetch_site.is_some_and(|site| site != b"same-origin" && site != b"none") {
            return Err(NotOperator::LoggedOut);
        }
        let [cookie] = *visit.cookies else { return Err(NotOperator::LoggedOut) };
        let key = SecretHash::of(cookie);
        if !self.logins.touch(&key) {
            return Err(NotOperator::LoggedOut);
        }
        Ok(Login::new(Operator(()), key, cookie))
    }

    /// Whether this login has not ended yet.
    pub fn still_knows(&self, login: &Login) -> bool {
        self.logins.touch(login.key())
    }

    /// Finds out whether the operator wants what a request wants: it comes with the secret, or from a form of this
    /// login's own pages, whose token it has.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn intend(&self, visit: &Visit<'_>, form_token: &[u8]) -> Result<Intent, NotOperator> {
        if !visit.presented.authorization.is_empty() {
            return self.admit(&visit.presented).map(|_| Intent { login: None });
        }
        self.check_own_page(visit)?;
        let login = self.recognise(visit)?;
        if !login.form_token().is(form_token) {
            return Err(NotOperator::Form);
        }
        Ok(Intent { login: Some(*login.key()) })
    }

    /// Logs out the browser that wants this.
    pub fn log_out(&self, intent: &Intent) {
        intent.login.iter().for_each(|key| self.logins.end(key));
        audit::record(Event::OperatorActed("log out", None));
    }

    /// Forgets limiter keys that have recovered; called on a timer.
    pub fn forget_idle_keys(&self) {
        self.failures.forget_idle_keys();
    }

    /// A browser says of what is to be changed which page wants it, in one of two ways; what says nothing is none.
    fn check_own_page(&self, visit: &Visit<'_>) -> Result<(), NotOperator> {
        self.check_origin(&visit.presented)?;
        match visit.fetch_site {
            Some(site) => site == b"same-origin",
            None => !visit.presented.origin.is_empty(),
        }
        .then_some(())
        .ok_or(NotOperator::Elsewhere)
    }

    fn check_secret(&self, presented: &Presented<'_>, secret: &[u8]) -> Result<Operator, NotOperator> {
        if self.keyring.owner(secret).is_some() {
            return Ok(Operator(()));
        }
        let client = self.addresses.client(presented);
        let counted = self.failures.count(client);
        audit::record(Event::OperatorRefused(client));
        Err(counted.map_or_else(NotOperator::Failures, |()| NotOperator::Secret))
    }
}
