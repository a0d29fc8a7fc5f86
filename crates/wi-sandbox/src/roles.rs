//! What predefined roles permit: enough of them for the access oracle's questions.
//!
//! Taken from Google's list of roles and permissions, cut to the permissions that workloads use.

use std::collections::BTreeSet;

/// Roles with the permissions that pods need. A permission that ends in `.*` stands for all below.
const ROLES: &[(&str, &[&str])] = &[
    (
        "roles/artifactregistry.reader",
        &[
            "artifactregistry.repositories.downloadArtifacts",
            "artifactregistry.repositories.get",
        ],
    ),
    (
        "roles/bigquery.dataEditor",
        &[
            "bigquery.datasets.get",
            "bigquery.tables.create",
            "bigquery.tables.get",
            "bigquery.tables.getData",
            "bigquery.tables.updateData",
        ],
    ),
    (
        "roles/bigquery.dataViewer",
        &[
            "bigquery.datasets.get",
            "bigquery.tables.get",
            "bigquery.tables.getData",
        ],
    ),
    ("roles/bigquery.jobUser", &["bigquery.jobs.create"]),
    (
        "roles/cloudkms.cryptoKeyEncrypterDecrypter",
        &[
            "cloudkms.cryptoKeyVersions.useToDecrypt",
            "cloudkms.cryptoKeyVersions.useToEncrypt",
        ],
    ),
    (
        "roles/cloudsql.client",
        &["cloudsql.instances.connect", "cloudsql.instances.get"],
    ),
    ("roles/cloudtrace.agent", &["cloudtrace.traces.patch"]),
    (
        "roles/container.defaultNodeServiceAccount",
        &[
            "autoscaling.sites.writeMetrics",
            "logging.logEntries.create",
            "monitoring.metricDescriptors.create",
            "monitoring.timeSeries.create",
        ],
    ),
    (
        "roles/iam.serviceAccountTokenCreator",
        &[
            "iam.serviceAccounts.getAccessToken",
            "iam.serviceAccounts.getOpenIdToken",
            "iam.serviceAccounts.implicitDelegation",
            "iam.serviceAccounts.signBlob",
            "iam.serviceAccounts.signJwt",
        ],
    ),
    (
        "roles/iam.serviceAccountUser",
        &["iam.serviceAccounts.actAs", "iam.serviceAccounts.get"],
    ),
    (
        "roles/iam.workloadIdentityUser",
        &[
            "iam.serviceAccounts.get",
            "iam.serviceAccounts.getAccessToken",
            "iam.serviceAccounts.getOpenIdToken",
        ],
    ),
    ("roles/logging.logWriter", &["logging.logEntries.create"]),
    (
        "roles/monitoring.metricWriter",
        &[
            "monitoring.metricDescriptors.create",
            "monitoring.timeSeries.create",
        ],
    ),
    ("roles/monitoring.viewer", &["monitoring.timeSeries.list"]),
    ("roles/pubsub.publisher", &["pubsub.topics.publish"]),
    ("roles/pubsub.subscriber", &["pubsub.subscriptions.consume"]),
    (
        "roles/secretmanager.secretAccessor",
        &["secretmanager.versions.access"],
    ),
    (
        "roles/spanner.databaseReader",
        &["spanner.databases.read", "spanner.databases.select"],
    ),
    (
        "roles/storage.admin",
        &["storage.buckets.*", "storage.objects.*"],
    ),
    ("roles/storage.objectAdmin", &["storage.objects.*"]),
    ("roles/storage.objectCreator", &["storage.objects.create"]),
    (
        "roles/storage.objectUser",
        &[
            "storage.objects.create",
            "storage.objects.delete",
            "storage.objects.get",
            "storage.objects.list",
            "storage.objects.update",
        ],
    ),
    (
        "roles/storage.objectViewer",
        &["storage.objects.get", "storage.objects.list"],
    ),
];

/// What the basic roles leave out although it is in the table: data that Google keeps behind roles
/// of its own, and acting as somebody else.
const NOT_BASIC: [&str; 5] = [
    "storage.objects.",
    "secretmanager.versions.access",
    "iam.serviceAccounts.",
    "cloudkms.cryptoKeyVersions.",
    "spanner.databases.",
];

/// Whether the table says that the role has the permission.
pub fn permits(role: &str, permission: &str) -> bool {
    let basic = || is_known(permission) && !NOT_BASIC.iter().any(|p| permission.starts_with(p));
    match role {
        "roles/owner" => is_known(permission),
        "roles/editor" => basic(),
        "roles/viewer" => {
            let read = permission.ends_with(".get") || permission.ends_with(".list");
            read && basic()
        }
        _ => ROLES
            .iter()
            .filter(|(name, _)| *name == role)
            .flat_map(|(_, permissions)| permissions.iter())
            .any(|p| is_covered_by(permission, p)),
    }
}

/// Whether any role of the table has the permission; if none has, nothing can be said about it.
pub fn is_known(permission: &str) -> bool {
    ROLES
        .iter()
        .flat_map(|(_, permissions)| permissions.iter())
        .any(|p| is_covered_by(permission, p))
}

/// The permissions of a role in the table.
pub fn permissions(role: &str) -> impl Iterator<Item = &'static str> {
    ROLES
        .iter()
        .filter(move |(name, _)| *name == role)
        .flat_map(|(_, permissions)| permissions.iter().copied())
        .filter(|permission| !permission.ends_with('*'))
}

/// The permissions of the table, for an error message.
pub fn known() -> BTreeSet<&'static str> {
    ROLES
        .iter()
        .flat_map(|(_, permissions)| permissions.iter().copied())
        .collect()
}

fn is_covered_by(permission: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => permission.len() > start.len() && permission.starts_with(start),
        None => permission == pattern,
    }
}
