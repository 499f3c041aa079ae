//! What a server of our own says of itself, and what its answers must have, in the era that each request belongs to
//! (protocol.md section 3.2; MCP 2025-11-25, lifecycle; MCP 2026-07-28, discovery and caching).

use serde_json::{Map, Value, json};

use super::error::Failure;
use super::frame::{Frame, Kind};
use super::ladder::{Misfit, era_of};
use super::mirror::Mirror;
use super::profile::SERVER_INFO;
use super::repeated::Repeated;
use super::shape::Shape;
use super::splice;
use super::version::{Era, STATELESS_VERSIONS, agree};

/// Who the server is.
#[derive(Clone, Debug)]
pub struct OwnServer {
    /// Its name, for programs.
    pub name: &'static str,
    /// Its own version.
    pub version: &'static str,
    /// What it has: the `capabilities` of the protocol.
    pub capabilities: Value,
    /// How it is used, for a model to read.
    pub instructions: &'static str,
}

/// The members of a result, or why there is none.
type Told = Result<Map<String, Value>, Failure>;

impl OwnServer {
    /// The answer to a message, which only requests have. What asks about the server itself is answered here;
    /// everything else by `tell`, from the method and its parameters: with the members of a result, none of which
    /// depend on the era.
    pub fn answer(&self, message: &Frame, tell: impl FnOnce(&str, &Value) -> Told) -> Option<Frame> {
        let Kind::Request(id, _) = message.kind() else { return None };
        // On stdio there are no headers, which could disagree.
        let outcome = match era_of(message, &Mirror::default()) {
            Ok(Era::Handshake) => self.in_session(message, tell),
            Ok(Era::Stateless) => self.by_itself(message, tell),
            Err(misfit) => Err(Failure::from(&misfit)),
        };
        Some(match outcome {
            Ok(result) => splice::response(id, &Value::from(result).to_string()),
            Err(failure) => failure.frame(id),
        })
    }

    /// A request of a session, which `initialize` begins.
    fn in_session(&self, request: &Frame, tell: impl FnOnce(&str, &Value) -> Told) -> Told {
        let params = params(request);
        match &*request.method() {
            "initialize" => {
                let mut result = self.abilities();
                result.insert("protocolVersion".into(), agree(params["protocolVersion"].as_str()).into());
                result.insert("serverInfo".into(), self.info());
                Ok(result)
            }
            "ping" => Ok(Map::new()),
            method => tell(method, &params),
        }
    }

    /// A request that stands for itself.
    fn by_itself(&self, request: &Frame, tell: impl FnOnce(&str, &Value) -> Told) -> Told {
        let version = Repeated::of(request).map(|said| said.version).unwrap_or_default();
        if !STATELESS_VERSIONS.contains(&&*version) {
            return Err(Failure::from(&Misfit::version(&version, Era::Stateless)));
        }
        let method = request.method();
        let mut result = match &*method {
            "server/discover" => {
                let mut result = self.abilities();
                result.insert("supportedVersions".into(), json!(STATELESS_VERSIONS));
                result
            }
            method => tell(method, &params(request))?,
        };
        result.extend(Shape::of(&method).complete().map(|(name, value)| (name.to_owned(), value)));
        result.insert("_meta".into(), json!({ SERVER_INFO: self.info() }));
        Ok(result)
    }

    fn abilities(&self) -> Map<String, Value> {
        let members =
            [("capabilities", self.capabilities.clone()), ("instructions", self.instructions.into())];
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn info(&self) -> Value {
        json!({ "name": self.name, "version": self.version })
    }
}

/// The parameters; null if there are none.
fn params(request: &Frame) -> Value {
    serde_json::from_str(request.payload()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::discover::{discover, era_shown, list_tools};
    use super::super::error::{Code, error_code};
    use super::super::handshake::{agreed_revision, initialize, initialized, server_info};
    use super::*;

    fn us() -> OwnServer {
        let capabilities = json!({ "tools": {} });
        OwnServer { name: "a", version: "1", capabilities, instructions: "Call x." }
    }

    fn only_tools(method: &str, _: &Value) -> Told {
        let tools = [("tools".to_owned(), json!([]))];
        match method {
            "tools/list" | "tools/call" => Ok(tools.into_iter().collect()),
            _ => Err(Failure::new(Code::NoMethod, "no")),
        }
    }

    fn answer(request: &Frame) -> Frame {
        us().answer(request, only_tools).expect("it is a request")
    }

    fn request(method: &str, meta: &Value) -> Frame {
        let params = json!({ "_meta": meta });
        let text = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        Frame::parse(Bytes::from(text)).unwrap()
    }

    fn names(answer: &Frame) -> Vec<String> {
        let result: Map<String, Value> = serde_json::from_str(answer.payload()).unwrap();
        result.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn initialize_settles_on_what_the_client_asks_for_if_it_is_served() {
        let expected = Some(("a".to_owned(), "1".to_owned()));
        for (asked, agreed) in
            [("2024-11-05", "2024-11-05"), ("1999", "2025-11-25"), ("2026-07-28", "2025-11-25")]
        {
            let answer = answer(&initialize(asked).0);
            assert_eq!(agreed_revision(&answer).as_deref(), Some(agreed));
            assert_eq!(server_info(&answer), expected);
            assert_eq!(names(&answer), ["capabilities", "instructions", "protocolVersion", "serverInfo"]);
        }
        assert!(us().answer(&initialized(), only_tools).is_none());
    }

    #[test]
    fn in_a_session_results_are_what_they_were_told() {
        assert_eq!(answer(&request("tools/list", &json!({}))).payload(), r#"{"tools":[]}"#);
        assert_eq!(answer(&request("ping", &json!({}))).payload(), "{}");
        let no_method = Some(i64::from(Code::NoMethod.number()));
        assert_eq!(error_code(&answer(&request("server/discover", &json!({})))), no_method);
    }

    #[test]
    fn without_one_each_result_has_all_that_it_must() {
        let discovered = answer(&discover().0);
        assert_eq!(era_shown(&discovered), Era::Stateless);
        assert_eq!(server_info(&discovered), Some(("a".to_owned(), "1".to_owned())));
        let expected =
            ["_meta", "cacheScope", "capabilities", "instructions", "resultType", "supportedVersions"];
        assert_eq!(names(&discovered)[..6], expected);
        assert_eq!(
            names(&answer(&list_tools(None))),
            ["_meta", "cacheScope", "resultType", "tools", "ttlMs"]
        );
        let envelope = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28" });
        assert_eq!(names(&answer(&request("tools/call", &envelope))), ["_meta", "resultType", "tools"]);
        let code = |method: &str, envelope: &Value| error_code(&answer(&request(method, envelope)));
        assert_eq!(code("ping", &envelope), Some(i64::from(Code::NoMethod.number())));
        let later = json!({ "io.modelcontextprotocol/protocolVersion": "2030-01-01" });
        assert_eq!(code("tools/list", &later), Some(i64::from(Code::UnsupportedVersion.number())));
    }
}
