//! Which arguments of a server's tools are repeated in `Mcp-Param-…` headers: those whose schema says
//! `x-mcp-header` (MCP 2026-07-28, transports).

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;

use super::frame::Frame;
use super::ladder::{Enveloped, Misfit, agrees};
use super::members::{decode, members};
use super::mirror::{Mirror, wrapped};
use super::repeated::{called_tool, wrap};

/// The mirrored arguments of each tool that has some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolHeaders {
    tools: HashMap<String, Vec<Mirrored>>,
    /// What that takes, in bytes.
    size: usize,
}

/// One argument that a header repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mirrored {
    /// The header's name in lower case, without `Mcp-Param-`.
    header: String,
    /// The names of the properties that lead to it.
    path: Vec<String>,
}

/// How deep a schema is searched, and for how many marks. A server that needs more goes unchecked, rather
/// than cost us what it likes.
const MAX_DEPTH: usize = 32;
const MAX_MARKS: usize = 64;
/// How large a page of tools may be to be read, and all that is kept of them, in bytes.
const MAX_PAGE: usize = 4 << 20;
const MAX_SIZE: usize = 256 << 10;

impl ToolHeaders {
    /// Takes in one page of an answer to `tools/list`. The cursor of the next, if there is one.
    pub fn add_page(&mut self, answer: &Frame) -> Option<String> {
        let page: Value = Some(answer.payload()).filter(|text| text.len() <= MAX_PAGE)?.parse().ok()?;
        for tool in page["tools"].as_array().into_iter().flatten() {
            let mut found = Vec::new();
            search(&tool["inputSchema"], &mut Vec::new(), &mut found);
            let Some(name) = tool["name"].as_str().filter(|_| !found.is_empty()) else { continue };
            let texts = found.iter().flat_map(|m| m.path.iter().chain([&m.header]));
            let size = name.len() + texts.map(String::len).sum::<usize>();
            if self.size + size > MAX_SIZE {
                break;
            }
            self.size += size;
            self.tools.insert(name.to_owned(), found);
        }
        page["nextCursor"].as_str().map(str::to_owned)
    }

    /// Takes in an answer to this request for a list.
    pub fn learn(&mut self, request: &Frame, answer: &Frame) {
        let is_first = members(request.payload(), ["cursor"]).is_ok_and(|[cursor]| cursor.is_none());
        if is_first {
            *self = Self::default();
        }
        self.add_page(answer);
    }

    /// The headers that repeat arguments of a call, by their names without `Mcp-Param-`.
    pub fn repeat(&self, call: &Frame) -> Vec<(String, String)> {
        let marks = called_tool(call).and_then(|tool| self.tools.get(&*tool)).map_or(&[][..], Vec::as_slice);
        let Ok([arguments]) = members(call.payload(), ["arguments"]) else { return Vec::new() };
        let value = |mark: &Mirrored| {
            let token = inside(arguments, &mark.path).ok()?.filter(|token| *token != "null")?;
            let text = decode(token).map_or_else(|| token.to_owned(), Cow::into_owned);
            Some((mark.header.clone(), wrap(&text)))
        };
        marks.iter().filter_map(value).collect()
    }

    /// Checks the headers of a call against its arguments. Headers that no schema asks for are ignored.
    ///
    /// # Errors
    /// With the first header that is missing or says something else.
    pub fn check(&self, call: &Enveloped, mirror: &Mirror<'_>) -> Result<(), Misfit> {
        let Some(headers) = call.tool().and_then(|tool| self.tools.get(tool)) else { return Ok(()) };
        let malformed = || Misfit::Malformed("params.arguments", "cannot be read");
        let [token] = members(call.frame().payload(), ["arguments"]).map_err(|_| malformed())?;
        for Mirrored { header, path } in headers {
            let value = inside(token, path).map_err(|_| malformed())?.filter(|token| *token != "null");
            let says = value.map(|value| move |text: &str| repeats(value, text));
            agrees(format!("Mcp-Param-{header}"), wrapped(&mirror.param(header)), says)?;
        }
        Ok(())
    }
}

/// What a path leads to, member by member: one that is there twice is refused, the rest may be what it likes.
fn inside<'a>(token: Option<&'a str>, path: &[String]) -> Result<Option<&'a str>, serde_json::Error> {
    path.iter().try_fold(token, |inside, name| match inside {
        Some(object) if object.starts_with('{') => members(object, [name]).map(|[token]| token),
        _ => Ok(None),
    })
}

/// Whether a header's text stands for the value of this token: strings as they are, integers as numbers,
/// the rest as it was sent.
fn repeats(token: &str, text: &str) -> bool {
    match (decode(token), token.parse::<i64>(), text.parse::<i64>()) {
        (Some(own), ..) => own == text,
        (None, Ok(own), Ok(text)) => own == text,
        _ => token == text,
    }
}

/// Properties with `x-mcp-header`, reached through `properties` alone.
fn search<'a>(schema: &'a Value, path: &mut Vec<&'a str>, found: &mut Vec<Mirrored>) {
    if path.len() >= MAX_DEPTH {
        return;
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        path.push(name);
        let short = path.iter().map(|name| name.len()).sum::<usize>() <= MAX_SIZE / MAX_MARKS;
        if let Some(header) = property["x-mcp-header"].as_str().filter(|header| header.len() <= 256)
            && short
            && found.len() < MAX_MARKS
        {
            let path = path.iter().map(|name| (*name).to_owned()).collect();
            found.push(Mirrored { header: header.to_ascii_lowercase(), path });
        }
        search(property, path, found);
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn frame(message: &Value) -> Frame {
        Frame::parse(Bytes::from(message.to_string())).unwrap()
    }

    fn check(arguments: &Value, headers: &[(&str, &str)]) -> Result<(), Misfit> {
        let schema = json!({ "properties": {
            "region": { "type": "string", "x-mcp-header": "Region" },
            "size": { "properties": { "n": { "type": "integer", "x-mcp-header": "N" } } },
            "list": { "items": { "properties": { "x": { "x-mcp-header": "Never" } } } },
        } });
        let mut known = ToolHeaders::default();
        let page =
            json!({ "tools": [{ "name": "t", "inputSchema": schema }, { "name": "u" }], "nextCursor": "c" });
        let cursor = known.add_page(&frame(&json!({ "jsonrpc": "2.0", "id": 1, "result": page })));
        assert_eq!(cursor.as_deref(), Some("c"));
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({ "name": "t", "arguments": arguments, "_meta": meta });
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let mirror = Mirror {
            version: vec![b"2026-07-28"],
            method: vec![b"tools/call"],
            name: vec![b"t"],
            params: headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect(),
        };
        known.check(&Enveloped::check(frame(&call), &mirror).unwrap(), &mirror)
    }

    #[test]
    fn marked_arguments_are_repeated_and_others_are_not() {
        let both = json!({ "region": "eu", "size": { "n": 42 } });
        assert_eq!(check(&both, &[("region", "eu"), ("n", "42"), ("other", "x")]), Ok(()));
        assert_eq!(check(&both, &[("region", "=?base64?ZXU=?="), ("n", "042")]), Ok(()));
        assert!(check(&both, &[("region", "eu")]).is_err());
        assert!(check(&both, &[("region", "EU"), ("n", "42")]).is_err());
        assert!(check(&both, &[("region", "eu"), ("region", "eu"), ("n", "42")]).is_err());
        assert_eq!(check(&json!({ "region": null }), &[]), Ok(()));
        assert!(check(&json!({}), &[("region", "eu")]).is_err());
        assert!(
            check(&json!({ "size": { "n": 18446744073709551615u64 } }), &[("n", "18446744073709551615")])
                .is_ok()
        );
        assert!(check(&json!({ "size": 7 }), &[]).is_ok());
    }

    #[test]
    fn a_list_that_would_cost_us_much_costs_us_little() {
        let mark = json!({ "type": "string", "x-mcp-header": "X" });
        let many: serde_json::Map<_, _> = (0..4000).map(|n| (n.to_string(), mark.clone())).collect();
        let long = json!({ "properties": { "n".repeat(500_000): { "properties": many } } });
        let wide = json!({ "properties": many });
        let tools: Vec<_> = (0..20).map(|n| json!({ "name": format!("{n}"), "inputSchema": wide })).collect();
        let mut known = ToolHeaders::default();
        for tools in [json!([{ "name": "t", "inputSchema": long }]), json!(tools)] {
            known.add_page(&frame(&json!({ "jsonrpc": "2.0", "id": 1, "result": { "tools": tools } })));
        }
        assert!(known.tools.values().all(|marks| marks.len() <= MAX_MARKS));
        assert!(known.size <= MAX_SIZE && !known.tools.contains_key("t"));
    }
}
