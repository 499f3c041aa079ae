//! What this node is called among those that share a store.

/// A platform's name for this machine, or the host's; as lower-case letters, digits and hyphens.
pub(super) fn name() -> String {
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name = std::env::var("FLY_MACHINE_ID").ok().filter(|id| !id.is_empty()).unwrap_or_else(host);
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    let name: String = name.chars().map(plain).take(63).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "node".to_owned() } else { name.to_owned() }
}
