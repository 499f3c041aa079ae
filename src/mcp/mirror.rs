//! The headers in which a client of the stateless era repeats parts of its body, so that proxies need not
//! read it (MCP 2026-07-28, transports). The body is what counts; a header that says something else is
//! refused, because somebody on the way may have believed it.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The values of each mirroring header, as they were sent; names are compared without regard to case,
/// values with it.
#[derive(Clone, Debug, Default)]
pub struct Mirror<'a> {
    /// `MCP-Protocol-Version`
    pub version: Vec<&'a [u8]>,
    /// `Mcp-Method`
    pub method: Vec<&'a [u8]>,
    /// `Mcp-Name`
    pub name: Vec<&'a [u8]>,
    /// `Mcp-Param-…`: names in lower case, without the prefix.
    pub params: Vec<(&'a str, &'a [u8])>,
}

const OPENING: &[u8] = b"=?base64?";
const CLOSING: &[u8] = b"?=";

impl Mirror<'_> {
    /// The versions that the header names; more than one only if the client is at fault.
    pub(super) fn named_versions(&self) -> impl Iterator<Item = &str> {
        self.version.iter().filter_map(|value| plain(&[value]).ok().flatten())
    }

    /// The values of one parameter's header.
    pub(super) fn param(&self, name: &str) -> Vec<&[u8]> {
        self.params.iter().filter(|(own, _)| *own == name).map(|(_, value)| *value).collect()
    }
}

/// The one value of a header, as it stands.
pub(super) fn plain<'v>(values: &[&'v [u8]]) -> Result<Option<&'v str>, &'static str> {
    match values {
        [] => Ok(None),
        [one] => std::str::from_utf8(one)
            .map(|text| Some(text.trim_matches([' ', '\t'])))
            .map_err(|_| "is not text"),
        _ => Err("is there twice"),
    }
}

/// The one value of a header that may be wrapped as `=?base64?…?=`. Without either marker it is literal.
pub(super) fn wrapped<'v>(values: &[&'v [u8]]) -> Result<Option<Cow<'v, str>>, &'static str> {
    let Some(text) = plain(values)? else { return Ok(None) };
    let inside = text.as_bytes().strip_prefix(OPENING).and_then(|rest| rest.strip_suffix(CLOSING));
    let Some(inside) = inside else { return Ok(Some(text.into())) };
    let bytes = STANDARD.decode(inside).map_err(|_| "holds no standard Base64 with padding")?;
    String::from_utf8(bytes).map(|text| Some(text.into())).map_err(|_| "holds Base64 of what is no UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_values_are_decoded_and_literals_are_not() {
        let read = |text: &'static str| wrapped(&[text.as_bytes()]).map(|text| text.unwrap().into_owned());
        assert_eq!(read("=?base64?w6k=?=").unwrap(), "é");
        assert_eq!(read(" plain\t").unwrap(), "plain");
        for literal in ["=?base64?w6k=", "w6k=?=", "=?BASE64?w6k=?="] {
            assert_eq!(read(literal).unwrap(), literal);
        }
        for bad in ["=?base64?w6k?=", "=?base64?w6_=?=", "=?base64?/w==?=", "=?base64?w6 k=?="] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(wrapped(&[]), Ok(None));
        assert!(wrapped(&[b"a", b"a"]).is_err());
    }
}
