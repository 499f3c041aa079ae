//! Ids of sessions: who makes them, and which node a session is at.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::{Key, NodeId, SessionTag};

/// What identifies a session on the wire: 256 random bits, base64url without padding (43 characters). With several
/// nodes, the name of the session's node, a dot, and 64 such characters: the random bits, and 128 more by which nodes
/// know that one of them has made it.
///
/// It is a capability, so it has no `Display`; logs and messages show its [`SessionTag`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionId(Arc<str>);

/// Makes the ids of one gateway's sessions, and knows those of others.
#[derive(Clone, Debug, Default)]
pub struct Mint(Option<(NodeId, Key)>);

/// Stands between the name of a node and what was given out there.
const MARK: char = '~';
const RANDOM: usize = 32;
const SIGNATURE: usize = 16;

impl SessionId {
    /// Reads an id from a request; `None` if it cannot be one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let (node, rest) = text.split_once('.').map_or((None, text), |(node, rest)| (Some(node), rest));
        let bits = URL_SAFE_NO_PAD.decode(rest).ok()?;
        let sound = match node {
            None => bits.len() == RANDOM,
            Some(node) => bits.len() == RANDOM + SIGNATURE && NodeId::parse(node).is_some(),
        };
        sound.then(|| Self(text.into()))
    }

    /// The id as it goes over the wire, to its owner only.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The short form for logs and messages.
    pub fn tag(&self) -> SessionTag {
        let digest = Sha256::digest(self.0.as_bytes());
        SessionTag([digest[0], digest[1], digest[2], digest[3]])
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({})", self.tag())
    }
}

impl Mint {
    /// Of the node of this name, one of those that have the secret.
    pub fn new(node: NodeId, secret: &str) -> Self {
        Self(Some((node, Key::derive(secret, "session id"))))
    }

    /// The node whose sessions it names, if there are several.
    pub fn node(&self) -> Option<&NodeId> {
        self.0.as_ref().map(|(node, _)| node)
    }

    /// What is given out at this node begins with, so that who brings it back is led here; nothing if there is one.
    pub fn mark(&self) -> String {
        self.node().map_or_else(String::new, |node| format!("{node}{MARK}"))
    }

    /// The node at which something was given out.
    pub fn marker(text: &str) -> Option<NodeId> {
        NodeId::parse(text.split_once(MARK)?.0)
    }

    /// Draws a new id from the operating system's generator.
    ///
    /// # Errors
    /// When the generator cannot be read, which leaves no safe way to open a session.
    pub fn draw(&self) -> Result<SessionId, getrandom::Error> {
        let mut bits = [0; RANDOM + SIGNATURE];
        getrandom::fill(&mut bits[..RANDOM])?;
        let Some((node, key)) = &self.0 else {
            return Ok(SessionId(URL_SAFE_NO_PAD.encode(&bits[..RANDOM]).into()));
        };
        let signed = key.sign(&[node.as_str().as_bytes(), &bits[..RANDOM]]);
        bits[RANDOM..].copy_from_slice(&signed[..SIGNATURE]);
        Ok(SessionId(format!("{node}.{}", URL_SAFE_NO_PAD.encode(bits)).into()))
    }

    /// The other node that has made this id; `None` if there is none, and it can only be found here.
    pub fn maker(&self, id: &SessionId) -> Option<NodeId> {
        let (own, key) = self.0.as_ref()?;
        let (node, rest) = id.0.split_once('.')?;
        if node == own.as_str() {
            return None;
        }
        let bits = URL_SAFE_NO_PAD.decode(rest).ok()?;
        let (random, signature) = bits.split_at_checked(RANDOM)?;
        let node = NodeId::parse(node)?;
        key.verify(&[node.as_str().as_bytes(), random], signature).then_some(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mint(node: &str) -> Mint {
        Mint::new(NodeId::parse(node).unwrap(), "secret")
    }

    #[test]
    fn session_ids_differ_and_survive_the_wire() {
        for (mint, length) in [(Mint::default(), 43), (mint("n1"), 67)] {
            let (one, two) = (mint.draw().unwrap(), mint.draw().unwrap());
            assert_ne!(one, two);
            assert_eq!(one.reveal().len(), length);
            assert_eq!(mint.maker(&one), None, "its own");
            assert_eq!(SessionId::parse(one.reveal()), Some(one));
        }
    }

    #[test]
    fn foreign_text_is_no_session_id() {
        let (plain, named) = (Mint::default().draw().unwrap(), mint("n1").draw().unwrap());
        let (plain, named) = (plain.reveal(), named.reveal());
        for text in [
            "",
            "1",
            "../../etc/passwd",
            &"A".repeat(44),
            &"é".repeat(22),
            &format!("{plain}="),
            &format!("n1.{plain}"),
            &named[3..],
            &named[2..],
            &named[..66],
            &named.replace("n1", "N1"),
            &format!("{named}."),
        ] {
            assert_eq!(SessionId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn debug_output_never_shows_the_id() {
        let id = Mint::default().draw().unwrap();
        assert!(!format!("{id:?}").contains(id.reveal()));
    }

    #[test]
    fn what_is_given_out_says_where() {
        let one = mint("n1");
        assert_eq!(Mint::marker(&format!("{}call.7~", one.mark())).as_ref(), one.node());
        assert_eq!(Mint::default().mark(), "");
        for text in ["call.7", "", "~", "N1~x"] {
            assert_eq!(Mint::marker(text), None, "{text}");
        }
    }

    #[test]
    fn a_node_is_believed_only_of_ids_that_a_node_has_made() {
        let (one, two) = (mint("n1"), mint("n2"));
        let id = one.draw().unwrap();
        assert_eq!(two.maker(&id), NodeId::parse("n1"));
        assert_eq!(Mint::default().maker(&id), None, "there is one gateway");
        assert_eq!(two.maker(&Mint::default().draw().unwrap()), None, "it names none");
        let elsewhere = SessionId::parse(&id.reveal().replace("n1.", "n3.")).unwrap();
        assert_eq!(two.maker(&elsewhere), None, "made for another");
        let stranger = Mint::new(NodeId::parse("n1").unwrap(), "guessed").draw().unwrap();
        assert_eq!(two.maker(&stranger), None);
    }
}
