//! What a message refers to beside its own id: progress tokens, subscriptions, requests it cancels. Where
//! several clients share a backend, all of it is renumbered on the way there and restored, byte for byte,
//! on the way back (protocol.md section 5.4).

use std::borrow::Cow;

use super::frame::Frame;
use super::id::RequestId;
use super::ladder::LOG_LEVEL;
use super::members::{decode, members};
use super::shape::Shape;
use super::splice;

/// The member of `_meta` that names a subscription (MCP 2026-07-28).
pub(super) const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// What a client called its request before it was renumbered.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The client's id.
    pub id: RequestId,
    /// The token under which it wants progress, as it was sent.
    token: Option<Box<str>>,
    /// It asked for lines of the server's log.
    pub wants_logs: bool,
}

/// Progress tokens longer than this are not carried.
const MAX_TOKEN: usize = 256;

impl Origin {
    /// Renumbers a request: `number` becomes its id, and its progress token if it has one.
    pub fn renumber(request: &Frame, id: RequestId, number: &RequestId) -> (Self, Frame) {
        let [token, level] = meta(request, ["progressToken", LOG_LEVEL]).unwrap_or_default();
        let edits: Vec<_> = token.iter().map(|token| (request.place_of(token), number.token())).collect();
        let frame = request.respelled(Some(number), &edits);
        let token = token.filter(|token| token.len() <= MAX_TOKEN).map(Box::from);
        (Self { id, token, wants_logs: level.is_some() }, frame)
    }

    /// A response as the client expects it. That of a subscription names it once more.
    pub fn restore_response(&self, response: &Frame) -> Frame {
        response.respelled(Some(&self.id), &self.subscription_edit(response))
    }

    /// A notification of progress as the client expects it; `None` if it asked for none.
    pub fn restore_progress(&self, notification: &Frame) -> Option<Frame> {
        let [token] = members(notification.payload(), ["progressToken"]).ok()?;
        Some(notification.respelled(None, &[(notification.place_of(token?), self.token.as_deref()?)]))
    }

    /// A notification for a subscription as its client expects it.
    pub fn restore_subscription(&self, notification: &Frame) -> Frame {
        notification.respelled(None, &self.subscription_edit(notification))
    }

    fn subscription_edit(&self, frame: &Frame) -> Vec<(std::ops::Range<usize>, &str)> {
        let named = meta(frame, [SUBSCRIPTION]).and_then(|[token]| token);
        named.map(|token| (frame.place_of(token), self.id.token())).into_iter().collect()
    }
}

/// The token under which a request wants progress.
pub fn asked_progress(request: &Frame) -> Option<RequestId> {
    meta(request, ["progressToken"]).and_then(|[token]| RequestId::parse(token?))
}

/// The token that a notification of progress carries.
pub fn progress(notification: &Frame) -> Option<RequestId> {
    members(notification.payload(), ["progressToken"]).ok().and_then(|[token]| RequestId::parse(token?))
}

/// The subscription that a notification belongs to.
pub fn subscription(notification: &Frame) -> Option<RequestId> {
    meta(notification, [SUBSCRIPTION]).and_then(|[token]| RequestId::parse(token?))
}

/// The answer to a request for a subscription, when that ends as it should.
pub fn subscription_ended(id: &RequestId) -> Frame {
    let complete = Shape::of("subscriptions/listen").complete_text();
    let result = format!(r#"{{{complete},"_meta":{{"{SUBSCRIPTION}":{}}}}}"#, id.token());
    splice::response(id, &result)
}

/// Tells a backend that nobody waits for a request any more.
pub fn cancelled(id: &RequestId, reason: &str) -> Frame {
    let params = format!(r#"{{"requestId":{},"reason":{}}}"#, id.token(), serde_json::Value::from(reason));
    splice::notification("notifications/cancelled", &params)
}

/// Why a client calls a request off.
pub(super) fn reason(cancel: &Frame) -> Cow<'_, str> {
    let said = members(cancel.payload(), ["reason"]).ok().and_then(|[reason]| decode(reason?));
    said.unwrap_or("the client does not wait for it any more".into())
}

/// Members of `_meta` in the payload of a message.
fn meta<'a, const N: usize>(frame: &'a Frame, names: [&str; N]) -> Option<[Option<&'a str>; N]> {
    let [meta] = members(frame.payload(), ["_meta"]).ok()?;
    members(meta?, names).ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn frame(text: &str) -> Frame {
        Frame::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    fn id(token: &str) -> RequestId {
        RequestId::parse(token).unwrap()
    }

    #[test]
    fn what_is_renumbered_comes_back_byte_for_byte() {
        let sent = r#"{"method":"m","params":{"_meta":{"progressToken" : "t\/1","x":1e400}},"id":"a\/b","jsonrpc":"2.0"}"#;
        let (origin, numbered) = Origin::renumber(&frame(sent), id(r#""a\/b""#), &id("7"));
        assert_eq!(numbered.bytes(), &sent.replace(r#""t\/1""#, "7").replace(r#""a\/b""#, "7"));
        assert_eq!(asked_progress(&numbered), Some(id("7")));
        let answer = frame(r#"{"result":{"y":[7]},"jsonrpc":"2.0","id":7}"#);
        let restored = origin.restore_response(&answer);
        assert_eq!(restored.bytes(), r#"{"result":{"y":[7]},"jsonrpc":"2.0","id":"a\/b"}"#);
        let note = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":7,"progressToken":7}}"#;
        assert_eq!(progress(&frame(note)), Some(id("7")));
        let restored = origin.restore_progress(&frame(note)).unwrap();
        assert_eq!(restored.bytes(), &note.replace(r#"Token":7"#, r#"Token":"t\/1""#));
    }

    #[test]
    fn a_subscription_bears_the_id_of_its_request() {
        let listen = r#"{"jsonrpc":"2.0","id":"1","method":"subscriptions/listen","params":{}}"#;
        let (origin, _) = Origin::renumber(&frame(listen), id(r#""1""#), &id("3"));
        let meta = r#""_meta":{"io.modelcontextprotocol/subscriptionId":3}"#;
        let note = frame(&format!(r#"{{"jsonrpc":"2.0","method":"n","params":{{{meta}}}}}"#));
        assert_eq!(subscription(&note), Some(id("3")));
        assert!(String::from_utf8_lossy(origin.restore_subscription(&note).bytes()).contains(r#"Id":"1"}"#));
        let end = frame(&format!(r#"{{"jsonrpc":"2.0","id":3,"result":{{{meta}}}}}"#));
        let end = origin.restore_response(&end);
        assert!(
            String::from_utf8_lossy(end.bytes())
                .contains(r#""id":"1","result":{"_meta":{"io.modelcontextprotocol/subscriptionId":"1"}"#)
        );
        assert_eq!(origin.restore_progress(&note).map(|_| ()), None);
    }

    #[test]
    fn cancellation_names_the_request() {
        let Kind::Notification(Method::Cancelled(Some(named))) = cancelled(&id("7"), "why").kind().clone()
        else {
            panic!()
        };
        assert_eq!(named, id("7"));
    }

    use super::super::frame::{Kind, Method};
}
