//! What clients want to be told of, by `subscriptions/listen`: a request that is not answered, but acknowledged with
//! what of it the backend can tell. The backend itself is asked once for each resource, however many watch it.
//!
//! ```text
//! A subscription:
//! Settling ── nothing of it is Asked any more ──▶ Acknowledged, and told of changes ── called off ──▶ gone
//!     └────── called off ──▶ gone
//!
//! A resource of it:
//! Asked ── the backend agrees ──▶ On ── the last who watches it leaves: `resources/unsubscribe` ──▶ gone
//!   │            └── and nobody watches it any more: `resources/unsubscribe` ──▶ gone
//!   └───── it refuses, or 10 s: left out of the acknowledgement ──▶ gone
//! ```
//! Of lists the backend tells by itself. A resource that is Asked stays so when nobody watches it any more, as what has
//! not been agreed to cannot be called off; who comes meanwhile waits with it, who comes to one that is On does not.

mod wanted;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use self::wanted::{Lists, wanted};
use super::Frame;
use super::requests::OwnIds;
use crate::mcp::bridge::passed::Passed;
use crate::mcp::edits::{Edits, Merged};
use crate::mcp::error::Failure;
use crate::mcp::id::RequestId;
use crate::mcp::profile::Profile;
use crate::mcp::related::{SUBSCRIPTION, cancelled};
use crate::mcp::splice;

/// Who listens to what.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    listens: HashMap<RequestId, Listen>,
    watched: HashMap<Arc<str>, Watched>,
    /// Our questions to the backend for a resource, by their ids.
    asked: HashMap<RequestId, Arc<str>>,
    /// The same in the order they came, which is the order their time is up. May name answered ones.
    order: VecDeque<(Duration, RequestId)>,
}

/// One request for a subscription.
#[derive(Debug)]
struct Listen {
    lists: Lists,
    uris: Vec<Arc<str>>,
    /// For how many of these the backend has not answered yet. It is acknowledged once that is none.
    waits_for: usize,
}

/// A resource of which the backend is to tell changes.
#[derive(Debug, Default)]
struct Watched {
    by: Vec<RequestId>,
    /// The backend has agreed.
    is_on: bool,
}

/// Resources that all of them may name; one that many name counts as many times. What is more is left out.
const MAX_IN_ALL: usize = 4096;
/// URIs longer than this are left out, in bytes.
const MAX_URI: usize = 2048;
/// A change that takes more, in bytes, is told in short: it is told to everyone who watches.
const MAX_TOLD: usize = 4 << 10;
/// How long the backend may take to agree to tell of a resource. Then it is left out.
const PATIENCE: Duration = Duration::from_secs(10);

impl Subscriptions {
    /// Takes a request for a subscription.
    ///
    /// # Errors
    /// If it is malformed.
    pub(super) fn listen(
        &mut self,
        (id, request): (&RequestId, &Frame),
        profile: &Profile,
        now: Duration,
        ids: &mut OwnIds,
        out: &mut Passed,
    ) -> Result<(), Failure> {
        let (lists, wanted) = wanted(request.payload())?;
        let lists = Lists {
            tools: lists.tools && profile.can("tools", Some("listChanged")),
            prompts: lists.prompts && profile.can("prompts", Some("listChanged")),
            resources: lists.resources && profile.can("resources", Some("listChanged")),
        };
        let mut listen = Listen { lists, uris: Vec::new(), waits_for: 0 };
        let named: usize = self.listens.values().map(|listen| listen.uris.len()).sum();
        // What nobody watches any more counts until the backend has answered.
        let mut room = MAX_IN_ALL.saturating_sub(named.max(self.watched.len()));
        for uri in wanted.into_iter().filter(|_| profile.can("resources", Some("subscribe"))) {
            if room == 0 || uri.len() > MAX_URI || listen.uris.iter().any(|own| **own == *uri) {
                continue;
            }
            room -= 1;
            let (uri, is_on) = self.watch(uri, id, now, ids, out);
            listen.waits_for += usize::from(!is_on);
            listen.uris.push(uri);
        }
        listen.acknowledge_if_settled(id, out);
        self.listens.insert(id.clone(), listen);
        Ok(())
    }

    /// Notes who watches this, and whether the backend has agreed to tell of it; asks it, if nobody did.
    fn watch(
        &mut self,
        uri: String,
        by: &RequestId,
        now: Duration,
        ids: &mut OwnIds,
        out: &mut Passed,
    ) -> (Arc<str>, bool) {
        if let Some((uri, _)) = self.watched.get_key_value(&*uri) {
            let uri = uri.clone();
            let watched = self.watched.entry(uri.clone()).or_default();
            watched.by.push(by.clone());
            return (uri, watched.is_on);
        }
        let (uri, own) = (Arc::<str>::from(uri), ids.next());
        out.to_backend.push(about(&own, "resources/subscribe", &uri));
        self.watched.insert(uri.clone(), Watched { by: vec![by.clone()], is_on: false });
        self.order.push_back((now + PATIENCE, own.clone()));
        self.asked.insert(own, uri.clone());
        (uri, false)
    }

    /// Whether this answers a question of ours for a resource.
    pub(super) fn answered(
        &mut self,
        answer: &Frame,
        id: &RequestId,
        ids: &mut OwnIds,
        out: &mut Passed,
    ) -> bool {
        let Some(uri) = self.asked.remove(id) else { return false };
        self.decided(&uri, !answer.is_error(), ids, out);
        while self.order.pop_front_if(|(_, id)| !self.asked.contains_key(id)).is_some() {}
        if self.order.len() > 2 * self.asked.len() + 16 {
            self.order.retain(|(_, id)| self.asked.contains_key(id));
        }
        true
    }

    /// The backend tells of this resource from now on, or does not.
    fn decided(&mut self, uri: &Arc<str>, is_on: bool, ids: &mut OwnIds, out: &mut Passed) {
        let Some(watched) = self.watched.get_mut(uri) else { return };
        watched.is_on = is_on;
        for id in &watched.by {
            let Some(listen) = self.listens.get_mut(id) else { continue };
            listen.waits_for -= 1;
            if !is_on {
                listen.uris.retain(|own| own != uri);
            }
            listen.acknowledge_if_settled(id, out);
        }
        let is_left = watched.by.is_empty();
        if is_on && is_left {
            out.to_backend.push(about(&ids.next(), "resources/unsubscribe", uri));
        }
        if !is_on || is_left {
            self.watched.remove(uri);
        }
    }

    /// Whether this was a subscription. It is none any more.
    pub(super) fn cancel(&mut self, id: &RequestId, ids: &mut OwnIds, out: &mut Passed) -> bool {
        let Some(listen) = self.listens.remove(id) else { return false };
        for uri in listen.uris {
            let Some(watched) = self.watched.get_mut(&uri) else { continue };
            watched.by.retain(|by| by != id);
            // What the backend has not agreed to yet cannot be called off.
            if watched.by.is_empty() && watched.is_on {
                self.watched.remove(&uri);
                out.to_backend.push(about(&ids.next(), "resources/unsubscribe", &uri));
            }
        }
        true
    }

    /// Tells of a change to everyone who wants to be told of it.
    pub(super) fn tell(&self, change: &Frame, out: &mut Passed) {
        let uri = change.updated().flatten();
        let short = (change.bytes().len() > MAX_TOLD).then(|| shortened(change, uri.as_deref()));
        let change = short.as_ref().unwrap_or(change);
        let method = change.method();
        let wants = |listen: &Listen| match (&*method, &uri) {
            ("notifications/tools/list_changed", _) => listen.lists.tools,
            ("notifications/prompts/list_changed", _) => listen.lists.prompts,
            ("notifications/resources/list_changed", _) => listen.lists.resources,
            ("notifications/resources/updated", Some(uri)) => {
                listen.uris.iter().any(|watched| covers(watched, uri))
            }
            _ => false,
        };
        // A subscription begins with its acknowledgement.
        let told = self.listens.iter().filter(|(_, listen)| listen.waits_for == 0 && wants(listen));
        out.to_client.extend(told.map(|(id, _)| named(change, id).into()));
    }

    /// Leaves out what the backend has not agreed to in time.
    pub(super) fn tick(&mut self, now: Duration, ids: &mut OwnIds, out: &mut Passed) {
        while let Some((_, id)) = self.order.pop_front_if(|(due, _)| *due <= now) {
            if let Some(uri) = self.asked.remove(&id) {
                out.to_backend.push(cancelled(&id, "timed out"));
                self.decided(&uri, false, ids, out);
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.order.front().map(|(due, _)| *due)
    }

    /// Whether the backend has something of ours to do.
    pub(super) fn is_asking(&self) -> bool {
        !self.asked.is_empty()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.listens.is_empty() && self.watched.is_empty() && self.asked.is_empty() && self.order.is_empty()
    }
}

impl Listen {
    /// Tells the client what of its wishes is granted, once that is known.
    fn acknowledge_if_settled(&self, id: &RequestId, out: &mut Passed) {
        if self.waits_for > 0 {
            return;
        }
        let mut granted = serde_json::Map::new();
        let lists = [
            ("toolsListChanged", self.lists.tools),
            ("promptsListChanged", self.lists.prompts),
            ("resourcesListChanged", self.lists.resources),
        ];
        for (name, _) in lists.iter().filter(|(_, is_granted)| *is_granted) {
            granted.insert((*name).to_owned(), true.into());
        }
        if !self.uris.is_empty() {
            granted.insert("resourceSubscriptions".to_owned(), self.uris.iter().map(|uri| &**uri).collect());
        }
        let params = format!(
            r#"{{"notifications":{},"_meta":{{"{SUBSCRIPTION}":{}}}}}"#,
            Value::Object(granted),
            id.token()
        );
        out.to_client.push(splice::notification("notifications/subscriptions/acknowledged", &params).into());
    }
}

/// The same change without what nobody needs to know of it.
fn shortened(change: &Frame, uri: Option<&str>) -> Frame {
    let params = uri.map_or_else(|| json!({}), |uri| json!({ "uri": uri }));
    splice::notification(&change.method(), &params.to_string())
}

/// Whether who watches the one is told of the other: of the resource itself, or of a part of it (MCP 2025-11-25,
/// resources, subscriptions).
fn covers(watched: &str, updated: &str) -> bool {
    updated
        .strip_prefix(watched)
        .is_some_and(|rest| rest.is_empty() || watched.ends_with('/') || rest.starts_with(['/', '?', '#']))
}

/// A request of ours for a resource.
fn about(id: &RequestId, method: &str, uri: &str) -> Frame {
    splice::request(id, method, &json!({ "uri": uri }).to_string())
}

/// A notification of the backend for one subscription.
fn named(change: &Frame, subscription: &RequestId) -> Frame {
    let mut edits = Edits::of(change);
    let comes = Merged { members: "", instead_of: &[], meta: (SUBSCRIPTION, subscription.token()) };
    if edits.merge(change.payload(), comes).is_ok() {
        return edits.done(None);
    }
    // It has no parameters, or none that say anything.
    let params = format!(r#"{{"_meta":{{"{SUBSCRIPTION}":{}}}}}"#, subscription.token());
    splice::notification(&change.method(), &params)
}
