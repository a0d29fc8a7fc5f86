//! What cannot be asked.

use wi_core::names::{NameError, ProjectId};
use wi_core::reason::Reason;

/// Why a question has no answer. For the user.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ExplainError {
    /// An email that is none.
    #[error(transparent)]
    Email(NameError),
    /// A resource that is none.
    #[error("--to: {0}")]
    To(NameError),
    /// An account that the spec does not have.
    #[error("the spec has no account `{0}`: write its email, or name its --project")]
    NoAccount(String),
    /// A cluster that the spec does not have.
    #[error("the spec has no cluster `{name}`: it has {}", there.join(", "))]
    NotInSpec {
        /// As it was asked for.
        name: String,
        /// Those that it has.
        there: Vec<String>,
    },
    /// Neither a spec nor a project.
    #[error("there is no spec here: name the spec's PATH, or --project (and --cluster)")]
    NoSpec,
    /// GKE's list was refused.
    #[error("the clusters of {project} cannot be listed: {why}")]
    Unlisted {
        /// Whose.
        project: ProjectId,
        /// In GKE's words.
        why: Reason,
    },
    /// GKE's list is not whole, and has no such cluster.
    #[error("GKE did not hear from {} (missingZones), and has no such cluster elsewhere", .0.join(", "))]
    MissingZones(Vec<String>),
    /// A cluster that the project does not have.
    #[error("project {project} has no cluster{}", asked_and_there(named.as_deref(), there))]
    NoCluster {
        /// Which.
        project: ProjectId,
        /// As it was asked for; `None`: any.
        named: Option<String>,
        /// Those that it has.
        there: Vec<String>,
    },
}

fn asked_and_there(named: Option<&str>, there: &[String]) -> String {
    match (named, there) {
        (None, _) => String::new(),
        (Some(name), []) => format!(" `{name}`, and no other"),
        (Some(name), there) => format!(" `{name}`: it has {}", there.join(", ")),
    }
}
