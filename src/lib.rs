//! x
#![allow(missing_docs)]
pub mod access;
pub mod catalog;
pub mod backend;
pub mod ids;
pub mod lifecycle;
pub mod mcp;
pub mod settings;
