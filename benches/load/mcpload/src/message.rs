//! Messages, as far as they are looked into.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
pub struct Message<'a> {
    #[serde(borrow, default)]
    pub id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub method: Cow<'a, str>,
    #[serde(borrow, default)]
    pub params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub struct InitializeResult {
    #[serde(rename = "protocolVersion")]
    pub protocol_version: String,
}

#[derive(Deserialize)]
pub struct ToolResult<'a> {
    #[serde(borrow, default)]
    pub content: Vec<Content<'a>>,
    #[serde(default, rename = "isError")]
    pub is_error: bool,
    #[serde(default, rename = "_meta")]
    pub meta: Option<Meta>,
}

#[derive(Deserialize)]
pub struct Content<'a> {
    #[serde(borrow, default)]
    pub text: Cow<'a, str>,
}

#[derive(Deserialize, Default)]
pub struct Meta {
    #[serde(default, rename = "echo/seq")]
    pub seq: u64,
    #[serde(default, rename = "echo/pid")]
    pub pid: u32,
}

#[derive(Deserialize)]
pub struct LogParams<'a> {
    #[serde(borrow)]
    pub data: LogData<'a>,
}

#[derive(Deserialize)]
pub struct LogData<'a> {
    #[serde(borrow)]
    pub tag: Cow<'a, str>,
    pub i: u64,
    #[serde(borrow, default)]
    pub fill: Cow<'a, str>,
}

#[derive(Deserialize)]
pub struct ProgressParams<'a> {
    #[serde(borrow, rename = "progressToken")]
    pub token: Cow<'a, str>,
    pub progress: f64,
    #[serde(borrow, default)]
    pub message: Cow<'a, str>,
}
