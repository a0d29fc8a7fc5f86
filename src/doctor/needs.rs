//! What planning and applying take: permissions, with the smallest predefined role that has each.

/// A permission, what it is for, and the smallest predefined role of its kind that has it.
pub(super) struct Need {
    pub permission: &'static str,
    pub role: &'static str,
    pub to_apply: bool,
}

const fn plan(permission: &'static str, role: &'static str) -> Need {
    Need {
        permission,
        role,
        to_apply: false,
    }
}

const fn apply(permission: &'static str, role: &'static str) -> Need {
    Need {
        permission,
        role,
        to_apply: true,
    }
}

pub(super) const CLUSTERS: [Need; 5] = [
    plan("container.clusters.list", "roles/container.viewer"),
    apply("container.clusters.get", "roles/container.clusterAdmin"),
    apply("container.clusters.update", "roles/container.clusterAdmin"),
    apply("container.operations.get", "roles/container.clusterAdmin"),
    apply("container.operations.list", "roles/container.clusterAdmin"),
];

pub(super) const ACCOUNTS: [Need; 8] = [
    plan("iam.serviceAccounts.list", "roles/iam.securityReviewer"),
    plan(
        "iam.serviceAccounts.getIamPolicy",
        "roles/iam.securityReviewer",
    ),
    apply(
        "iam.serviceAccounts.create",
        "roles/iam.serviceAccountAdmin",
    ),
    apply("iam.serviceAccounts.get", "roles/iam.serviceAccountAdmin"),
    apply(
        "iam.serviceAccounts.update",
        "roles/iam.serviceAccountAdmin",
    ),
    apply(
        "iam.serviceAccounts.enable",
        "roles/iam.serviceAccountAdmin",
    ),
    apply(
        "iam.serviceAccounts.disable",
        "roles/iam.serviceAccountAdmin",
    ),
    apply(
        "iam.serviceAccounts.setIamPolicy",
        "roles/iam.serviceAccountAdmin",
    ),
];

pub(super) const DELETION: Need = apply(
    "iam.serviceAccounts.delete",
    "roles/iam.serviceAccountAdmin",
);

pub(super) const POLICY: [Need; 2] = [
    plan("resourcemanager.projects.get", "roles/browser"),
    plan(
        "resourcemanager.projects.getIamPolicy",
        "roles/iam.securityReviewer",
    ),
];

pub(super) const GRANTS: Need = apply(
    "resourcemanager.projects.setIamPolicy",
    "roles/resourcemanager.projectIamAdmin",
);

/// What is done in Kubernetes: verb, API group, resource, and whether it is for an apply.
pub(super) const KUBERNETES: [(&str, &str, &str, bool); 19] = [
    ("list", "", "namespaces", false),
    ("list", "", "serviceaccounts", false),
    ("list", "", "pods", false),
    ("list", "", "nodes", false),
    ("list", "policy", "poddisruptionbudgets", false),
    ("list", "networking.k8s.io", "networkpolicies", false),
    ("list", "apps", "deployments", false),
    ("list", "apps", "statefulsets", false),
    ("list", "apps", "daemonsets", false),
    ("list", "apps", "replicasets", false),
    ("list", "batch", "jobs", false),
    ("list", "batch", "cronjobs", false),
    ("list", "", "replicationcontrollers", false),
    ("get", "", "configmaps", false),
    ("create", "", "namespaces", true),
    ("patch", "", "namespaces", true),
    ("create", "", "serviceaccounts", true),
    ("patch", "", "serviceaccounts", true),
    ("delete", "", "serviceaccounts", true),
];
