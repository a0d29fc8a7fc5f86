//! Predefined roles by name: which there are of the common services, and what each can be granted on.

/// Google has some two thousand more; of those nothing is said.
const NAMES: [&str; 178] = [
    "roles/admin",
    "roles/aiplatform.admin",
    "roles/aiplatform.user",
    "roles/aiplatform.viewer",
    "roles/artifactregistry.admin",
    "roles/artifactregistry.createOnPushWriter",
    "roles/artifactregistry.reader",
    "roles/artifactregistry.repoAdmin",
    "roles/artifactregistry.writer",
    "roles/bigquery.admin",
    "roles/bigquery.connectionAdmin",
    "roles/bigquery.connectionUser",
    "roles/bigquery.dataEditor",
    "roles/bigquery.dataOwner",
    "roles/bigquery.dataViewer",
    "roles/bigquery.filteredDataViewer",
    "roles/bigquery.jobUser",
    "roles/bigquery.metadataViewer",
    "roles/bigquery.readSessionUser",
    "roles/bigquery.resourceAdmin",
    "roles/bigquery.resourceEditor",
    "roles/bigquery.resourceViewer",
    "roles/bigquery.user",
    "roles/bigtable.admin",
    "roles/bigtable.reader",
    "roles/bigtable.user",
    "roles/bigtable.viewer",
    "roles/browser",
    "roles/cloudasset.viewer",
    "roles/cloudfunctions.admin",
    "roles/cloudfunctions.developer",
    "roles/cloudfunctions.invoker",
    "roles/cloudfunctions.viewer",
    "roles/cloudkms.admin",
    "roles/cloudkms.cryptoKeyDecrypter",
    "roles/cloudkms.cryptoKeyEncrypter",
    "roles/cloudkms.cryptoKeyEncrypterDecrypter",
    "roles/cloudkms.cryptoOperator",
    "roles/cloudkms.importer",
    "roles/cloudkms.publicKeyViewer",
    "roles/cloudkms.signer",
    "roles/cloudkms.signerVerifier",
    "roles/cloudkms.verifier",
    "roles/cloudkms.viewer",
    "roles/cloudprofiler.agent",
    "roles/cloudprofiler.user",
    "roles/cloudsql.admin",
    "roles/cloudsql.client",
    "roles/cloudsql.editor",
    "roles/cloudsql.instanceUser",
    "roles/cloudsql.viewer",
    "roles/cloudtasks.admin",
    "roles/cloudtasks.enqueuer",
    "roles/cloudtasks.queueAdmin",
    "roles/cloudtasks.taskDeleter",
    "roles/cloudtasks.taskRunner",
    "roles/cloudtasks.viewer",
    "roles/cloudtrace.admin",
    "roles/cloudtrace.agent",
    "roles/cloudtrace.user",
    "roles/compute.admin",
    "roles/compute.instanceAdmin",
    "roles/compute.instanceAdmin.v1",
    "roles/compute.loadBalancerServiceUser",
    "roles/compute.networkAdmin",
    "roles/compute.networkUser",
    "roles/compute.networkViewer",
    "roles/compute.securityAdmin",
    "roles/compute.storageAdmin",
    "roles/compute.viewer",
    "roles/container.admin",
    "roles/container.clusterAdmin",
    "roles/container.clusterViewer",
    "roles/container.defaultNodeServiceAccount",
    "roles/container.developer",
    "roles/container.hostServiceAgentUser",
    "roles/container.nodeServiceAccount",
    "roles/container.viewer",
    "roles/datastore.owner",
    "roles/datastore.user",
    "roles/datastore.viewer",
    "roles/dns.admin",
    "roles/dns.reader",
    "roles/editor",
    "roles/errorreporting.writer",
    "roles/eventarc.eventReceiver",
    "roles/gkehub.admin",
    "roles/gkehub.connect",
    "roles/gkehub.editor",
    "roles/gkehub.gatewayAdmin",
    "roles/gkehub.gatewayEditor",
    "roles/gkehub.gatewayReader",
    "roles/gkehub.serviceAgent",
    "roles/gkehub.viewer",
    "roles/iam.denyAdmin",
    "roles/iam.denyReviewer",
    "roles/iam.organizationRoleAdmin",
    "roles/iam.organizationRoleViewer",
    "roles/iam.roleAdmin",
    "roles/iam.roleViewer",
    "roles/iam.securityAdmin",
    "roles/iam.securityReviewer",
    "roles/iam.serviceAccountAdmin",
    "roles/iam.serviceAccountCreator",
    "roles/iam.serviceAccountDeleter",
    "roles/iam.serviceAccountKeyAdmin",
    "roles/iam.serviceAccountOpenIdTokenCreator",
    "roles/iam.serviceAccountTokenCreator",
    "roles/iam.serviceAccountUser",
    "roles/iam.serviceAccountViewer",
    "roles/iam.workloadIdentityPoolAdmin",
    "roles/iam.workloadIdentityPoolViewer",
    "roles/iam.workloadIdentityUser",
    "roles/logging.admin",
    "roles/logging.bucketWriter",
    "roles/logging.configWriter",
    "roles/logging.logWriter",
    "roles/logging.privateLogViewer",
    "roles/logging.viewer",
    "roles/monitoring.admin",
    "roles/monitoring.editor",
    "roles/monitoring.metricWriter",
    "roles/monitoring.viewer",
    "roles/owner",
    "roles/pubsub.admin",
    "roles/pubsub.editor",
    "roles/pubsub.publisher",
    "roles/pubsub.subscriber",
    "roles/pubsub.viewer",
    "roles/reader",
    "roles/redis.admin",
    "roles/redis.editor",
    "roles/redis.viewer",
    "roles/resourcemanager.folderAdmin",
    "roles/resourcemanager.folderIamAdmin",
    "roles/resourcemanager.folderViewer",
    "roles/resourcemanager.organizationAdmin",
    "roles/resourcemanager.organizationViewer",
    "roles/resourcemanager.projectCreator",
    "roles/resourcemanager.projectDeleter",
    "roles/resourcemanager.projectIamAdmin",
    "roles/resourcemanager.projectMover",
    "roles/run.admin",
    "roles/run.developer",
    "roles/run.invoker",
    "roles/run.viewer",
    "roles/secretmanager.admin",
    "roles/secretmanager.secretAccessor",
    "roles/secretmanager.secretVersionAdder",
    "roles/secretmanager.secretVersionManager",
    "roles/secretmanager.viewer",
    "roles/serviceusage.serviceUsageAdmin",
    "roles/serviceusage.serviceUsageConsumer",
    "roles/serviceusage.serviceUsageViewer",
    "roles/spanner.admin",
    "roles/spanner.backupAdmin",
    "roles/spanner.databaseAdmin",
    "roles/spanner.databaseReader",
    "roles/spanner.databaseUser",
    "roles/spanner.viewer",
    "roles/storage.admin",
    "roles/storage.bucketViewer",
    "roles/storage.folderAdmin",
    "roles/storage.hmacKeyAdmin",
    "roles/storage.insightsCollectorService",
    "roles/storage.legacyBucketOwner",
    "roles/storage.legacyBucketReader",
    "roles/storage.legacyBucketWriter",
    "roles/storage.legacyObjectOwner",
    "roles/storage.legacyObjectReader",
    "roles/storage.objectAdmin",
    "roles/storage.objectCreator",
    "roles/storage.objectUser",
    "roles/storage.objectViewer",
    "roles/viewer",
    "roles/workflows.invoker",
    "roles/workstations.user",
    "roles/writer",
];

/// Roles that are granted on any resource.
const EVERYWHERE: [&str; 2] = ["roles/iam.securityAdmin", "roles/iam.securityReviewer"];

/// The roles that are known by name, `roles/…`.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().copied()
}

/// The role that is meant by one that there is not: a letter is missing, too many, another, or swapped with
/// its neighbour.
pub fn misspelt(role: &str) -> Option<&'static str> {
    if NAMES.binary_search(&role).is_ok() {
        return None;
    }
    NAMES.iter().copied().find(|known| is_near(known, role))
}

/// One letter apart, or two neighbours swapped.
fn is_near(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[same..], &b[same..]);
    match (a, b) {
        ([_, a @ ..], [_, b @ ..]) if a == b => true,
        ([first, second, a @ ..], [other, another, b @ ..])
            if (first, second) == (another, other) && a == b =>
        {
            true
        }
        (a, [_, b @ ..]) if a == b => true,
        ([_, a @ ..], b) if a == b => true,
        _ => false,
    }
}

/// Whether a predefined role can be granted on a resource, by its full resource name.
///
/// Projects, folders and organizations take all but Storage's legacy roles; the resources of a service take its
/// own; basic roles do not go on buckets and managed folders.
pub fn suits(role: &str, resource: &str) -> bool {
    let Some(name) = role.strip_prefix("roles/") else {
        return true;
    };
    let rest = resource.trim_start_matches("//");
    let service = rest.split('.').next().unwrap_or_default();
    if service == "cloudresourcemanager" {
        return !name.starts_with("storage.legacy");
    }
    match name.split_once('.') {
        None => service != "storage",
        Some((of, _)) => of == service || EVERYWHERE.contains(&role),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_its_order() {
        assert!(NAMES.is_sorted());
    }

    #[test]
    fn a_role_that_is_spelt_wrong_is_told_from_one_that_is_not_known() {
        assert_eq!(
            misspelt("roles/cloudsql.cilent"),
            Some("roles/cloudsql.client")
        );
        assert_eq!(
            misspelt("roles/storage.objectViewe"),
            Some("roles/storage.objectViewer")
        );
        assert_eq!(
            misspelt("roles/storage.admins"),
            Some("roles/storage.admin")
        );
        for role in [
            "roles/storage.objectViewer",
            "roles/dataflow.worker",
            "roles/storage.newThing",
        ] {
            assert_eq!(misspelt(role), None, "{role}");
        }
    }

    #[test]
    fn a_role_goes_on_the_resources_of_its_service() {
        let bucket = "//storage.googleapis.com/projects/_/buckets/b";
        let project = "//cloudresourcemanager.googleapis.com/projects/p";
        let account = "//iam.googleapis.com/projects/p/serviceAccounts/a@p.iam.gserviceaccount.com";
        for (role, resource, fine) in [
            ("roles/storage.objectViewer", bucket, true),
            ("roles/pubsub.publisher", bucket, false),
            ("roles/viewer", bucket, false),
            ("projects/p/roles/mine", bucket, true),
            ("roles/pubsub.publisher", project, true),
            ("roles/storage.legacyBucketReader", project, false),
            ("roles/iam.workloadIdentityUser", account, true),
            ("roles/storage.admin", account, false),
            ("roles/iam.securityReviewer", bucket, true),
        ] {
            assert_eq!(suits(role, resource), fine, "{role} on {resource}");
        }
    }
}
