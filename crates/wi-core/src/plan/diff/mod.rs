//! What is there, compared with what is asked for: one file a part of the live state.

pub(super) mod accounts;
pub(super) mod bindings;
pub(super) mod clusters;
pub(super) mod keys;
pub(super) mod kubernetes;
mod node_pools;
pub(super) mod shadows;
pub(super) mod templates;
