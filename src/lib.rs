//! x
#![allow(missing_docs)]
pub mod ids;
pub mod mcp;
