//! What proves to a server who we are.

use std::fmt;
use std::sync::Arc;

/// A token or password in the clear. Never shown by `Debug`; clones are the same secret.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::backend) struct Secret(Arc<str>);

impl Secret {
    /// Takes it as it is.
    pub(in crate::backend) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the request that shows it.
    pub(in crate::backend) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_never_shows_it() {
        assert!(!format!("{:?}", Some(Secret::new("hunter2"))).contains("hunter2"));
    }
}
