//! The messages that the benchmarks send on their way.

/// Text with what JSON escapes and what events escape in it.
const PHRASE: &str = "\\\"quoted\\\" é\u{2028} plain text that goes on for a while. ";

/// As many whole phrases as fit.
fn filler(size: usize) -> String {
    PHRASE.repeat(size / PHRASE.len())
}

/// A call of a tool, with so much of arguments.
pub fn call(size: usize) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{{"name":"echo","arguments":{{"payload":"{}"}},"_meta":{{"progressToken":"p17"}}}}}}"#,
        filler(size)
    )
}

/// Its answer, with so much of text.
pub fn answer(size: usize) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":17,"result":{{"content":[{{"type":"text","text":"{}"}}]}}}}"#,
        filler(size)
    )
}

/// A notification of its progress.
pub fn note() -> &'static str {
    r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":17,"progress":3}}"#
}
