//! Messages out of arbitrary bytes. Input that begins with a zero byte is a recipe for a message, any other
//! is the message itself, so that seeds can be read and a dictionary helps.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};

use super::{CAPABILITIES, SUBSCRIPTION, VERSION, at};

/// What a value may be.
enum Shape {
    Token(&'static [&'static str]),
    Object(&'static [(&'static str, Shape)]),
    List(&'static Shape),
}

use Shape::{List, Object, Token};

const ID: Shape =
    Token(&["7", "0", "-1", r#""7""#, r#""a\/b""#, r#""""#, "12345678901234567890123", "null", "1.5"]);
const TEXT: Shape = Token(&[r#""t""#, r#""\u0074""#, r#""tool""#, r#""é""#, r#""file:\/\/a b""#, r#"" t""#]);
const METHOD: Shape = Token(&[
    r#""tools/call""#,
    r#""tools\/call""#,
    r#""tools/list""#,
    r#""initialize""#,
    r#""ping""#,
    r#""prompts/get""#,
    r#""resources/read""#,
    r#""resources/subscribe""#,
    r#""subscriptions/listen""#,
    r#""notifications/cancelled""#,
    r#""notifications/progress""#,
    r#""notifications/message""#,
    r#""notifications/tools/list_changed""#,
]);
const DATE: Shape = Token(&[
    r#""2026-07-28""#,
    r#""2026\u002d07-28""#,
    r#""2025-11-25""#,
    r#""2027-01-01""#,
    r#""2026-07-28 ""#,
]);
const CLIENT: Shape = Object(&[("name", TEXT), ("version", TEXT)]);
const VALUE: Shape = Token(&[r#""eu""#, "42", "42.0", "true", "null", "18446744073709551615", "{}"]);
const ARGUMENTS: Shape = Object(&[("region", VALUE), ("size", Object(&[("n", VALUE)]))]);
const IN_META: Shape = Object(&[
    (VERSION, DATE),
    (CAPABILITIES, Object(&[("b", Object(&[])), ("a", VALUE)])),
    ("progressToken", ID),
    ("io.modelcontextprotocol/clientInfo", CLIENT),
    ("io.modelcontextprotocol/logLevel", TEXT),
    (SUBSCRIPTION, ID),
]);
const PARAMS: Shape = Object(&[
    ("_meta", IN_META),
    ("name", TEXT),
    ("arguments", ARGUMENTS),
    ("uri", TEXT),
    ("requestId", ID),
    ("progressToken", ID),
]);
const MARKED: Shape = Object(&[
    ("x-mcp-header", Token(&[r#""Region""#, r#""n""#, r#""""#])),
    ("properties", Object(&[("n", Object(&[("x-mcp-header", Token(&[r#""N""#]))]))])),
]);
const TOOL: Shape = Object(&[
    ("name", TEXT),
    ("inputSchema", Object(&[("properties", Object(&[("region", MARKED), ("size", MARKED)]))])),
]);
const RESULT: Shape =
    Object(&[("_meta", IN_META), ("tools", List(&TOOL)), ("nextCursor", TEXT), ("content", List(&VALUE))]);
const ERROR: Shape = Object(&[("code", Token(&["-32022", "-32601"])), ("message", TEXT), ("_meta", IN_META)]);
const MESSAGE: &[(&str, Shape)] = &[
    ("jsonrpc", Token(&[r#""2.0""#])),
    ("id", ID),
    ("method", METHOD),
    ("params", PARAMS),
    ("result", RESULT),
    ("error", ERROR),
];
/// Which of these members make a request, a notification, an answer, an error.
const KINDS: [u8; 6] = [0b00_1111, 0b00_1101, 0b01_0011, 0b10_0011, 0b00_0111, 0b10_0001];
/// What a value may be instead.
const ODD: [&str; 8] = [
    "null",
    "[]",
    "{}",
    "1e400",
    r#""\ud800""#,
    r#"{"\ud800":1}"#,
    "0.1000000000000000055",
    "[[[[[[[[]]]]]]]]",
];

/// A message, a batch of them, or neither.
pub struct Text(pub Vec<u8>);

impl<'a> Arbitrary<'a> for Text {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        match u.bytes(u.len())? {
            [0, recipe @ ..] => messages(&mut Unstructured::new(recipe)).map(|text| Self(text.into())),
            text => Ok(Self(text.to_vec())),
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

/// A request with its headers, and a page of tools.
#[derive(Debug)]
pub struct Case {
    /// Names in lower case.
    pub headers: Vec<(String, Text)>,
    pub request: Text,
    pub page: Text,
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        match u.bytes(u.len())? {
            [0, recipe @ ..] => mirrored(&mut Unstructured::new(recipe)),
            text => Ok(Self::read(text)),
        }
    }
}

impl Case {
    /// Reads header lines, an empty line, the request, an empty line, the page.
    fn read(text: &[u8]) -> Self {
        let (head, rest) = cut(text);
        let (request, page) = cut(rest);
        let header = |line: &[u8]| {
            let colon = line.iter().position(|b| *b == b':')?;
            let name = std::str::from_utf8(&line[..colon]).ok()?;
            Some((name.to_ascii_lowercase(), Text(line[colon + 1..].to_vec())))
        };
        let headers = head.split(|b| *b == b'\n').filter_map(header).collect();
        Self { headers, request: Text(request.to_vec()), page: Text(page.to_vec()) }
    }
}

fn cut(data: &[u8]) -> (&[u8], &[u8]) {
    match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&data[..at], &data[at + 2..]),
        None => (data, &[]),
    }
}

fn messages(u: &mut Unstructured<'_>) -> Result<String> {
    let mut out = String::new();
    if u.ratio(1, 8)? && !u.is_empty() {
        out.push('\u{feff}');
    }
    if u.ratio(3, 4)? {
        message(u, &mut out)?;
        return Ok(out);
    }
    out.push('[');
    for i in 0..u.int_in_range(0..=3)? {
        out.push_str(if i > 0 { "," } else { "" });
        message(u, &mut out)?;
    }
    out.push(']');
    Ok(out)
}

fn message(u: &mut Unstructured<'_>, out: &mut String) -> Result<()> {
    let present = if u.ratio(15, 16)? { *u.choose(&KINDS)? } else { u.arbitrary()? };
    object(u, MESSAGE, present, out)
}

/// The members that `present` has a bit for, in some order, now and then one of them twice.
fn object(u: &mut Unstructured<'_>, members: &[(&str, Shape)], present: u8, out: &mut String) -> Result<()> {
    let mut chosen: Vec<_> = (0..members.len()).filter(|i| present >> i & 1 == 1).collect();
    if !chosen.is_empty() {
        let by = u.choose_index(chosen.len())?;
        chosen.rotate_left(by);
        if !u.ratio(31, 32)? {
            chosen.push(*u.choose(&chosen)?);
        }
    }
    out.push('{');
    for (i, chosen) in chosen.into_iter().enumerate() {
        let (name, shape) = &members[chosen];
        out.push_str(if i > 0 { "," } else { "" });
        gap(u, out)?;
        match name.split_at_checked(1) {
            Some((first, rest)) if !u.ratio(31, 32)? => {
                out.push_str(&format!(r#""\u{:04x}{rest}""#, first.as_bytes()[0]));
            }
            _ => out.push_str(&format!(r#""{name}""#)),
        }
        out.push(':');
        gap(u, out)?;
        value(u, shape, out)?;
        gap(u, out)?;
    }
    out.push('}');
    Ok(())
}

fn value(u: &mut Unstructured<'_>, shape: &Shape, out: &mut String) -> Result<()> {
    if !u.ratio(31, 32)? {
        if u.arbitrary()? {
            out.push_str(u.choose(&ODD)?);
        } else {
            out.push_str(&serde_json::Value::from(u.arbitrary::<&str>()?).to_string());
        }
        return Ok(());
    }
    match shape {
        Token(tokens) => out.push_str(u.choose(tokens)?),
        Object(members) => {
            let present = if u.ratio(1, 2)? { u8::MAX } else { u.arbitrary()? };
            object(u, members, present, out)?;
        }
        List(shape) => {
            out.push('[');
            value(u, shape, out)?;
            out.push(']');
        }
    }
    Ok(())
}

fn gap(u: &mut Unstructured<'_>, out: &mut String) -> Result<()> {
    if !u.ratio(15, 16)? {
        out.push_str(u.choose(&[" ", "\n", "\r\n", "\t"])?);
    }
    Ok(())
}

/// A request, mostly of the stateless era, and headers that mostly repeat it.
fn mirrored(u: &mut Unstructured<'_>) -> Result<Case> {
    let (mut request, mut page) = (String::new(), String::new());
    let present = if u.ratio(7, 8)? { KINDS[0] } else { u.arbitrary()? };
    object(u, MESSAGE, present, &mut request)?;
    object(u, MESSAGE, KINDS[2], &mut page)?;
    let mut headers = Vec::new();
    let named = if request.contains("resources/read") { "uri" } else { "name" };
    for (name, path) in [
        ("mcp-protocol-version", &["params", "_meta", VERSION][..]),
        ("mcp-method", &["method"]),
        ("mcp-name", &["params", named]),
        ("mcp-param-region", &["params", "arguments", "region"]),
        ("mcp-param-n", &["params", "arguments", "size", "n"]),
    ] {
        let token = at(&request, path).ok().flatten().filter(|token| *token != "null");
        let count = match u.int_in_range(0..=31)? {
            30 => 2,
            31 => usize::from(token.is_none()),
            _ => usize::from(token.is_some()),
        };
        let token = token.unwrap_or_default();
        let text = serde_json::from_str(token).unwrap_or_else(|_| token.to_owned());
        for _ in 0..count {
            headers.push((name.to_owned(), Text(header(u, &text)?)));
        }
    }
    Ok(Case { headers, request: Text(request.into()), page: Text(page.into()) })
}

fn header(u: &mut Unstructured<'_>, text: &str) -> Result<Vec<u8>> {
    Ok(match u.int_in_range(0..=15)? {
        0 => u.arbitrary::<Vec<u8>>()?,
        1 => text.to_uppercase().into(),
        2 => format!(" {text}\t").into(),
        3 => format!("\u{a0}{text}").into(),
        4 => u.choose(&["0", "t", "2025-11-25", "tools/list"])?.as_bytes().to_vec(),
        5..=8 => format!("=?base64?{}?=", STANDARD.encode(text)).into(),
        _ => text.into(),
    })
}
