//! Names and numbers that are made from other things, the same in every run.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Project, location and name.
pub type ClusterKey = (String, String, String);

/// 21 digits that depend on `of` alone.
pub fn unique_id(of: &impl Hash) -> String {
    format!("1{:020}", hash(of))
}

/// A number that depends on `of` alone, in every process.
pub fn hash(of: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
