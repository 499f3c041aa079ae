//! Where a request goes, by its path as it was sent. What comes in goes by the exact bytes, so nothing is decoded
//! or put right here: a path that is written in another way is another path.

/// What answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/health`
    Health,
    /// `/health/live`
    Live,
    /// `/health/ready`
    Ready,
    /// `/{server}/mcp`
    Mcp,
    /// `/{server}/sse`
    Sse,
    /// `/{server}/message`
    Message,
}

impl Route {
    /// What its paths have in common.
    pub(super) fn template(self) -> &'static str {
        match self {
            Self::Health => "/health",
            Self::Live => "/health/live",
            Self::Ready => "/health/ready",
            Self::Mcp => "/{server}/mcp",
            Self::Sse => "/{server}/sse",
            Self::Message => "/{server}/message",
        }
    }

    /// The route of a path below the base path; `None` if nothing is there.
    pub(super) fn of(path: &str, base_path: &str) -> Option<Self> {
        let path = path.strip_prefix(base_path)?.strip_prefix('/')?;
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        match (first, rest) {
            ("health", "") if !path.ends_with('/') => Some(Self::Health),
            ("health", "live") => Some(Self::Live),
            ("health", "ready") => Some(Self::Ready),
            ("" | ".well-known", _) => None,
            (_, "mcp" | "mcp/") => Some(Self::Mcp),
            (_, "sse") => Some(Self::Sse),
            (_, "message") => Some(Self::Message),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_found_below_the_base_path_only() {
        for (path, route) in [
            ("/health", Some(Route::Health)),
            ("/health/live", Some(Route::Live)),
            ("/health/ready", Some(Route::Ready)),
            ("/echo/mcp", Some(Route::Mcp)),
            ("/echo/mcp/", Some(Route::Mcp)),
            ("/npx%20-y%20a%2Fb/sse", Some(Route::Sse)),
            ("/health/message", Some(Route::Message)),
            ("/", None),
            ("/health/", None),
            ("/echo", None),
            ("/echo/sse/", None),
            ("/echo/mcp/x", None),
            ("/echo/%6dcp", None),
            ("//mcp", None),
            ("/.well-known/mcp", None),
            ("/.well-known/oauth-protected-resource", None),
            ("*", None),
        ] {
            assert_eq!(Route::of(path, ""), route, "{path}");
            assert_eq!(Route::of(&format!("/base{path}"), "/base"), route, "/base{path}");
            assert_eq!(Route::of(path, "/base"), None, "{path}");
        }
        assert_eq!(Route::of("/basement/echo/mcp", "/base"), None);
    }
}
