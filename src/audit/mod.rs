//! `wi audit` and `wi access`: reads what their rules and questions take, for the decisions of `wi_audit`. Nothing is
//! written.

mod accepted;
pub mod patch;
pub mod reach;
mod read;
mod subject;
pub mod suggest;

pub use accepted::{form, judged};
pub use read::{all, live};
pub use subject::nodes;

use std::collections::BTreeSet;

use wi_audit::{Audited, Read};

/// What these rules read together.
pub fn reads(rules: &[&'static Audited]) -> BTreeSet<Read> {
    rules.iter().flat_map(|r| r.reads).copied().collect()
}
