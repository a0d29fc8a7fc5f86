//! What stands between two waves.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// What the user says about gates.
#[derive(Debug, Clone, Default)]
pub struct Gates {
    /// Waves whose manual gates are approved.
    pub approved: BTreeSet<String>,
    /// Where the run file is; `None`: nowhere.
    pub run_file: Option<PathBuf>,
    /// How long pods of changed node pools may take to be ready.
    pub ready: Duration,
    /// Whether what cannot be proven is a failure: gates that are told to verify by the spec alone go on.
    pub demands_proof: bool,
    /// How long policies may take to be in force.
    pub propagation: Duration,
}
