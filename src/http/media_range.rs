//! What a client says that it takes: one part of an `Accept` header (RFC 9110 section 12.5.1).

/// A media range that is not ruled out. Parameters other than `q` say nothing to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MediaRange<'a> {
    kind: &'a str,
    subtype: &'a str,
}

impl<'a> MediaRange<'a> {
    /// Reads `type/subtype;q=…`; `None` if it is none, or one of weight zero.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';');
        let (kind, subtype) = parts.next()?.trim().split_once('/')?;
        let weights = parts.filter_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>())
        });
        for weight in weights {
            if weight.ok()? <= 0.0 {
                return None;
            }
        }
        Some(Self { kind, subtype })
    }

    /// Whether this type is among what it stands for.
    pub(super) fn covers(self, kind: &str, subtype: &str) -> bool {
        let covers = |range: &str, name: &str| range == "*" || range.eq_ignore_ascii_case(name);
        covers(self.kind, kind) && covers(self.subtype, subtype)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_covers_what_it_names_unless_it_rules_that_out() {
        for (text, covers) in [
            ("application/json", true),
            (" Application/JSON ; charset=utf-8", true),
            ("application/*;q=0.1", true),
            ("*/*", true),
            ("application/json; q = 0", false),
            ("application/json;q=0.000", false),
            ("application/json;q=x", false),
            ("text/*", false),
            ("application/jsonl", false),
            ("application", false),
            ("", false),
        ] {
            let range = MediaRange::read(text);
            assert_eq!(range.is_some_and(|range| range.covers("application", "json")), covers, "{text}");
        }
    }
}
