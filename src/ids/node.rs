//! Names of nodes.

use std::fmt;
use std::sync::Arc;

/// One running gateway of several that serve the same clients: what the ids of its sessions begin with. Where routers
/// look at it, it must not need to be read in two ways, so it is a label as DNS has them (RFC 1123 section 2.1), in
/// lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(Arc<str>);

const LONGEST: usize = 63;

impl NodeId {
    /// Takes a name: 1 to 63 of `a-z`, `0-9` and `-`, with a letter or a digit at both ends.
    pub fn parse(text: &str) -> Option<Self> {
        let is_end = |byte: Option<&u8>| byte.is_some_and(|byte| *byte != b'-');
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let bytes = text.as_bytes();
        let sound = bytes.len() <= LONGEST && is_end(bytes.first()) && is_end(bytes.last());
        (sound && bytes.iter().copied().all(is_plain)).then(|| Self(text.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for NodeId {
    /// What nobody has given a name.
    fn default() -> Self {
        Self("node".into())
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_label_in_lower_case() {
        for good in ["a", "7", "lockgate-0", "148e21ea7e1289", &"x".repeat(63)] {
            assert_eq!(NodeId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "-", "A", "a.b", "a_b", "a b", "é", "a\n", &"x".repeat(64)] {
            assert_eq!(NodeId::parse(bad), None, "{bad:?}");
        }
    }
}
