//! A build that exports nothing: there is no span, so nothing here is ever called.

use super::span::Kind;
use crate::mcp::TraceContext;
use crate::settings::Telemetry;

/// Cannot be had.
#[derive(Debug)]
pub(super) enum Live {}

/// Cannot be had, either: the settings refuse to name a collector.
#[derive(Debug)]
pub(super) enum Export {}

impl Live {
    pub(super) fn request() -> Option<Self> {
        None
    }

    pub(super) fn adopt(&self, _: &TraceContext) {
        match *self {}
    }

    pub(super) fn name(&self, _: String) {
        match *self {}
    }

    pub(super) fn set(&self, _: &'static str, _: String) {
        match *self {}
    }

    pub(super) fn responded(&self, _: u16) {
        match *self {}
    }

    pub(super) fn fail(&self) {
        match *self {}
    }

    pub(super) fn child(&self, _: &'static str, _: Kind) -> Self {
        match *self {}
    }

    pub(super) fn context(&self) -> Option<TraceContext> {
        match *self {}
    }
}

impl Export {
    pub(super) fn start(_: &Telemetry, _: Option<&str>) -> Result<Self, String> {
        Err("this build exports no traces; build with `--features otel`".into())
    }

    pub(super) fn finish(self) {
        match self {}
    }
}
