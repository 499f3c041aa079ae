//! What of a backend a client gets to see and use: its requests are refused where they use more, and answers lose
//! what it may not see.

use std::ops::ControlFlow;

use tokio::time::Instant;

use super::super::outbox::StreamId;
use super::requests::Request;
use super::{Addressed, Exchange, FromClient, Said, Unfit};
use crate::catalog::Offer;
use crate::mcp::{Code, Failure, Frame, Kind, Listed, error_frame};
use crate::telemetry::Span;

/// A client's message that uses nothing which is not offered: no other goes to the backend.
#[derive(Debug)]
pub(super) struct Admitted<'a> {
    pub(super) frame: Frame,
    pub(super) stream: StreamId,
    pub(super) revision: Option<&'a str>,
    pub(super) now: Instant,
    /// What may be seen of the answer.
    pub(super) offer: Offer,
    /// Lasts until it is answered.
    pub(super) span: Span,
    /// Made here only.
    _seal: (),
}

impl Exchange {
    /// Admits a message, or says what becomes of it instead. One that expects no answer gets none.
    pub(super) fn admit<'a>(&self, said: Said<'a>) -> Result<ControlFlow<FromClient, Admitted<'a>>, Unfit> {
        let Said { frame, stream, revision, now, offer, span } = said;
        let offer = self.offer.and(offer);
        let Err(misuse) = frame.check_call().and_then(|()| offer.check(&frame)) else {
            let admitted = Admitted { frame, stream, revision, now, offer, span, _seal: () };
            return Ok(ControlFlow::Continue(admitted));
        };
        let Kind::Request(id, _) = frame.kind() else { return Ok(ControlFlow::Break(FromClient::Drop)) };
        // Its error would be taken for the answer to the other.
        if !self.transport.is_shared() && self.requests.contains(id) {
            return Err(Unfit::DuplicateId);
        }
        let error = Failure::from(&misuse).frame(id);
        Ok(ControlFlow::Break(FromClient::Answer(Addressed::message(stream, error))))
    }
}

impl Request {
    /// Notes what its client may see of the answer, if that is not everything.
    pub(super) fn show(&mut self, asked: &Frame, offer: Offer) {
        if !offer.is_everything() {
            self.lists = Listed::asked_by(&asked.method());
            self.offer = offer;
        }
    }

    /// The answer as its client may see it.
    pub(super) fn shown(&self, answer: Frame) -> Frame {
        let (Some(listed), Kind::Response(Some(id))) = (self.lists, answer.kind()) else { return answer };
        let id = id.clone();
        answer
            .without(listed, |name| self.offer.has(listed, name))
            .unwrap_or_else(|unlisted| error_frame(&id, Code::Internal, &unlisted.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::super::FromBackend;
    use super::*;
    use crate::session::Transport;

    fn frame(text: &str) -> Frame {
        Frame::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    fn only(tool: &str) -> Offer {
        Offer::of_tools("header", [tool.as_bytes()].into_iter()).unwrap()
    }

    fn say(exchange: &mut Exchange, text: &str, offer: &Offer) -> Result<FromClient, Unfit> {
        let (stream, now) = (StreamId::LISTENING, Instant::now());
        let said = Said {
            frame: frame(text),
            stream,
            revision: Some("2025-06-18"),
            now,
            offer,
            span: Span::default(),
        };
        exchange.client_says(said, String::new)
    }

    const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

    /// A client that has reconnected, with its list held until it is initialized.
    fn reconnected() -> Exchange {
        let mut exchange = Exchange::new(Transport::Sse, Duration::from_secs(300), only("a*"));
        let Ok(FromClient::Hold(Some(initialize))) = say(&mut exchange, LIST, &only("*b")) else { panic!() };
        let Kind::Request(id, _) = initialize.kind() else { panic!() };
        let agreed = frame(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, id.token()));
        let FromBackend::Reply(_) = exchange.backend_says(agreed.into(), true) else { panic!() };
        exchange
    }

    #[tokio::test]
    async fn what_was_held_is_confined_by_its_session_and_by_itself() {
        let answer =
            r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"},{"name":"ab"},{"name":"b"}]}}"#;
        let FromBackend::Forward(addressed) = reconnected().backend_says(frame(answer).into(), true) else {
            panic!()
        };
        let left = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"ab"}]}}"#;
        assert_eq!(addressed.frame.unwrap().bytes(), left);
    }

    #[tokio::test]
    async fn what_is_refused_begins_nothing_and_answers_no_other_request() {
        let call =
            |id| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"b"}}}}"#);
        let mut fresh = Exchange::new(Transport::Sse, Duration::from_secs(300), only("a*"));
        let ruling = say(&mut fresh, &call(1), &Offer::EVERYTHING);
        assert!(matches!(ruling, Ok(FromClient::Answer(_))) && fresh.is_quiet());
        assert!(matches!(say(&mut fresh, LIST, &Offer::EVERYTHING), Ok(FromClient::Hold(Some(_)))));
        let mut open = reconnected();
        assert_eq!(say(&mut open, &call(1), &Offer::EVERYTHING).unwrap_err(), Unfit::DuplicateId);
        assert!(matches!(say(&mut open, &call(2), &Offer::EVERYTHING), Ok(FromClient::Answer(_))));
    }
}
