//! What may be shown of what a backend says: not the values that it was given.

use super::{Credential, Endpoint, Launch, LaunchPlan, Means};

/// What stands in the place of a value.
const MASK: &str = "(masked)";
/// Shorter values are in any text by chance.
const SHORTEST: usize = 4;

impl LaunchPlan {
    /// As [`Means::conceal`].
    pub fn conceal(&self, text: &str) -> String {
        self.means.conceal(text)
    }
}

impl Means {
    /// A text without the values of the session's variables and of what a remote server knows it by, for who may see
    /// what a backend has said, but not what it was told.
    pub fn conceal(&self, text: &str) -> String {
        match self {
            Self::Launch(launch) => launch.conceal(text),
            Self::Endpoint(endpoint) => without(endpoint.values(), text),
        }
    }
}

impl Launch {
    /// As [`Means::conceal`].
    pub fn conceal(&self, text: &str) -> String {
        without(self.environment().map(|(_, value)| value.as_str()), text)
    }
}

/// A text without these values. A key may have several lines, and who tells of it may indent them.
fn without<'v>(whole: impl Iterator<Item = &'v str>, text: &str) -> String {
    let each = |value: &'v str| std::iter::once(value).chain(value.lines().map(str::trim));
    let mut values: Vec<&str> = whole.flat_map(each).filter(|value| value.len() >= SHORTEST).collect();
    // One may be part of another.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values.dedup();
    values.iter().fold(text.to_owned(), |text, value| text.replace(value, MASK))
}

impl Endpoint {
    /// What it is told beside messages.
    fn values(&self) -> impl Iterator<Item = &str> {
        let headers = self.headers().values().filter_map(|value| value.to_str().ok());
        let credential = self.credential().and_then(|credential| match credential {
            // Without the scheme before it.
            Credential::Header(_, value) => value.to_str().ok()?.rsplit(' ').next(),
            Credential::Query(_, value) => Some(value.reveal()),
            Credential::Grant(_) => None,
        });
        headers.chain(self.query().map(|(_, value)| value)).chain(credential)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_several_lines_is_concealed_as_a_whole_and_line_by_line() {
        let values = ["-----BEGIN KEY-----\nMIIE\nabcd1234\n-----END KEY-----\n", "abc", "MIIEabcd"];
        let without = |text| without(values.into_iter(), text);
        assert_eq!(without("no abcd1234 here, but abc"), "no (masked) here, but abc");
        let told = without("bad key:\n    -----BEGIN KEY-----\r\n    MIIE\r\n    abcd1234 at line 3");
        assert_eq!(told, "bad key:\n    (masked)\r\n    (masked)\r\n    (masked) at line 3");
        assert_eq!(without("MIIEabcd"), MASK);
    }
}
