//! `wi` plans and applies Workload Identity on GKE from declarative YAML.
//!
//! Data goes one way; the modules are listed in that order:
//!
//! ```text
//! spec (YAML) -> desired (resources) -> live (read) -> plan (diff, order) -> render | apply
//! ```

pub mod identity;

mod digest;

mod files;

mod pairs;

pub mod resources;

pub mod address;

pub mod spec;

pub mod desired;

pub mod graph;

pub mod auth;

pub mod forge;

pub mod http;

pub mod gcp;

pub mod kube;

pub mod live;

pub mod doctor;

pub mod plan;

pub mod render;

pub mod apply;

pub mod cli;
