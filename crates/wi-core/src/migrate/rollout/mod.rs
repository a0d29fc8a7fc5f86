//! How a workload comes to another template with one new pod first: each write as a JSON Patch, and what is to be seen
//! before the next one.
//!
//! The first write brings the template and lets one new pod come, and no other: the rollout stands there. Once that pod
//! is proven the second write lets the rollout go on, and the last one gives the workload its own settings back. Between
//! two of them everything serves as before, so that whoever comes later goes on by what is live.

mod health;
mod history;
mod shape;
mod writes;

pub use super::mark::on as mark;
pub use health::{Health, health, health_of, left, pods_of, refused, stands, stuck, to_replace};
pub use history::{current, is_anothers, of_revision, revision, template_of};
pub use shape::{STANDS, Shape, Stage, is_idle};
pub use writes::{at_once, begin, go_on, settle, undo};
