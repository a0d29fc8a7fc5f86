//! The marks on Kubernetes objects that say who made them.

/// The label on all that `wi` made or adopted.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The annotation that names the spec.
pub const OWNER: &str = "wi/owner";
/// The annotation on objects that were there before: they are released, not deleted.
pub const ADOPTED: &str = "wi/adopted";
