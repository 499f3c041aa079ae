//! `tools`, `resources` and `prompts` of servers and tenants: what of a server is offered.

use serde::{Deserialize, Serialize};

/// Which of a server's tools, resources or prompts are meant: tools and prompts by their names, resources by
/// their URIs. `*` stands for any text; every other character for itself. Where some resources are meant and
/// others are not, none is whose URI leads elsewhere by `..`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Selection {
    /// If present, no others are. Resources are best chosen this way: one thing may have many URIs.
    pub allow: Option<Vec<String>>,
    /// These are not, even if they are allowed.
    #[serde(default)]
    pub deny: Vec<String>,
}

impl Selection {
    /// Whether nothing was chosen, so that everything is meant.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    fn check(&self) -> Result<(), String> {
        if self.allow.iter().flatten().chain(&self.deny).any(String::is_empty) {
            return Err("holds an empty name; `*` stands for every name".into());
        }
        Ok(())
    }
}

/// Whether the selections under these keys can be meant; else the key and the reason.
pub(super) fn check(selections: [(&'static str, &Selection); 3]) -> Result<(), (&'static str, String)> {
    selections.into_iter().try_for_each(|(key, selection)| selection.check().map_err(|reason| (key, reason)))
}
