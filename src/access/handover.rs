//! Requests that another node has let in and hands over. It has counted them and knows whose they are, so what it says
//! of them is believed, if it is signed; the secret that the client has shown is looked at again.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::ids::{Key, NodeId};

/// Signs what this node hands over, and reads what others do.
#[derive(Clone, Debug)]
pub struct Handovers {
    own: NodeId,
    key: Key,
}

/// What of a request is signed, so that a signature is of use for nothing else.
#[derive(Clone, Debug)]
pub struct HandedOver<'a> {
    /// The method.
    pub method: &'a str,
    /// The path and the query.
    pub target: &'a str,
    /// Every `Authorization` value.
    pub authorization: Vec<&'a [u8]>,
}

/// Proof that another node has let a request in, and counted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// Whose request it is, if the other node says so; else it is to be found out as for every request.
    pub client: Option<IpAddr>,
}

/// How far the clocks of two nodes may be apart, and how long a request may be on its way.
const LASTS: Duration = Duration::from_secs(300);

impl Handovers {
    /// Of the node of this name, one of those that have the secret.
    pub fn new(own: NodeId, secret: &str) -> Self {
        Self { own, key: Key::derive(secret, "handover") }
    }

    /// What the clock shows by which they are old, in seconds since 1970.
    pub fn clock() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    /// What to say with a request that goes to this node. `client` is for where the other end of the connection is
    /// this node.
    pub fn sign(&self, to: &NodeId, request: &HandedOver<'_>, client: Option<IpAddr>) -> String {
        let at = Self::clock().to_string();
        let client = client.map_or_else(|| "-".to_owned(), |client| client.to_string());
        let signature = self.key.sign(&parts(&[&self.own.to_string(), to.as_str(), &at, &client], request));
        format!("{}.{at}.{}.{client}", self.own, URL_SAFE_NO_PAD.encode(signature))
    }

    /// What another node has said with a request. `None` if none has, not for this node, or too long ago.
    pub fn verify(&self, said: &str, request: &HandedOver<'_>) -> Option<Vouched> {
        // An address may have dots of its own.
        let mut words = said.splitn(4, '.');
        let [from, at, signature, client] = [words.next()?, words.next()?, words.next()?, words.next()?];
        if Self::clock().abs_diff(at.parse().ok()?) > LASTS.as_secs() {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok().filter(|bytes| bytes.len() == 32)?;
        let parts = parts(&[from, self.own.as_str(), at, client], request);
        let client = (client != "-").then(|| client.parse());
        self.key.verify(&parts, &signature).then_some(Vouched { client: client.transpose().ok()? })
    }
}

fn parts<'a>(words: &[&'a str; 4], request: &'a HandedOver<'_>) -> Vec<&'a [u8]> {
    let words = words.iter().copied().chain([request.method, request.target]).map(str::as_bytes);
    words.chain(request.authorization.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> HandedOver<'static> {
        HandedOver { method: "POST", target: "/a/mcp", authorization: vec![b"Bearer x"] }
    }

    fn node(name: &str) -> NodeId {
        NodeId::parse(name).unwrap()
    }

    #[test]
    fn what_a_node_says_is_believed_by_the_one_that_it_is_for() {
        let client = Some("2001:db8::1".parse().unwrap());
        let [one, two, three] = ["n1", "n2", "n3"].map(|name| Handovers::new(node(name), "secret"));
        for client in [None, client] {
            let said = one.sign(&node("n2"), &request(), client);
            assert_eq!(two.verify(&said, &request()), Some(Vouched { client }));
            assert_eq!(three.verify(&said, &request()), None);
            assert_eq!(Handovers::new(node("n2"), "other").verify(&said, &request()), None);
        }
    }

    #[test]
    fn it_is_good_for_its_request_alone() {
        let [one, two] = ["n1", "n2"].map(|name| Handovers::new(node(name), "secret"));
        let said = one.sign(&node("n2"), &request(), None);
        for other in [
            HandedOver { method: "GET", ..request() },
            HandedOver { target: "/b/mcp", ..request() },
            HandedOver { authorization: vec![b"Bearer y"], ..request() },
            HandedOver { authorization: vec![], ..request() },
        ] {
            assert_eq!(two.verify(&said, &other), None, "{other:?}");
        }
        let [from, at, signature, client] = said.split('.').collect::<Vec<_>>().try_into().unwrap();
        let before = (at.parse::<u64>().unwrap() - 301).to_string();
        for changed in [
            format!("n3.{at}.{signature}.{client}"),
            format!("{from}.{before}.{signature}.{client}"),
            format!("{from}.{at}.{signature}.10.0.0.1"),
            format!("{from}.{at}.{signature}.{client}."),
            format!("{from}.{at}..{client}"),
            format!("{from}.{at}.{}.{client}", &signature[..42]),
            format!("{from}.{at}.{signature}"),
            String::new(),
        ] {
            assert_eq!(two.verify(&changed, &request()), None, "{changed}");
        }
    }
}
