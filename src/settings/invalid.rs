//! What is wrong with settings, in words that hold none of their values.

/// Why the settings cannot be used: where, which key, what is wrong, what to do.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// A file that cannot be read or is no TOML.
    #[error("cannot use {place}: {reason}")]
    Unreadable {
        /// The file, or the environment.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key that no setting has.
    #[error("{place}: unknown key `{key}`: {suggestion}")]
    Unknown {
        /// The file, or the environment.
        place: String,
        /// The key with its section.
        key: String,
        /// What may have been meant.
        suggestion: String,
    },
    /// A value of the wrong form.
    #[error("{0}")]
    Form(String),
    /// A value that cannot work.
    #[error("`{key}` {reason} (set in {place})")]
    Value {
        /// The key with its section.
        key: String,
        /// What is wrong with it.
        reason: String,
        /// The layer that set it.
        place: String,
    },
    /// A value that goes with the others, but not with those that stay as they were at the start.
    #[error(
        "`{key}` {reason}; some of these settings stay as they were at the start, so restart the gateway"
    )]
    Unmerged {
        /// The key with its section.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Leaves out the line of the file that the library shows, which may hold anything.
pub(super) fn without_source(message: &str) -> String {
    match (message.split_once(" | "), message.rsplit_once("^ ")) {
        (Some((place, _)), Some((_, fault))) => format!("{place}: {fault}"),
        (Some((place, _)), None) => place.to_owned(),
        _ => message.to_owned(),
    }
}

/// Leaves out a text that stands where none belongs, which may be a secret.
pub(super) fn without_value(message: &str) -> String {
    const SHOWN: &str = "invalid type: string ";
    match (message.find(SHOWN), message.rfind(", expected ")) {
        (Some(from), Some(to)) if from < to => {
            format!("{}{}{}", &message[..from], SHOWN.trim_end(), &message[to..])
        }
        _ => message.to_owned(),
    }
}

/// The library's message on one line.
pub(super) fn describe(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
