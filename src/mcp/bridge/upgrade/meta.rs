//! Members that an object must have, in the place of its own of those names, and one of its `_meta`. Everything else
//! of it stays.

use std::fmt::Write as _;

use crate::mcp::edits::Edits;
use crate::mcp::members::entries;

/// What an object gets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gets<'a> {
    /// Members, as JSON text such as `"a":1,"b":2`; or nothing.
    pub(super) members: &'a str,
    /// What goes: members of the same names, and others that may not be there.
    pub(super) instead_of: &'a [&'a str],
    /// The name of a member of `_meta`, and its value as JSON text.
    pub(super) meta: (&'a str, &'a str),
}

impl Gets<'_> {
    /// Puts all that into an object, which is a part of the message.
    ///
    /// # Errors
    /// If the part is no object. Then nothing of it changes.
    pub(super) fn into_object<'f>(
        self,
        object: &'f str,
        edits: &mut Edits<'f>,
    ) -> Result<(), serde_json::Error> {
        let (mut metas, mut meta, mut is_empty, mut goes) = (0, None, true, false);
        entries(object, |name, token| {
            is_empty = false;
            goes |= self.instead_of.contains(&&*name);
            if name == "_meta" {
                (metas, meta) = (metas + 1, Some(token));
            }
        })?;
        // One that is no object, or there twice, cannot be read in one way.
        let kept = meta.filter(|token| metas == 1 && token.starts_with('{'));
        let mut comes = self.members.to_owned();
        let (name, value) = self.meta;
        if let Some(meta) = kept {
            edits.reshape(meta, |own| own == name, format!(r#""{name}":{value}"#))?;
        } else {
            let comma = if comes.is_empty() { "" } else { "," };
            let _ = write!(comes, r#"{comma}"_meta":{{"{name}":{value}}}"#);
        }
        let replaces_meta = metas > 0 && kept.is_none();
        if goes || replaces_meta {
            let goes = |own: &str| self.instead_of.contains(&own) || (replaces_meta && own == "_meta");
            return edits.reshape(object, goes, comes);
        }
        // Most often nothing goes, and then the object need not be read again.
        if !comes.is_empty() {
            let comma = if is_empty { "" } else { "," };
            edits.replace(&object[..1], format!("{{{comes}{comma}"));
        }
        Ok(())
    }
}
