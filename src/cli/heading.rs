//! The headings of groups in `--help` that more than one struct of arguments adds to.

pub(super) const ROLLOUT: &str = "Rollout";
pub(super) const OUTPUT: &str = "Output";
