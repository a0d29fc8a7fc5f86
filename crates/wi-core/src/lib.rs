//! The pure half of `wi`: no network, no files, no environment, no clock.
//!
//! Data goes one way; each module uses those above it alone:
//!
//! ```text
//! words, cel, names, api, reason < resource, wire < spec < desired, graph < live, read_set < access < migrate < plan, findings < import, export
//! ```

pub mod api;
pub mod cel;
pub mod digest;
pub mod percent;
pub mod reason;
pub mod serde_pairs;
pub mod words;

pub mod names;

pub mod resource;

pub mod wire;

pub mod spec;

pub mod address;

pub mod desired;

pub mod graph;

pub mod live;

pub mod read_set;

pub mod access;

pub mod migrate;

pub mod plan;

pub mod findings;

pub mod export;

pub mod import;
