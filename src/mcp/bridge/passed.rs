//! What comes out of a machine.

use crate::mcp::frame::Frame;
use crate::mcp::id::RequestId;

/// What is to be passed on, each list in its order.
#[derive(Debug, Default)]
pub struct Passed {
    /// To the backend.
    pub to_backend: Vec<Frame>,
    /// To clients.
    pub to_client: Vec<ForClient>,
}

/// A message as a backend of the client's own era would have sent it.
#[derive(Debug)]
pub struct ForClient {
    /// The message.
    pub frame: Frame,
    /// The request of the client that it belongs to, where only the bridge can tell.
    pub about: Option<RequestId>,
}

impl From<Frame> for ForClient {
    fn from(frame: Frame) -> Self {
        Self { frame, about: None }
    }
}

impl ForClient {
    /// A message that belongs to this request.
    pub(super) fn about(request: &RequestId, frame: Frame) -> Self {
        Self { frame, about: Some(request.clone()) }
    }
}
