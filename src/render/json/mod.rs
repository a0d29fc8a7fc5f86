//! Plans and applies for programs, with the field names of Terraform's formats.

mod plan;
mod resource;
pub mod stream;

pub use plan::{plan, schema};
