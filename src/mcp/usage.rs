//! What a client's message uses of a server, by name; read so that no server can read another name in it.

use std::borrow::Cow;

use super::error::{Code, Failure};
use super::frame::{Frame, Kind, Method};
use super::listing::Listed;
use super::members::{decode, each, members, unmistakable};

/// Why a message must not reach the backend. The client is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// A part of it is not what it must be.
    #[error("{0} {1}")]
    Malformed(&'static str, &'static str),
    /// What it uses is not offered.
    #[error("{one} {1:?} is not offered by this server; {method} shows what is", one = .0.one(), method = .0.method())]
    NotOffered(Listed, String),
}

/// As much of a name as an error repeats, in characters.
const SHOWN: usize = 128;
/// The members of the envelope, by which servers tell messages apart.
const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

impl Frame {
    /// Checks the form of a call of a tool. Every other message passes.
    ///
    /// # Errors
    /// If it names no tool, or its arguments are no object.
    pub fn check_call(&self) -> Result<(), Misuse> {
        let (Kind::Request(_, Method::CallTool) | Kind::Notification(Method::CallTool)) = self.kind() else {
            return Ok(());
        };
        let [name, arguments] =
            members(self.payload(), ["name", "arguments"]).map_err(|_| mistakable("`params`"))?;
        // Each token is a value already, so that its first character tells its type.
        if !name.is_some_and(|name| name.starts_with('"')) {
            return Err(Misuse::Malformed("`params.name`", "must be there, and the name of a tool"));
        }
        if arguments.is_some_and(|arguments| !arguments.starts_with('{')) {
            return Err(Misuse::Malformed("`params.arguments`", "must be an object"));
        }
        Ok(())
    }

    /// Checks what a client's message uses of the server.
    ///
    /// # Errors
    /// If it may not use that; if it cannot be told what it uses, or a server might tell something else.
    pub fn check_use(&self, may_use: impl Fn(Listed, &str) -> bool) -> Result<(), Misuse> {
        const NAME: &str = "`params.name`";
        const URI: &str = "`params.uri`";
        unmistakable(self.whole(), ENVELOPE).map_err(|_| mistakable("the message"))?;
        let check = |of: Listed, place: &'static str, token: Option<&str>| {
            let name =
                token.and_then(decode).ok_or(Misuse::Malformed(place, "must be there, and a string"))?;
            if may_use(of, &name) { Ok(()) } else { Err(Misuse::not_offered(of, &name)) }
        };
        match &*self.method() {
            "tools/call" => check(Listed::Tools, NAME, self.param("name")?),
            "prompts/get" => check(Listed::Prompts, NAME, self.param("name")?),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                check(Listed::Resources, URI, self.param("uri")?)
            }
            "completion/complete" => self.check_completed(check),
            "subscriptions/listen" => self.check_subscribed(check),
            _ => Ok(()),
        }
    }

    /// An argument of a prompt is completed, or a part of a resource's URI. Both are looked at, whatever the type
    /// says: a server may go by what is there.
    fn check_completed(
        &self,
        check: impl Fn(Listed, &'static str, Option<&str>) -> Result<(), Misuse>,
    ) -> Result<(), Misuse> {
        let reference = self.param("ref")?.unwrap_or_default();
        let [name, uri] = unmistakable(reference, ["name", "uri"]).map_err(|_| mistakable("`params.ref`"))?;
        name.map_or(Ok(()), |_| check(Listed::Prompts, "`params.ref.name`", name))?;
        uri.map_or(Ok(()), |_| check(Listed::Templates, "`params.ref.uri`", uri))
    }

    /// The resources whose changes a client of the stateless era wants to be told.
    fn check_subscribed(
        &self,
        check: impl Fn(Listed, &'static str, Option<&str>) -> Result<(), Misuse>,
    ) -> Result<(), Misuse> {
        const URIS: &str = "`params.notifications.resourceSubscriptions`";
        let Some(wanted) = self.param("notifications")? else { return Ok(()) };
        let [uris] = unmistakable(wanted, ["resourceSubscriptions"])
            .map_err(|_| mistakable("`params.notifications`"))?;
        let Some(uris) = uris else { return Ok(()) };
        let mut outcome = Ok(());
        each(uris, |uri| {
            if outcome.is_ok() {
                outcome = check(Listed::Resources, URIS, Some(uri));
            }
        })
        .map_err(|_| Misuse::Malformed(URIS, "must be a list"))?;
        outcome
    }

    /// The token of one of its parameters.
    fn param(&self, name: &str) -> Result<Option<&str>, Misuse> {
        unmistakable(self.payload(), [name]).map(|[token]| token).map_err(|_| mistakable("`params`"))
    }

    /// The resource of which this notification of a backend says that it has changed; `None` if it says no such
    /// thing, `Some(None)` if it cannot be told of which.
    pub fn updated(&self) -> Option<Option<Cow<'_, str>>> {
        let notifies = matches!(self.kind(), Kind::Notification(_));
        let is_update = notifies && self.method() == "notifications/resources/updated";
        is_update.then(|| unmistakable(self.payload(), ["uri"]).ok().and_then(|[uri]| decode(uri?)))
    }
}

/// Readers would not agree on what it says.
fn mistakable(place: &'static str) -> Misuse {
    Misuse::Malformed(place, "must be an object with each member once, spelled as the protocol spells it")
}

impl Misuse {
    fn not_offered(of: Listed, name: &str) -> Self {
        Self::NotOffered(of, name.chars().take(SHOWN).collect())
    }
}

impl From<&Misuse> for Failure {
    fn from(misuse: &Misuse) -> Self {
        Self::new(Code::InvalidParams, misuse.to_string())
    }
}

#[cfg(test)]
mod tests;
