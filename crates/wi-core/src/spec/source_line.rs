//! Places in the files of a spec.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a value stands in the user's YAML.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceLine {
    /// The file's path as the user gave it, or `-` for standard input.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
}

impl fmt::Display for SourceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
