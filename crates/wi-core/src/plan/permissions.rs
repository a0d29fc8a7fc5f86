//! What the caller must be allowed to do for a change.

use super::Action;
use crate::desired::Desired;
use crate::resource::Resource;

/// A permission that a change takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// An IAM permission.
    Google {
        /// On this.
        on: Resource,
        /// Such as `iam.serviceAccounts.create`.
        permission: &'static str,
    },
    /// A verb of a cluster's API.
    Kubernetes {
        /// The spec's name of the cluster.
        cluster: String,
        /// Where; empty for what is in no namespace.
        namespace: String,
        /// Such as `patch`.
        verb: &'static str,
        /// Such as `serviceaccounts`.
        resource: &'static str,
    },
}

impl Permission {
    pub(super) fn google(on: Resource, permission: &'static str) -> Self {
        Self::Google { on, permission }
    }

    /// What changing a cluster or one of its node pools takes.
    pub(super) fn to_update(desired: &Desired, cluster: &str) -> Vec<Self> {
        let path = desired.clusters.get(cluster).map(|c| &c.path);
        let on = path.map(|path| Resource::Project(path.project.clone()));
        on.map(|on| Self::google(on, "container.clusters.update"))
            .into_iter()
            .collect()
    }

    /// What writing a Kubernetes object takes. Server-side apply takes `patch` to create one, too.
    pub(super) fn to_write(
        cluster: &str,
        namespace: &str,
        action: Action,
        resource: &'static str,
    ) -> Vec<Self> {
        let verbs: &[&'static str] = match action {
            Action::Create => &["create", "patch"],
            Action::Update => &["patch"],
            Action::Delete => &["delete"],
        };
        let of = |verb: &&'static str| Self::Kubernetes {
            cluster: cluster.to_owned(),
            namespace: namespace.to_owned(),
            verb,
            resource,
        };
        verbs.iter().map(of).collect()
    }
}
