//! Whatever a client sends, what passes the checks of the stateless era is what its headers say, to any
//! reader.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use lockgate::mcp::{
    Enveloped, Era, Failure, Frame, Kind, Mirror, Misfit, Origin, RequestId, ToolHeaders, era_of,
};
use lockgate_fuzz::{CAPABILITIES, Case, VERSION, at, case};
use serde_json::Value;

const SERVED: &str = "2026-07-28";

fuzz_target!(|data: &[u8]| {
    let case = case(data);
    let mirror = mirror(&case);
    let mut known = ToolHeaders::default();
    if let Ok(page) = Frame::parse(Bytes::copy_from_slice(&case.page)) {
        known.add_page(&page);
        let again = known.clone();
        known.add_page(&page);
        assert_eq!(known, again);
    }
    if let Ok(frame) = Frame::parse(Bytes::copy_from_slice(&case.request)) {
        classified(frame, &mirror, &known);
    }
});

fn mirror<'a>(case: &'a Case<'_>) -> Mirror<'a> {
    let mut mirror = Mirror::default();
    for (name, value) in &case.headers {
        match (&**name, name.strip_prefix("mcp-param-")) {
            ("mcp-protocol-version", _) => mirror.version.push(value),
            ("mcp-method", _) => mirror.method.push(value),
            ("mcp-name", _) => mirror.name.push(value),
            (_, Some(name)) => mirror.params.push((name, value)),
            _ => {}
        }
    }
    mirror
}

fn classified(frame: Frame, mirror: &Mirror<'_>, known: &ToolHeaders) {
    let era = era_of(&frame, mirror);
    era.iter_err(reported);
}
