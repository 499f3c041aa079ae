//! What a method is, as far as that matters to who stands between a client and a server (MCP 2026-07-28, caching and
//! input required; protocol.md sections 3.2 and 3.3).

use serde_json::Value;

/// What a request of a method is, and what its result has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Its result says for how long it holds, and for whom.
    pub(super) is_cacheable: bool,
    /// `tools/list`
    pub(super) lists_tools: bool,
    /// `tools/call`
    pub(super) calls_tool: bool,
    /// The server may want to know something of the client before it answers.
    pub(super) may_ask: bool,
}

/// Members of a result that the handshake era does not have. The first says what kind of result it is.
pub(super) const ONLY_STATELESS: [&str; 3] = ["resultType", "ttlMs", "cacheScope"];

impl Shape {
    pub(super) fn of(method: &str) -> Self {
        let lists = ["tools/list", "prompts/list", "resources/list", "resources/templates/list"];
        Self {
            is_cacheable: lists.contains(&method) || ["resources/read", "server/discover"].contains(&method),
            lists_tools: method == "tools/list",
            calls_tool: method == "tools/call",
            may_ask: ["tools/call", "prompts/get", "resources/read"].contains(&method),
        }
    }

    /// The names of the members that a whole result has for the sake of the stateless era.
    pub(super) fn marks(self) -> &'static [&'static str] {
        let (kind, _) = ONLY_STATELESS.split_at(1);
        if self.is_cacheable { &ONLY_STATELESS } else { kind }
    }

    /// The same, with what they say of a result that nobody knows to last: it is stale at once.
    pub(super) fn complete(self) -> impl Iterator<Item = (&'static str, Value)> {
        let values = [Value::from("complete"), Value::from(0), Value::from("private")];
        self.marks().iter().copied().zip(values)
    }

    /// The same as JSON text, to stand in an object.
    pub(super) fn complete_text(self) -> String {
        self.complete().map(|(name, value)| format!(r#""{name}":{value}"#)).collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_says_how_long_it_holds_only_where_it_may_be_kept() {
        let text = |method: &str| Shape::of(method).complete_text();
        for method in ["server/discover", "tools/list", "resources/templates/list", "resources/read"] {
            assert_eq!(
                text(method),
                r#""resultType":"complete","ttlMs":0,"cacheScope":"private""#,
                "{method}"
            );
        }
        for method in ["tools/call", "prompts/get", "completion/complete", "resources/lists"] {
            assert_eq!(text(method), r#""resultType":"complete""#, "{method}");
        }
    }

    #[test]
    fn just_what_is_used_by_name_may_be_asked_about() {
        let asks = |method: &&str| Shape::of(method).may_ask;
        let all = ["tools/call", "tools/list", "prompts/get", "resources/read", "resources/list", "ping"];
        assert_eq!(
            all.into_iter().filter(asks).collect::<Vec<_>>(),
            ["tools/call", "prompts/get", "resources/read"]
        );
        let (call, list) = (Shape::of("tools/call"), Shape::of("tools/list"));
        assert!(call.calls_tool && !call.lists_tools && list.lists_tools && !list.calls_tool);
    }
}
