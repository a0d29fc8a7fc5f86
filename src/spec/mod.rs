//! The spec: YAML in, a checked [`model::Spec`] out, or all mistakes at once.

pub mod model;
