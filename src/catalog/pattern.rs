//! Names in which `*` stands for any text, also for none; every other character stands for itself.

/// One such name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Box<str>);

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Whether it may mean several names.
    pub(super) fn has_star(&self) -> bool {
        self.0.contains('*')
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this name is meant.
    pub(super) fn fits(&self, name: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else { return *self.0 == *name };
        let Some(mut name) = name.strip_prefix(first) else { return false };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        // Where a piece stands first leaves most for the pieces behind it, so no other place need be tried.
        for piece in middle.split('*') {
            match name.split_once(piece) {
                Some((_, behind)) => name = behind,
                None => return false,
            }
        }
        name.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By trying everything.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=name.len()).any(|skipped| naive(rest, &name[skipped..])),
            ([one, pattern @ ..], [other, name @ ..]) => one == other && naive(pattern, name),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_fit_what_trying_everything_finds(pattern in "[ab*]{0,8}", name in "[ab]{0,10}") {
            prop_assert_eq!(Pattern::new(&pattern).fits(&name), naive(pattern.as_bytes(), name.as_bytes()));
        }
    }

    #[test]
    fn nothing_but_a_star_is_special() {
        for (pattern, name) in [("a?c", "abc"), ("[ab]", "a"), ("A", "a"), ("a", "a "), (r"\*", "*")] {
            assert!(!Pattern::new(pattern).fits(name), "{pattern} {name}");
            assert!(Pattern::new(pattern).fits(pattern), "{pattern}");
        }
        assert!(Pattern::new("é*").fits("éa") && !Pattern::new("é").fits("e\u{301}"));
    }
}
