//! The kinds of resources that roles are granted on: one row a kind, with all that is known of it.
//!
//! The rows follow the discovery documents of the APIs; the shapes are those of each API's
//! `getIamPolicy` and `setIamPolicy`. A new kind is a new row (and its twin in the sandbox, which knows
//! nothing of this one).

use crate::api::Api;

/// Where a read says that it understands conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `?options.requestedPolicyVersion=3`.
    Query,
    /// `?optionsRequestedPolicyVersion=3`.
    CamelQuery,
    /// `{"options": {"requestedPolicyVersion": 3}}`.
    Body,
}

/// What a write sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// `POST {"policy": …, "updateMask": "bindings,etag"}`: audit settings are not even touched.
    Masked,
    /// `POST {"policy": …}`: the API has no mask.
    Wrapped,
    /// `PUT` of the policy itself.
    Bare,
    /// `PATCH` of BigQuery's access list, under `If-Match`.
    AccessList,
}

/// One kind of resource.
#[derive(Debug)]
pub struct Kind {
    /// What the spec calls it: `secret/[PROJECT/]NAME`.
    pub short: &'static str,
    /// The names after `short/`, for error messages; `[PROJECT/]` may be left out.
    pub form: &'static str,
    /// The full resource name after `//`; each `{}` is a name of the short form, in order.
    pub full: &'static str,
    /// The API.
    pub api: Api,
    /// The path of its policy in that API, up to `:getIamPolicy` or `/iam`.
    pub path: &'static str,
    /// How a policy is asked for: with GET or POST.
    pub post: bool,
    /// Where a read says that it understands conditions.
    pub version: Version,
    /// What a write sends.
    pub write: Write,
    /// The permission that a write takes.
    pub permission: &'static str,
    /// The smallest predefined role that has it.
    pub admin: &'static str,
    /// Its type in Terraform's Google provider, between `google_` and `_iam_member`, and the arguments that
    /// take its names; `*` takes all of them, joined.
    pub terraform: (&'static str, &'static [&'static str]),
    /// gcloud's group with `add-iam-policy-binding`, and how that names a resource: `{N}` is its name number
    /// N. `None`: gcloud has no such command.
    pub gcloud: Option<(&'static str, &'static str)>,
}

/// All of them.
pub static KINDS: &[Kind] = &[
    Kind {
        short: "project",
        form: "ID",
        full: "cloudresourcemanager.googleapis.com/projects/{}",
        api: Api::CloudResourceManager,
        path: "v3/projects/{}",
        post: true,
        version: Version::Body,
        write: Write::Masked,
        permission: "resourcemanager.projects.setIamPolicy",
        admin: "roles/resourcemanager.projectIamAdmin",
        terraform: ("project", &["project"]),
        gcloud: Some(("projects", "{0}")),
    },
    Kind {
        short: "folder",
        form: "NUMBER",
        full: "cloudresourcemanager.googleapis.com/folders/{}",
        api: Api::CloudResourceManager,
        path: "v3/folders/{}",
        post: true,
        version: Version::Body,
        write: Write::Masked,
        permission: "resourcemanager.folders.setIamPolicy",
        admin: "roles/resourcemanager.folderIamAdmin",
        terraform: ("folder", &["folder"]),
        gcloud: Some(("resource-manager folders", "{0}")),
    },
    Kind {
        short: "organization",
        form: "NUMBER",
        full: "cloudresourcemanager.googleapis.com/organizations/{}",
        api: Api::CloudResourceManager,
        path: "v3/organizations/{}",
        post: true,
        version: Version::Body,
        write: Write::Masked,
        permission: "resourcemanager.organizations.setIamPolicy",
        admin: "roles/resourcemanager.organizationAdmin",
        terraform: ("organization", &["org_id"]),
        gcloud: Some(("organizations", "{0}")),
    },
    Kind {
        short: "serviceaccount",
        form: "EMAIL",
        full: "iam.googleapis.com/projects/-/serviceAccounts/{}",
        api: Api::Iam,
        path: "v1/projects/-/serviceAccounts/{}",
        post: true,
        version: Version::Query,
        write: Write::Masked,
        permission: "iam.serviceAccounts.setIamPolicy",
        admin: "roles/iam.serviceAccountAdmin",
        terraform: ("service_account", &["service_account_id"]),
        gcloud: Some(("iam service-accounts", "{0}")),
    },
    Kind {
        short: "bucket",
        form: "NAME",
        full: "storage.googleapis.com/projects/_/buckets/{}",
        api: Api::Storage,
        path: "storage/v1/b/{}",
        post: false,
        version: Version::CamelQuery,
        write: Write::Bare,
        permission: "storage.buckets.setIamPolicy",
        admin: "roles/storage.admin",
        terraform: ("storage_bucket", &["bucket"]),
        gcloud: Some(("storage buckets", "gs://{0}")),
    },
    Kind {
        short: "managedfolder",
        form: "BUCKET/FOLDER[/FOLDER…]",
        full: "storage.googleapis.com/projects/_/buckets/{}/managedFolders/{}",
        api: Api::Storage,
        path: "storage/v1/b/{}/managedFolders/{}",
        post: false,
        version: Version::CamelQuery,
        write: Write::Bare,
        permission: "storage.managedFolders.setIamPolicy",
        admin: "roles/storage.folderAdmin",
        terraform: ("storage_managed_folder", &["bucket", "managed_folder"]),
        gcloud: Some(("storage managed-folders", "gs://{0}/{1}")),
    },
    Kind {
        short: "secret",
        form: "[PROJECT/]NAME",
        full: "secretmanager.googleapis.com/projects/{}/secrets/{}",
        api: Api::SecretManager,
        path: "v1/projects/{}/secrets/{}",
        post: false,
        version: Version::Query,
        write: Write::Masked,
        permission: "secretmanager.secrets.setIamPolicy",
        admin: "roles/secretmanager.admin",
        terraform: ("secret_manager_secret", &["project", "secret_id"]),
        gcloud: Some(("secrets", "{1} --project={0}")),
    },
    Kind {
        short: "regional-secret",
        form: "[PROJECT/]LOCATION/NAME",
        full: "secretmanager.googleapis.com/projects/{}/locations/{}/secrets/{}",
        api: Api::SecretManager,
        path: "v1/projects/{}/locations/{}/secrets/{}",
        post: false,
        version: Version::Query,
        write: Write::Masked,
        permission: "secretmanager.secrets.setIamPolicy",
        admin: "roles/secretmanager.admin",
        terraform: (
            "secret_manager_regional_secret",
            &["project", "location", "secret_id"],
        ),
        gcloud: Some(("secrets", "{2} --location={1} --project={0}")),
    },
    Kind {
        short: "topic",
        form: "[PROJECT/]NAME",
        full: "pubsub.googleapis.com/projects/{}/topics/{}",
        api: Api::Pubsub,
        path: "v1/projects/{}/topics/{}",
        post: false,
        version: Version::Query,
        write: Write::Wrapped,
        permission: "pubsub.topics.setIamPolicy",
        admin: "roles/pubsub.admin",
        terraform: ("pubsub_topic", &["project", "topic"]),
        gcloud: Some(("pubsub topics", "{1} --project={0}")),
    },
    Kind {
        short: "subscription",
        form: "[PROJECT/]NAME",
        full: "pubsub.googleapis.com/projects/{}/subscriptions/{}",
        api: Api::Pubsub,
        path: "v1/projects/{}/subscriptions/{}",
        post: false,
        version: Version::Query,
        write: Write::Wrapped,
        permission: "pubsub.subscriptions.setIamPolicy",
        admin: "roles/pubsub.admin",
        terraform: ("pubsub_subscription", &["project", "subscription"]),
        gcloud: Some(("pubsub subscriptions", "{1} --project={0}")),
    },
    Kind {
        short: "dataset",
        form: "[PROJECT/]NAME",
        full: "bigquery.googleapis.com/projects/{}/datasets/{}",
        api: Api::Bigquery,
        path: "bigquery/v2/projects/{}/datasets/{}",
        post: false,
        version: Version::Query,
        write: Write::AccessList,
        permission: "bigquery.datasets.update",
        admin: "roles/bigquery.dataOwner",
        terraform: ("bigquery_dataset", &["project", "dataset_id"]),
        gcloud: None,
    },
    Kind {
        short: "table",
        form: "[PROJECT/]DATASET/NAME",
        full: "bigquery.googleapis.com/projects/{}/datasets/{}/tables/{}",
        api: Api::Bigquery,
        path: "bigquery/v2/projects/{}/datasets/{}/tables/{}",
        post: true,
        version: Version::Body,
        write: Write::Masked,
        permission: "bigquery.tables.setIamPolicy",
        admin: "roles/bigquery.dataOwner",
        terraform: ("bigquery_table", &["project", "dataset_id", "table_id"]),
        gcloud: None,
    },
    Kind {
        short: "routine",
        form: "[PROJECT/]DATASET/NAME",
        full: "bigquery.googleapis.com/projects/{}/datasets/{}/routines/{}",
        api: Api::Bigquery,
        path: "bigquery/v2/projects/{}/datasets/{}/routines/{}",
        post: true,
        version: Version::Body,
        write: Write::Masked,
        permission: "bigquery.routines.update",
        admin: "roles/bigquery.dataOwner",
        terraform: ("bigquery_routine", &["project", "dataset_id", "routine_id"]),
        gcloud: None,
    },
    Kind {
        short: "keyring",
        form: "[PROJECT/]LOCATION/NAME",
        full: "cloudkms.googleapis.com/projects/{}/locations/{}/keyRings/{}",
        api: Api::Cloudkms,
        path: "v1/projects/{}/locations/{}/keyRings/{}",
        post: false,
        version: Version::Query,
        write: Write::Masked,
        permission: "cloudkms.keyRings.setIamPolicy",
        admin: "roles/cloudkms.admin",
        terraform: ("kms_key_ring", &["key_ring_id", "*"]),
        gcloud: Some(("kms keyrings", "{2} --location={1} --project={0}")),
    },
    Kind {
        short: "key",
        form: "[PROJECT/]LOCATION/KEYRING/NAME",
        full: "cloudkms.googleapis.com/projects/{}/locations/{}/keyRings/{}/cryptoKeys/{}",
        api: Api::Cloudkms,
        path: "v1/projects/{}/locations/{}/keyRings/{}/cryptoKeys/{}",
        post: false,
        version: Version::Query,
        write: Write::Masked,
        permission: "cloudkms.cryptoKeys.setIamPolicy",
        admin: "roles/cloudkms.admin",
        terraform: ("kms_crypto_key", &["crypto_key_id", "*"]),
        gcloud: Some(("kms keys", "{3} --keyring={2} --location={1} --project={0}")),
    },
    Kind {
        short: "import-job",
        form: "[PROJECT/]LOCATION/KEYRING/NAME",
        full: "cloudkms.googleapis.com/projects/{}/locations/{}/keyRings/{}/importJobs/{}",
        api: Api::Cloudkms,
        path: "v1/projects/{}/locations/{}/keyRings/{}/importJobs/{}",
        post: false,
        version: Version::Query,
        write: Write::Masked,
        permission: "cloudkms.importJobs.setIamPolicy",
        admin: "roles/cloudkms.admin",
        terraform: (
            "kms_import_job",
            &["project", "location", "key_ring", "import_job_id"],
        ),
        gcloud: Some((
            "kms import-jobs",
            "{3} --keyring={2} --location={1} --project={0}",
        )),
    },
    Kind {
        short: "spanner-instance",
        form: "[PROJECT/]NAME",
        full: "spanner.googleapis.com/projects/{}/instances/{}",
        api: Api::Spanner,
        path: "v1/projects/{}/instances/{}",
        post: true,
        version: Version::Body,
        write: Write::Wrapped,
        permission: "spanner.instances.setIamPolicy",
        admin: "roles/spanner.admin",
        terraform: ("spanner_instance", &["project", "instance"]),
        gcloud: Some(("spanner instances", "{1} --project={0}")),
    },
    Kind {
        short: "spanner",
        form: "[PROJECT/]INSTANCE/DATABASE",
        full: "spanner.googleapis.com/projects/{}/instances/{}/databases/{}",
        api: Api::Spanner,
        path: "v1/projects/{}/instances/{}/databases/{}",
        post: true,
        version: Version::Body,
        write: Write::Wrapped,
        permission: "spanner.databases.setIamPolicy",
        admin: "roles/spanner.databaseAdmin",
        terraform: ("spanner_database", &["project", "instance", "database"]),
        gcloud: Some(("spanner databases", "{2} --instance={1} --project={0}")),
    },
    Kind {
        short: "spanner-backup",
        form: "[PROJECT/]INSTANCE/BACKUP",
        full: "spanner.googleapis.com/projects/{}/instances/{}/backups/{}",
        api: Api::Spanner,
        path: "v1/projects/{}/instances/{}/backups/{}",
        post: true,
        version: Version::Body,
        write: Write::Wrapped,
        permission: "spanner.backups.setIamPolicy",
        admin: "roles/spanner.backupAdmin",
        terraform: ("spanner_backup", &["project", "instance", "backup"]),
        gcloud: Some(("spanner backups", "{2} --instance={1} --project={0}")),
    },
    Kind {
        short: "repository",
        form: "[PROJECT/]LOCATION/NAME",
        full: "artifactregistry.googleapis.com/projects/{}/locations/{}/repositories/{}",
        api: Api::ArtifactRegistry,
        path: "v1/projects/{}/locations/{}/repositories/{}",
        post: false,
        version: Version::Query,
        write: Write::Wrapped,
        permission: "artifactregistry.repositories.setIamPolicy",
        admin: "roles/artifactregistry.admin",
        terraform: (
            "artifact_registry_repository",
            &["project", "location", "repository"],
        ),
        gcloud: Some(("artifacts repositories", "{2} --location={1} --project={0}")),
    },
    Kind {
        short: "run",
        form: "[PROJECT/]LOCATION/SERVICE",
        full: "run.googleapis.com/projects/{}/locations/{}/services/{}",
        api: Api::Run,
        path: "v2/projects/{}/locations/{}/services/{}",
        post: false,
        version: Version::Query,
        write: Write::Masked,
        permission: "run.services.setIamPolicy",
        admin: "roles/run.admin",
        terraform: ("cloud_run_v2_service", &["project", "location", "name"]),
        gcloud: Some(("run services", "{2} --region={1} --project={0}")),
    },
    Kind {
        short: "run-job",
        form: "[PROJECT/]LOCATION/JOB",
        full: "run.googleapis.com/projects/{}/locations/{}/jobs/{}",
        api: Api::Run,
        path: "v2/projects/{}/locations/{}/jobs/{}",
        post: false,
        version: Version::Query,
        write: Write::Masked,
        permission: "run.jobs.setIamPolicy",
        admin: "roles/run.admin",
        terraform: ("cloud_run_v2_job", &["project", "location", "name"]),
        gcloud: Some(("run jobs", "{2} --region={1} --project={0}")),
    },
    Kind {
        short: "run-worker-pool",
        form: "[PROJECT/]LOCATION/WORKER_POOL",
        full: "run.googleapis.com/projects/{}/locations/{}/workerPools/{}",
        api: Api::Run,
        path: "v2/projects/{}/locations/{}/workerPools/{}",
        post: false,
        version: Version::Query,
        write: Write::Masked,
        permission: "run.workerpools.setIamPolicy",
        admin: "roles/run.admin",
        terraform: ("cloud_run_v2_worker_pool", &["project", "location", "name"]),
        gcloud: None,
    },
    Kind {
        short: "queue",
        form: "[PROJECT/]LOCATION/NAME",
        full: "cloudtasks.googleapis.com/projects/{}/locations/{}/queues/{}",
        api: Api::CloudTasks,
        path: "v2/projects/{}/locations/{}/queues/{}",
        post: true,
        version: Version::Body,
        write: Write::Wrapped,
        permission: "cloudtasks.queues.setIamPolicy",
        admin: "roles/cloudtasks.queueAdmin",
        terraform: ("cloud_tasks_queue", &["project", "location", "name"]),
        gcloud: Some(("tasks queues", "{2} --location={1} --project={0}")),
    },
    Kind {
        short: "function",
        form: "[PROJECT/]LOCATION/NAME",
        full: "cloudfunctions.googleapis.com/projects/{}/locations/{}/functions/{}",
        api: Api::CloudFunctions,
        path: "v2/projects/{}/locations/{}/functions/{}",
        post: false,
        version: Version::Query,
        write: Write::Masked,
        permission: "cloudfunctions.functions.setIamPolicy",
        admin: "roles/cloudfunctions.admin",
        terraform: (
            "cloudfunctions2_function",
            &["project", "location", "cloud_function"],
        ),
        gcloud: Some(("functions", "{2} --region={1} --project={0}")),
    },
    Kind {
        short: "bigtable-instance",
        form: "[PROJECT/]NAME",
        full: "bigtable.googleapis.com/projects/{}/instances/{}",
        api: Api::BigtableAdmin,
        path: "v2/projects/{}/instances/{}",
        post: true,
        version: Version::Body,
        write: Write::Masked,
        permission: "bigtable.instances.setIamPolicy",
        admin: "roles/bigtable.admin",
        terraform: ("bigtable_instance", &["project", "instance"]),
        gcloud: Some(("bigtable instances", "{1} --project={0}")),
    },
    Kind {
        short: "bigtable",
        form: "[PROJECT/]INSTANCE/TABLE",
        full: "bigtable.googleapis.com/projects/{}/instances/{}/tables/{}",
        api: Api::BigtableAdmin,
        path: "v2/projects/{}/instances/{}/tables/{}",
        post: true,
        version: Version::Body,
        write: Write::Masked,
        permission: "bigtable.tables.setIamPolicy",
        admin: "roles/bigtable.admin",
        terraform: ("bigtable_table", &["project", "instance", "table"]),
        gcloud: Some((
            "bigtable instances tables",
            "{2} --instance={1} --project={0}",
        )),
    },
    Kind {
        short: "bigtable-backup",
        form: "[PROJECT/]INSTANCE/CLUSTER/BACKUP",
        full: "bigtable.googleapis.com/projects/{}/instances/{}/clusters/{}/backups/{}",
        api: Api::BigtableAdmin,
        path: "v2/projects/{}/instances/{}/clusters/{}/backups/{}",
        post: true,
        version: Version::Body,
        write: Write::Masked,
        permission: "bigtable.backups.setIamPolicy",
        admin: "roles/bigtable.admin",
        terraform: (
            "bigtable_backup",
            &["project", "instance", "cluster", "backup"],
        ),
        gcloud: Some((
            "bigtable backups",
            "{3} --cluster={2} --instance={1} --project={0}",
        )),
    },
    Kind {
        short: "bigtable-authorized-view",
        form: "[PROJECT/]INSTANCE/TABLE/VIEW",
        full: "bigtable.googleapis.com/projects/{}/instances/{}/tables/{}/authorizedViews/{}",
        api: Api::BigtableAdmin,
        path: "v2/projects/{}/instances/{}/tables/{}/authorizedViews/{}",
        post: true,
        version: Version::Body,
        write: Write::Masked,
        permission: "bigtable.authorizedViews.setIamPolicy",
        admin: "roles/bigtable.admin",
        terraform: (
            "bigtable_authorized_view",
            &["project", "instance", "table", "view"],
        ),
        gcloud: Some((
            "bigtable authorized-views",
            "{3} --table={2} --instance={1} --project={0}",
        )),
    },
    Kind {
        short: "bigtable-logical-view",
        form: "[PROJECT/]INSTANCE/VIEW",
        full: "bigtable.googleapis.com/projects/{}/instances/{}/logicalViews/{}",
        api: Api::BigtableAdmin,
        path: "v2/projects/{}/instances/{}/logicalViews/{}",
        post: true,
        version: Version::Body,
        write: Write::Masked,
        permission: "bigtable.logicalViews.setIamPolicy",
        admin: "roles/bigtable.admin",
        terraform: ("bigtable_logical_view", &["project", "instance", "view"]),
        gcloud: None,
    },
    Kind {
        short: "bigtable-materialized-view",
        form: "[PROJECT/]INSTANCE/VIEW",
        full: "bigtable.googleapis.com/projects/{}/instances/{}/materializedViews/{}",
        api: Api::BigtableAdmin,
        path: "v2/projects/{}/instances/{}/materializedViews/{}",
        post: true,
        version: Version::Body,
        write: Write::Masked,
        permission: "bigtable.materializedViews.setIamPolicy",
        admin: "roles/bigtable.admin",
        terraform: (
            "bigtable_materialized_view",
            &["project", "instance", "view"],
        ),
        gcloud: None,
    },
    Kind {
        short: "snapshot",
        form: "[PROJECT/]NAME",
        full: "pubsub.googleapis.com/projects/{}/snapshots/{}",
        api: Api::Pubsub,
        path: "v1/projects/{}/snapshots/{}",
        post: false,
        version: Version::Query,
        write: Write::Wrapped,
        permission: "pubsub.snapshots.setIamPolicy",
        admin: "roles/pubsub.admin",
        terraform: ("pubsub_snapshot", &["project", "snapshot"]),
        gcloud: None,
    },
    Kind {
        short: "schema",
        form: "[PROJECT/]NAME",
        full: "pubsub.googleapis.com/projects/{}/schemas/{}",
        api: Api::Pubsub,
        path: "v1/projects/{}/schemas/{}",
        post: false,
        version: Version::Query,
        write: Write::Wrapped,
        permission: "pubsub.schemas.setIamPolicy",
        admin: "roles/pubsub.admin",
        terraform: ("pubsub_schema", &["project", "schema"]),
        gcloud: None,
    },
    Kind {
        short: "dns-zone",
        form: "[PROJECT/]NAME",
        full: "dns.googleapis.com/projects/{}/managedZones/{}",
        api: Api::Dns,
        path: "dns/v1/projects/{}/managedZones/{}",
        post: true,
        version: Version::Body,
        write: Write::Masked,
        permission: "dns.managedZones.setIamPolicy",
        admin: "roles/iam.securityAdmin", // roles/dns.admin does not have it
        terraform: ("dns_managed_zone", &["project", "managed_zone"]),
        gcloud: None,
    },
    Kind {
        short: "iap-backend-service",
        form: "[PROJECT/]SERVICE",
        full: "iap.googleapis.com/projects/{}/iap_web/compute/services/{}",
        api: Api::Iap,
        path: "v1/projects/{}/iap_web/compute/services/{}",
        post: true,
        version: Version::Body,
        write: Write::Wrapped,
        permission: "iap.webServices.setIamPolicy",
        admin: "roles/iap.admin",
        terraform: (
            "iap_web_backend_service",
            &["project", "web_backend_service"],
        ),
        gcloud: Some((
            "iap web",
            "--resource-type=backend-services --service={1} --project={0}",
        )),
    },
];

/// The row of projects.
pub(super) fn project() -> &'static Kind {
    row("project")
}

/// The row of Google service accounts.
pub(super) fn service_account() -> &'static Kind {
    row("serviceaccount")
}

fn row(short: &str) -> &'static Kind {
    Kind::of(short).expect("the table has the row")
}

impl Kind {
    pub(super) fn of(short: &str) -> Option<&'static Self> {
        KINDS.iter().find(|k| k.short == short)
    }

    /// How many names it has, the project included.
    pub(super) fn names(&self) -> usize {
        self.full.matches("{}").count()
    }

    /// The host of its API, as its full name has it.
    pub(super) fn service(&self) -> &'static str {
        self.full.split('/').next().unwrap_or_default()
    }

    /// What to write for one.
    pub(super) fn written_form(&self) -> String {
        format!("Write {}/{}.", self.short, self.form)
    }

    /// A word for each of its names.
    fn words(&self) -> Vec<String> {
        let words = self.form.replace("[/FOLDER…]", "").replace(['[', ']'], "");
        words.split('/').map(str::to_owned).collect()
    }

    /// Its full name with a word for each name.
    pub(super) fn full_form(&self) -> String {
        filled(self.full, &self.words())
    }

    /// Whether the last of its names has slashes of its own.
    pub(super) fn nests(&self) -> bool {
        self.short == "managedfolder"
    }

    /// Whether the first of its names is its project.
    pub fn in_project(&self) -> bool {
        self.form.starts_with("[PROJECT/]")
    }
}

/// The pattern with its `{}` filled, in order.
pub(super) fn filled(pattern: &str, names: &[String]) -> String {
    let mut out = String::new();
    let mut names = names.iter();
    for (i, piece) in pattern.split("{}").enumerate() {
        if i > 0 {
            out.push_str(names.next().map_or("", String::as_str));
        }
        out.push_str(piece);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_name_for_each_place() {
        for kind in KINDS {
            let (_, arguments) = kind.terraform;
            assert!(
                arguments.last() == Some(&"*") || arguments.len() == kind.names(),
                "{}: {arguments:?}",
                kind.short
            );
            assert_eq!(
                kind.path.matches("{}").count(),
                kind.names(),
                "{}",
                kind.short
            );
            assert_eq!(kind.words().len(), kind.names(), "{}", kind.short);
            let (_, form) = kind.gcloud.unwrap_or(("", "{0}"));
            assert!(!form.contains(&format!("{{{}}}", kind.names())), "{form}");
        }
    }
}
