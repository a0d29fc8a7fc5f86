//! `wi` plans and applies Workload Identity on GKE from declarative YAML.
//!
//! Data goes one way; the modules are listed in that order:
//!
//! ```text
//! spec (YAML) -> desired (resources) -> live (read) -> plan (diff, graph) -> render | apply
//! ```

pub mod identity;
pub mod spec;

pub mod http;

pub mod gcp;

pub mod kube;

pub mod sandbox;
