//! The kinds of resources that roles are granted on: one row a kind, with its names and with how
//! its policy is read and written.
//!
//! The rows follow the discovery documents of the APIs; the shapes are those of each API's
//! `getIamPolicy` and `setIamPolicy`.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::api::Api;
use crate::names::{Email, NameError, ProjectId, is_location};

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
}

macro_rules! kind {
    ($short:literal $form:literal $full:literal $api:ident $path:literal $method:ident $version:ident $write:ident $permission:literal $admin:literal) => {
        Kind {
            short: $short,
            form: $form,
            full: $full,
            api: Api::$api,
            path: $path,
            post: kind!(@post $method),
            version: Version::$version,
            write: Write::$write,
            permission: $permission,
            admin: $admin,
        }
    };
    (@post GET) => { false };
    (@post POST) => { true };
}

/// The table. A new kind is a new row (and its twin in the sandbox, which knows nothing of this one).
#[rustfmt::skip]
pub static KINDS: [Kind; 25] = [
    kind!("project" "ID" "cloudresourcemanager.googleapis.com/projects/{}" CloudResourceManager "v3/projects/{}" POST Body Masked "resourcemanager.projects.setIamPolicy" "roles/resourcemanager.projectIamAdmin"),
    kind!("folder" "NUMBER" "cloudresourcemanager.googleapis.com/folders/{}" CloudResourceManager "v3/folders/{}" POST Body Masked "resourcemanager.folders.setIamPolicy" "roles/resourcemanager.folderIamAdmin"),
    kind!("organization" "NUMBER" "cloudresourcemanager.googleapis.com/organizations/{}" CloudResourceManager "v3/organizations/{}" POST Body Masked "resourcemanager.organizations.setIamPolicy" "roles/resourcemanager.organizationAdmin"),
    kind!("serviceaccount" "EMAIL" "iam.googleapis.com/projects/-/serviceAccounts/{}" Iam "v1/projects/-/serviceAccounts/{}" POST Query Masked "iam.serviceAccounts.setIamPolicy" "roles/iam.serviceAccountAdmin"),
    kind!("bucket" "NAME" "storage.googleapis.com/projects/_/buckets/{}" Storage "storage/v1/b/{}" GET CamelQuery Bare "storage.buckets.setIamPolicy" "roles/storage.admin"),
    kind!("managedfolder" "BUCKET/FOLDER" "storage.googleapis.com/projects/_/buckets/{}/managedFolders/{}" Storage "storage/v1/b/{}/managedFolders/{}" GET CamelQuery Bare "storage.managedFolders.setIamPolicy" "roles/storage.folderAdmin"),
    kind!("secret" "[PROJECT/]NAME" "secretmanager.googleapis.com/projects/{}/secrets/{}" SecretManager "v1/projects/{}/secrets/{}" GET Query Masked "secretmanager.secrets.setIamPolicy" "roles/secretmanager.admin"),
    kind!("regional-secret" "[PROJECT/]LOCATION/NAME" "secretmanager.googleapis.com/projects/{}/locations/{}/secrets/{}" SecretManager "v1/projects/{}/locations/{}/secrets/{}" GET Query Masked "secretmanager.secrets.setIamPolicy" "roles/secretmanager.admin"),
    kind!("topic" "[PROJECT/]NAME" "pubsub.googleapis.com/projects/{}/topics/{}" Pubsub "v1/projects/{}/topics/{}" GET Query Wrapped "pubsub.topics.setIamPolicy" "roles/pubsub.admin"),
    kind!("subscription" "[PROJECT/]NAME" "pubsub.googleapis.com/projects/{}/subscriptions/{}" Pubsub "v1/projects/{}/subscriptions/{}" GET Query Wrapped "pubsub.subscriptions.setIamPolicy" "roles/pubsub.admin"),
    kind!("dataset" "[PROJECT/]NAME" "bigquery.googleapis.com/projects/{}/datasets/{}" Bigquery "bigquery/v2/projects/{}/datasets/{}" GET Query AccessList "bigquery.datasets.update" "roles/bigquery.dataOwner"),
    kind!("table" "[PROJECT/]DATASET/NAME" "bigquery.googleapis.com/projects/{}/datasets/{}/tables/{}" Bigquery "bigquery/v2/projects/{}/datasets/{}/tables/{}" POST Body Masked "bigquery.tables.setIamPolicy" "roles/bigquery.dataOwner"),
    kind!("keyring" "[PROJECT/]LOCATION/NAME" "cloudkms.googleapis.com/projects/{}/locations/{}/keyRings/{}" Cloudkms "v1/projects/{}/locations/{}/keyRings/{}" GET Query Masked "cloudkms.keyRings.setIamPolicy" "roles/cloudkms.admin"),
    kind!("key" "[PROJECT/]LOCATION/KEYRING/NAME" "cloudkms.googleapis.com/projects/{}/locations/{}/keyRings/{}/cryptoKeys/{}" Cloudkms "v1/projects/{}/locations/{}/keyRings/{}/cryptoKeys/{}" GET Query Masked "cloudkms.cryptoKeys.setIamPolicy" "roles/cloudkms.admin"),
    kind!("spanner-instance" "[PROJECT/]NAME" "spanner.googleapis.com/projects/{}/instances/{}" Spanner "v1/projects/{}/instances/{}" POST Body Wrapped "spanner.instances.setIamPolicy" "roles/spanner.admin"),
    kind!("spanner" "[PROJECT/]INSTANCE/DATABASE" "spanner.googleapis.com/projects/{}/instances/{}/databases/{}" Spanner "v1/projects/{}/instances/{}/databases/{}" POST Body Wrapped "spanner.databases.setIamPolicy" "roles/spanner.databaseAdmin"),
    kind!("repository" "[PROJECT/]LOCATION/NAME" "artifactregistry.googleapis.com/projects/{}/locations/{}/repositories/{}" ArtifactRegistry "v1/projects/{}/locations/{}/repositories/{}" GET Query Wrapped "artifactregistry.repositories.setIamPolicy" "roles/artifactregistry.admin"),
    kind!("run" "[PROJECT/]LOCATION/SERVICE" "run.googleapis.com/projects/{}/locations/{}/services/{}" Run "v2/projects/{}/locations/{}/services/{}" GET Query Masked "run.services.setIamPolicy" "roles/run.admin"),
    kind!("run-job" "[PROJECT/]LOCATION/JOB" "run.googleapis.com/projects/{}/locations/{}/jobs/{}" Run "v2/projects/{}/locations/{}/jobs/{}" GET Query Masked "run.jobs.setIamPolicy" "roles/run.admin"),
    kind!("queue" "[PROJECT/]LOCATION/NAME" "cloudtasks.googleapis.com/projects/{}/locations/{}/queues/{}" CloudTasks "v2/projects/{}/locations/{}/queues/{}" POST Body Wrapped "cloudtasks.queues.setIamPolicy" "roles/cloudtasks.queueAdmin"),
    kind!("function" "[PROJECT/]LOCATION/NAME" "cloudfunctions.googleapis.com/projects/{}/locations/{}/functions/{}" CloudFunctions "v2/projects/{}/locations/{}/functions/{}" GET Query Masked "cloudfunctions.functions.setIamPolicy" "roles/cloudfunctions.admin"),
    kind!("bigtable-instance" "[PROJECT/]NAME" "bigtable.googleapis.com/projects/{}/instances/{}" BigtableAdmin "v2/projects/{}/instances/{}" POST Body Masked "bigtable.instances.setIamPolicy" "roles/bigtable.admin"),
    kind!("bigtable" "[PROJECT/]INSTANCE/TABLE" "bigtable.googleapis.com/projects/{}/instances/{}/tables/{}" BigtableAdmin "v2/projects/{}/instances/{}/tables/{}" POST Body Masked "bigtable.tables.setIamPolicy" "roles/bigtable.admin"),
    kind!("snapshot" "[PROJECT/]NAME" "pubsub.googleapis.com/projects/{}/snapshots/{}" Pubsub "v1/projects/{}/snapshots/{}" GET Query Wrapped "pubsub.snapshots.setIamPolicy" "roles/pubsub.admin"),
    kind!("schema" "[PROJECT/]NAME" "pubsub.googleapis.com/projects/{}/schemas/{}" Pubsub "v1/projects/{}/schemas/{}" GET Query Wrapped "pubsub.schemas.setIamPolicy" "roles/pubsub.admin"),
];

impl Kind {
    fn of(short: &str) -> Option<&'static Self> {
        KINDS.iter().find(|k| k.short == short)
    }

    /// How many names it has, the project included.
    fn names(&self) -> usize {
        self.full.matches("{}").count()
    }

    /// The host of its API, as its full name has it.
    fn service(&self) -> &'static str {
        self.full.split('/').next().unwrap_or_default()
    }

    /// What to write for one.
    fn written_form(&self) -> String {
        format!("Write {}/{}.", self.short, self.form)
    }

    /// Its full name with a word for each name.
    fn full_form(&self) -> String {
        let words = self.form.replace(['[', ']'], "");
        let words: Vec<String> = words.split('/').map(str::to_owned).collect();
        filled(self.full, &words)
    }

    /// Whether the first of its names is its project.
    pub fn in_project(&self) -> bool {
        self.form.starts_with("[PROJECT/]")
    }
}

/// A resource by kind and names.
#[derive(Debug, Clone)]
pub struct Named {
    /// Its kind.
    pub kind: &'static Kind,
    /// In the order of [`Kind::full`]; the project first, for those that are in one.
    pub names: Vec<String>,
}

/// A resource that has an allow policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// `project/ID`.
    Project(ProjectId),
    /// A Google service account's own policy: who may act as it.
    ServiceAccount(Email),
    /// Any other.
    Named(Named),
}

impl Named {
    fn key(&self) -> (&'static str, &[String]) {
        (self.kind.short, &self.names)
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Named {}

impl PartialOrd for Named {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Named {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl std::hash::Hash for Named {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl Resource {
    /// Reads `KIND/NAME…` or a full resource name (`//SERVICE/…`). `default` is the project of a
    /// short name that has none.
    pub fn parse(s: &str, default: Option<&ProjectId>) -> Result<Self, NameError> {
        let (kind, names) = match s.strip_prefix("//") {
            Some(full) => Self::from_full(full).ok_or_else(|| no_full_name(s, full))?,
            None => Self::from_short(s, default)?,
        };
        check(s, kind, &names)?;
        match kind.short {
            "project" => ProjectId::parse(&names[0]).map(Self::Project),
            "serviceaccount" => Email::parse(&names[0]).map(Self::ServiceAccount),
            _ => Ok(Self::Named(Named { kind, names })),
        }
    }

    fn from_full(full: &str) -> Option<(&'static Kind, Vec<String>)> {
        KINDS.iter().find_map(|kind| {
            let (pattern, given): (Vec<&str>, Vec<&str>) =
                (kind.full.split('/').collect(), full.split('/').collect());
            // A service account has a project in its name, which its email says too.
            let fits =
                |(p, g): (&&str, &&str)| *p == "{}" || p == g || (*p == "-" && !g.is_empty());
            if pattern.len() != given.len() || !pattern.iter().zip(&given).all(fits) {
                return None;
            }
            let names = pattern
                .iter()
                .zip(&given)
                .filter(|(p, _)| **p == "{}")
                .map(|(_, g)| (*g).to_owned())
                .collect();
            Some((kind, names))
        })
    }

    fn from_short(
        s: &str,
        default: Option<&ProjectId>,
    ) -> Result<(&'static Kind, Vec<String>), NameError> {
        let (short, rest) = s.split_once('/').unwrap_or((s, ""));
        let kind = Kind::of(short).ok_or_else(|| no_short_name(s))?;
        let mut names: Vec<String> = rest.split('/').map(str::to_owned).collect();
        if kind.in_project() && names.len() + 1 == kind.names() {
            let project = default.ok_or_else(|| {
                let form = kind.form.replace(['[', ']'], "");
                NameError(
                    format!("`{s}` has no project"),
                    Some(format!("Write {short}/{form}.")),
                )
            })?;
            names.insert(0, project.to_string());
        }
        if names.len() != kind.names() {
            let error = NameError::not(s, &format!("the name of a {short}"));
            let trimmed = s.strip_suffix('/');
            let meant = trimmed.filter(|t| Self::parse(t, default).is_ok());
            return Err(match meant {
                Some(meant) => error.help(format!("Write {meant}.")),
                None => error.help(kind.written_form()),
            });
        }
        Ok((kind, names))
    }

    /// The row of its kind.
    pub fn kind(&self) -> &'static Kind {
        match self {
            Self::Project(_) => &KINDS[0],
            Self::ServiceAccount(_) => &KINDS[3],
            Self::Named(named) => named.kind,
        }
    }

    /// The names that fill the places of its kind's paths.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Project(id) => vec![id.to_string()],
            Self::ServiceAccount(email) => vec![email.to_string()],
            Self::Named(named) => named.names.clone(),
        }
    }

    /// Whether it is a bucket, or a folder in one.
    pub fn bucket(&self) -> Option<&str> {
        match self {
            Self::Named(named) if matches!(named.kind.short, "bucket" | "managedfolder") => {
                named.names.first().map(String::as_str)
            }
            _ => None,
        }
    }

    /// `//SERVICE/…`.
    pub fn full_name(&self) -> String {
        format!("//{}", filled(self.kind().full, &self.names()))
    }

    /// The path of its policy in its API, the names escaped.
    pub fn path(&self) -> String {
        let names: Vec<String> = self.names().iter().map(|n| escaped(n)).collect();
        match self {
            // Through the wildcard IAM hides what is missing behind what is forbidden.
            Self::ServiceAccount(email) => match email.project() {
                Some(project) => format!("v1/projects/{project}/serviceAccounts/{email}"),
                None => filled(self.kind().path, &names),
            },
            _ => filled(self.kind().path, &names),
        }
    }
}

fn filled(pattern: &str, names: &[String]) -> String {
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

/// A name as a segment of a path. Google leaves the colon of domain-scoped projects as it is.
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Checks the names of what is written as `s`.
fn check(s: &str, kind: &Kind, names: &[String]) -> Result<(), NameError> {
    if names.iter().any(String::is_empty) {
        let error = NameError(format!("`{s}` lacks a name"), None);
        return Err(error.help(kind.written_form()));
    }
    if kind.in_project() {
        ProjectId::parse(&names[0])?;
    }
    if matches!(kind.short, "folder" | "organization")
        && !names[0].bytes().all(|b| b.is_ascii_digit())
    {
        let (what, list) = match kind.short {
            "folder" => ("a folder", "gcloud resource-manager folders list"),
            _ => ("an organization", "gcloud organizations list"),
        };
        let error = NameError::not(&names[0], &format!("the number of {what}"));
        return Err(error.help(format!("`{list}` shows it.")));
    }
    if matches!(kind.short, "bucket" | "managedfolder") {
        let name = &names[0];
        let ok = (3..=222).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b))
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.ends_with(|c: char| c.is_ascii_alphanumeric());
        if !ok {
            return Err(NameError::not(
                name,
                "a bucket name: 3 to 222 lower-case letters, digits, `-`, `_` and `.`, with a letter or digit at both ends",
            ));
        }
    }
    // It may become part of a host's name.
    if let Some(location) = location_of(kind, names)
        && !is_location(location)
    {
        let error = NameError::not(location, "a location, such as europe-west1");
        return Err(error.help(kind.written_form()));
    }
    // https://cloud.google.com/bigquery/docs/datasets#dataset-naming
    if matches!(kind.short, "dataset" | "table")
        && !names[1]
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_')
    {
        let error = NameError::not(
            &names[1],
            "the name of a dataset: letters, digits and underscores",
        );
        // As bq writes it: PROJECT.DATASET and PROJECT:DATASET.
        let apart = names[1].split_once(['.', ':']);
        return Err(match apart.filter(|(p, _)| ProjectId::parse(p).is_ok()) {
            Some((project, rest)) => {
                let rest: Vec<&str> = rest
                    .split('.')
                    .chain(names[2..].iter().map(String::as_str))
                    .collect();
                error.help(format!(
                    "Write {}/{project}/{}.",
                    kind.short,
                    rest.join("/")
                ))
            }
            None => error,
        });
    }
    let bad = names.iter().find(|n| {
        n.len() > 1024
            || matches!(n.as_str(), "." | "..")
            || n.chars().any(|c| c.is_control() || c.is_whitespace())
    });
    match bad {
        Some(name) => Err(NameError::not(
            name,
            &format!("the name of a {}", kind.short),
        )),
        None => Ok(()),
    }
}

/// The name that is the resource's location, for kinds that are in one.
fn location_of<'a>(kind: &Kind, names: &'a [String]) -> Option<&'a str> {
    let mut places = kind.form.split('/');
    let at = places.position(|p| p.trim_start_matches(']') == "LOCATION")?;
    names.get(at).map(String::as_str)
}

/// What is said about a full name that no kind has: the names that its service has.
fn no_full_name(s: &str, full: &str) -> NameError {
    let error = NameError::not(s, "the name of a resource that wi can grant on");
    let service = full.split('/').next().unwrap_or_default();
    let forms: Vec<String> = KINDS
        .iter()
        .filter(|k| k.service() == service)
        .map(|k| format!("//{}", k.full_form()))
        .collect();
    if !forms.is_empty() {
        return error.help(format!("Write {}", forms.join("\nor    ")));
    }
    let services: BTreeSet<&str> = KINDS
        .iter()
        .filter_map(|k| k.service().strip_suffix(".googleapis.com"))
        .collect();
    let services = Vec::from_iter(services).join(", ");
    error.help(format!(
        "Services that wi knows, each with .googleapis.com: {services}."
    ))
}

/// What is said about a short name of no kind.
fn no_short_name(s: &str) -> NameError {
    let error = NameError::not(s, "a resource that wi can grant on");
    let (short, rest) = s.split_once('/').unwrap_or((s, ""));
    let mut meant: Vec<String> = s
        .strip_prefix("gs://")
        .map(|bucket| format!("bucket/{}", bucket.trim_end_matches('/')))
        .into_iter()
        .collect();
    // The APIs' own relative names, `projects/P/secrets/NAME`; some are the same in two services.
    meant.extend(KINDS.iter().filter_map(|kind| {
        let full = format!("{}/{s}", kind.service());
        let (found, names) = Resource::from_full(&full)?;
        (found.service() == kind.service()).then(|| format!("{}/{}", found.short, names.join("/")))
    }));
    meant.dedup();
    if meant.is_empty() {
        // `Bucket/x` and `buckets/x`.
        let lower = short.to_lowercase();
        let kind = Kind::of(&lower).or_else(|| Kind::of(lower.strip_suffix('s')?));
        meant.extend(kind.map(|k| format!("{}/{rest}", k.short)));
    }
    if !meant.is_empty() {
        return error.help(format!("Write {}.", meant.join(" or ")));
    }
    let kinds: Vec<&str> = KINDS.iter().map(|k| k.short).collect();
    error.help(format!(
        "Write KIND/NAME, such as bucket/acme-receipts, or a full resource name (//SERVICE/…). Kinds: {}.",
        kinds.join(", ")
    ))
}

impl fmt::Display for Resource {
    /// The short name, the project always in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind().short, self.names().join("/"))
    }
}

impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name, None).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(s: &str) -> Result<String, String> {
        let default = ProjectId::parse("acme-prod").expect("valid");
        Resource::parse(s, Some(&default))
            .map(|r| r.to_string())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn short_and_full_names_mean_the_same() {
        for (short, full) in [
            (
                "project/acme-prod",
                "//cloudresourcemanager.googleapis.com/projects/acme-prod",
            ),
            (
                "secret/stripe",
                "//secretmanager.googleapis.com/projects/acme-prod/secrets/stripe",
            ),
            (
                "key/acme-kms/eu/ring/k",
                "//cloudkms.googleapis.com/projects/acme-kms/locations/eu/keyRings/ring/cryptoKeys/k",
            ),
            (
                "table/sales/orders",
                "//bigquery.googleapis.com/projects/acme-prod/datasets/sales/tables/orders",
            ),
            (
                "bucket/acme-receipts",
                "//storage.googleapis.com/projects/_/buckets/acme-receipts",
            ),
            (
                "folder/123",
                "//cloudresourcemanager.googleapis.com/folders/123",
            ),
        ] {
            let one =
                Resource::parse(short, ProjectId::parse("acme-prod").ok().as_ref()).expect(short);
            assert_eq!(Resource::parse(full, None).expect(full), one);
            assert_eq!(one.full_name(), full);
        }
        let account = "serviceaccount/a@p-12345.iam.gserviceaccount.com";
        let full = "//iam.googleapis.com/projects/p-12345/serviceAccounts/a@p-12345.iam.gserviceaccount.com";
        assert_eq!(parse(account), parse(full));
    }

    #[test]
    fn names_that_cannot_be_are_refused_with_the_form() {
        assert!(parse("secret/").is_err());
        assert!(
            parse("key/ring/k")
                .expect_err("too few")
                .contains("key/[PROJECT/]LOCATION/KEYRING/NAME")
        );
        assert!(parse("vault/x").expect_err("no kind").contains("secret, "));
        assert!(parse("secret/../x").is_err());
        assert!(parse("folder/shop").is_err());
        // Nobody chooses the host that the token goes to.
        for location in [
            "evil.example?",
            "evil.example#",
            "a@evil.example:",
            "a\\b",
            "%2f",
        ] {
            for kind in ["regional-secret", "queue", "run", "repository", "keyring"] {
                let error = parse(&format!("{kind}/{location}/x")).expect_err(location);
                assert!(error.contains("is not a location"), "{error}");
            }
        }
        assert!(
            Resource::parse("topic/t", None)
                .expect_err("no project")
                .to_string()
                .contains("topic/PROJECT/NAME")
        );
    }

    #[test]
    fn what_was_meant_is_said_where_it_is_clear() {
        for (written, meant) in [
            ("gs://acme-receipts/", "Write bucket/acme-receipts."),
            ("Buckets/acme-receipts", "Write bucket/acme-receipts."),
            ("projects/acme-prod", "Write project/acme-prod."),
            (
                "projects/acme-prod/secrets/stripe",
                "Write secret/acme-prod/stripe.",
            ),
            (
                "projects/acme-prod/instances/main",
                "Write spanner-instance/acme-prod/main or bigtable-instance/acme-prod/main.",
            ),
            ("bucket/", "Write bucket/NAME."),
            ("dataset/acme-bi.sales", "Write dataset/acme-bi/sales."),
            (
                "table/acme-bi:sales/orders",
                "Write table/acme-bi/sales/orders.",
            ),
            (
                "//storage.googleapis.com/acme-receipts",
                "Write //storage.googleapis.com/projects/_/buckets/NAME\nor    //storage",
            ),
            ("//vault.example.com/x", "run, secretmanager, spanner"),
        ] {
            let said = parse(written).expect_err(written);
            assert!(said.contains(meant), "{written}: {said}");
            assert!(!said.contains("``"), "{said}");
        }
    }

    #[test]
    fn paths_hold_escaped_names() {
        let folder = Resource::parse(
            "//storage.googleapis.com/projects/_/buckets/b-1/managedFolders/a%b",
            None,
        )
        .expect("a folder");
        assert_eq!(folder.path(), "storage/v1/b/b-1/managedFolders/a%25b");
    }
}
