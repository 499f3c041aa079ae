//! Settings that are one of a few words.

/// A setting whose value is one of a few words.
pub(super) trait Choice: Copy + PartialEq + 'static {
    /// Each word with what it means.
    const WORDS: &'static [(&'static str, Self)];

    /// What a word means.
    ///
    /// # Errors
    /// With the words that there are.
    fn of(text: &str) -> Result<Self, String> {
        let meant = Self::WORDS.iter().find(|(word, _)| *word == text);
        meant.map(|(_, choice)| *choice).ok_or_else(|| {
            let words: Vec<String> = Self::WORDS.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            match words.as_slice() {
                [first @ .., last] => format!("must be {} or {last}", first.join(", ")),
                [] => String::new(),
            }
        })
    }

    /// The word for it.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, choice)| *choice == self).map_or("", |(word, _)| word)
    }
}
