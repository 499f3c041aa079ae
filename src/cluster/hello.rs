//! How nodes tell each other what they are called. Both sides show that they have the secret, so that who only has an
//! address in DNS is taken for no node. Who also passes on what others say is not found out: that is for the network.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::access::Handovers;
use crate::ids::{Key, NodeId};

/// The header that the question and the answer are signed in.
pub const HELLO: &str = "lockgate-hello";
/// Where nodes are asked.
pub const HELLO_PATH: &str = "/node";

/// Asks and answers for this node.
#[derive(Clone, Debug)]
pub(super) struct Hello {
    own: NodeId,
    /// Tells this process from one that had the name before.
    life: u64,
    ask: Key,
    answer: Key,
}

/// What a node answers to another that asks.
#[derive(Debug)]
pub struct Answer {
    /// What it says of itself, as JSON.
    pub body: String,
    /// For the header [`HELLO`].
    pub signature: String,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Said {
    pub(super) node: String,
    pub(super) draining: bool,
    pub(super) life: u64,
    /// What its clock shows, in seconds since 1970.
    pub(super) at: u64,
}

impl Hello {
    pub(super) fn new(own: NodeId, secret: &str) -> Self {
        let ask = Key::derive(secret, "hello");
        let mut life = [0; 8];
        // Nothing but a warning depends on it.
        let _ = getrandom::fill(&mut life);
        Self { own, life: u64::from_be_bytes(life), ask, answer: Key::derive(secret, "hello answer") }
    }

    /// A question, which is answered once.
    pub(super) fn question(&self) -> Result<String, getrandom::Error> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce)?;
        let nonce = URL_SAFE_NO_PAD.encode(nonce);
        let signature = URL_SAFE_NO_PAD.encode(self.ask.sign(&[nonce.as_bytes()]));
        Ok(format!("{nonce}.{signature}"))
    }

    /// The answer; `None` if no node has asked.
    pub(super) fn answer(&self, question: &str, draining: bool) -> Option<Answer> {
        let (nonce, signature) = question.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        if !self.ask.verify(&[nonce.as_bytes()], &signature) {
            return None;
        }
        let said = Said { node: self.own.to_string(), draining, life: self.life, at: Handovers::clock() };
        let body = serde_json::to_string(&said).ok()?;
        let signature = URL_SAFE_NO_PAD.encode(self.answer.sign(&[question.as_bytes(), body.as_bytes()]));
        Some(Answer { body, signature })
    }

    /// Who has answered; `None` if that was no node.
    pub(super) fn read(&self, question: &str, body: &[u8], signature: &str) -> Option<Said> {
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let is_genuine = self.answer.verify(&[question.as_bytes(), body], &signature);
        if is_genuine { serde_json::from_slice(body).ok() } else { None }
    }

    /// Whether it was this very process that answered.
    pub(super) fn is_own(&self, said: &Said) -> bool {
        said.node == self.own.as_str() && said.life == self.life
    }

    pub(super) fn own(&self) -> &NodeId {
        &self.own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(node: &str, secret: &str) -> Hello {
        Hello::new(NodeId::parse(node).unwrap(), secret)
    }

    #[test]
    fn nodes_know_each_other_and_nobody_else() {
        let (one, two) = (hello("n1", "secret"), hello("n2", "secret"));
        let question = one.question().unwrap();
        let Answer { body, signature } = two.answer(&question, true).unwrap();
        let said = one.read(&question, body.as_bytes(), &signature).unwrap();
        assert_eq!((&*said.node, said.draining), ("n2", true));
        assert!(!one.is_own(&said) && two.is_own(&said));
        // An answer is to one question.
        assert_eq!(one.read(&one.question().unwrap(), body.as_bytes(), &signature), None);
        let other = body.replace("n2", "n3");
        assert_eq!(one.read(&question, other.as_bytes(), &signature), None);
        // Strangers neither get an answer nor are believed.
        let stranger = hello("n2", "guessed");
        assert!(stranger.answer(&question, false).is_none());
        assert!(two.answer(&stranger.question().unwrap(), false).is_none());
        let own = stranger.question().unwrap();
        let Answer { body, signature } = stranger.answer(&own, false).unwrap();
        assert_eq!(one.read(&own, body.as_bytes(), &signature), None);
    }
}
