//! On which stream a backend's message goes to the client (protocol.md section 2, stream choice).

use super::super::outbox::StreamId;
use super::requests::Purpose;
use super::{Addressed, Exchange, FromBackend};
use crate::mcp::{Frame, Kind, Method, RequestId, progress, subscription};

impl Exchange {
    /// A request or notification of a backend that one client has for itself; `about` is the client's request that it
    /// belongs to, if that is known. `listening` says whether somebody reads the listening stream.
    pub(super) fn route(&self, frame: Frame, about: Option<&RequestId>, listening: bool) -> Addressed {
        if let Some(request) = about.and_then(|id| self.requests.get(id)) {
            return Addressed::message(request.stream, frame);
        }
        let stream = match frame.kind() {
            Kind::Notification(Method::Progress) => {
                progress(&frame).and_then(|token| Some(self.requests.by_token(&token)?.stream))
            }
            Kind::Request(..) | Kind::Notification(Method::Log | Method::Cancelled(_)) => {
                self.related(listening)
            }
            _ => None,
        };
        Addressed::message(stream.unwrap_or(StreamId::LISTENING), frame)
    }

    /// The stream of the request that a message most likely belongs to: stdio does not tell.
    fn related(&self, listening: bool) -> Option<StreamId> {
        let mut streams = self.requests.streams();
        let oldest = streams.next()?;
        let is_only_one = streams.next().is_none();
        (is_only_one || !listening).then_some(oldest)
    }

    /// A notification of a backend that several clients share: it goes to the one it names, or to nobody. `about` is
    /// the request that a line of the log belongs to, where that is known; else it is taken for that of the only client
    /// that wants any.
    pub(super) fn route_shared(&mut self, frame: Frame, about: Option<&RequestId>) -> FromBackend {
        let restored = match frame.kind() {
            Kind::Notification(Method::Progress) => progress(&frame)
                .and_then(|number| self.requests.get(&number))
                .and_then(|r| Some((r.stream, r.origin.as_ref()?.restore_progress(&frame)?))),
            Kind::Notification(Method::Log) => about
                .map_or_else(|| self.requests.only_one_with_logs(), |number| self.requests.get(number))
                .map(|r| (r.stream, frame)),
            Kind::Notification(Method::Cancelled(Some(number))) => {
                // The end of a subscription; a server may call off nothing else.
                let listens = self.requests.get(number).is_some_and(|r| r.purpose == Purpose::Listen);
                let settled = listens.then(|| self.requests.remove(number)).flatten();
                return settled.map_or(FromBackend::Drop, |s| FromBackend::Forward(Addressed::end(&s)));
            }
            _ => subscription(&frame)
                .and_then(|number| self.requests.get(&number))
                .filter(|r| r.offer.may_tell(&frame))
                .and_then(|r| Some((r.stream, r.origin.as_ref()?.restore_subscription(&frame)))),
        };
        restored.map_or(FromBackend::Drop, |(stream, frame)| {
            FromBackend::Forward(Addressed::message(stream, frame))
        })
    }
}
