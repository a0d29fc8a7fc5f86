//! `wi` plans and applies Workload Identity on GKE from declarative YAML.
//!
//! Data goes one way; ARCHITECTURE.md tells it:
//!
//! ```text
//! spec (YAML) -> desired (resources) -> live (read) -> plan (diff, order) -> view | apply
//! ```

pub mod engine;

pub mod verify;

pub mod apply;

pub mod doctor;

pub mod explain;

pub mod logs;

pub mod audit;

pub mod scan;

pub mod import;

pub mod migrate;

pub mod view;

pub mod cli;
