//! What roles explain, and what methods do: tables that a person can read.

/// What a method does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// It looks.
    Read,
    /// It changes things.
    Write,
    /// It changes who may do what, or makes a credential.
    Admin,
}

impl Class {
    /// `r`, `w` or `a`, as the baseline has it.
    pub fn letter(self) -> char {
        match self {
            Self::Read => 'r',
            Self::Write => 'w',
            Self::Admin => 'a',
        }
    }

    /// From its letter.
    pub fn from_letter(letter: &str) -> Option<Self> {
        [Self::Read, Self::Write, Self::Admin]
            .into_iter()
            .find(|c| c.letter().to_string() == letter)
    }

    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// Parts of a method's name that make it one of [`Class::Admin`], in small letters.
const ADMIN: [&str; 12] = [
    "setiampolicy",
    "setorgpolicy",
    "setiampermissions",
    "createserviceaccountkey",
    "uploadserviceaccountkey",
    "hmackeys.create",
    "actas",
    "generateaccesstoken",
    "generateidtoken",
    "signblob",
    "signjwt",
    "implicitdelegation",
];

/// What the last word of a method begins with, if it is one of [`Class::Write`].
const WRITE: [&str; 34] = [
    "create", "update", "delete", "publish", "write", "insert", "patch", "put", "add", "remove",
    "import", "export", "move", "copy", "undelete", "enable", "disable", "cancel", "commit",
    "mutate", "start", "stop", "restart", "reset", "append", "set", "destroy", "restore",
    "compose", "rewrite", "upload", "modify", "send", "schedule",
];

/// What a method does, by its name.
pub fn class(method: &str) -> Class {
    let method = method.to_ascii_lowercase();
    if ADMIN.iter().any(|part| method.contains(part)) {
        return Class::Admin;
    }
    let last = method.rsplit(['.', '/']).next().unwrap_or(&method);
    match WRITE.iter().any(|start| last.starts_with(start)) {
        true => Class::Write,
        false => Class::Read,
    }
}

/// Services that programs call for themselves, whatever they are for.
const OF_EVERYBODY: [&str; 10] = [
    "serviceusage.googleapis.com",
    "servicecontrol.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "cloudtrace.googleapis.com",
    "clouderrorreporting.googleapis.com",
    "cloudprofiler.googleapis.com",
    "telemetry.googleapis.com",
    "sts.googleapis.com",
    "oauth2.googleapis.com",
];

/// Whether everybody may be seen with this service.
pub fn is_of_everybody(service: &str) -> bool {
    OF_EVERYBODY.contains(&service)
}

/// Services of a role's first word, where they are others than `WORD.googleapis.com`, or more.
const ALIASES: [(&str, &[&str]); 26] = [
    (
        "bigquery",
        &[
            "bigquery",
            "bigquerystorage",
            "bigqueryconnection",
            "bigqueryreservation",
            "bigquerydatatransfer",
            "bigquerydatapolicy",
        ],
    ),
    ("bigtable", &["bigtable", "bigtableadmin"]),
    ("cloudsql", &["sqladmin", "cloudsql"]),
    ("datastore", &["datastore", "firestore"]),
    (
        "firebase",
        &[
            "firebase",
            "firestore",
            "firebasedatabase",
            "fcm",
            "identitytoolkit",
        ],
    ),
    ("firebasedatabase", &["firebasedatabase", "firebase"]),
    ("errorreporting", &["clouderrorreporting"]),
    ("cloudfunctions", &["cloudfunctions", "run"]),
    ("container", &["container", "k8s.io"]),
    ("gkehub", &["gkehub", "connectgateway"]),
    ("discoveryengine", &["discoveryengine"]),
    ("dlp", &["dlp"]),
    ("ml", &["ml", "aiplatform"]),
    ("aiplatform", &["aiplatform", "ml"]),
    ("pubsub", &["pubsub", "pubsublite"]),
    ("pubsublite", &["pubsublite"]),
    ("source", &["sourcerepo"]),
    ("resourcemanager", &["cloudresourcemanager"]),
    ("browser", &["cloudresourcemanager"]),
    ("iam", &["iam", "cloudresourcemanager"]),
    ("run", &["run"]),
    ("storagetransfer", &["storagetransfer", "storage"]),
    (
        "artifactregistry",
        &["artifactregistry", "containerregistry"],
    ),
    (
        "servicemanagement",
        &["servicemanagement", "servicecontrol"],
    ),
    ("memorystore", &["memorystore", "redis"]),
    ("redis", &["redis", "memorystore"]),
];

/// Rights on accounts: who has one of them mints tokens.
const MINTING: [&str; 4] = [
    "roles/iam.workloadIdentityUser",
    "roles/iam.serviceAccountTokenCreator",
    "roles/iam.serviceAccountOpenIdTokenCreator",
    "roles/iam.serviceAccountUser",
];

/// What a role explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Explained {
    /// Calls to these services, up to this class.
    Services(Vec<String>, Class),
    /// Anything: a basic role.
    All,
    /// Nobody knows: a role that somebody made.
    Unknown,
}

/// What a role explains, by its name.
pub fn explained(role: &str) -> Explained {
    let Some(name) = role.strip_prefix("roles/") else {
        return Explained::Unknown;
    };
    let Some((first, rest)) = name.split_once('.') else {
        return match name {
            "browser" => Explained::Services(services("browser"), Class::Read),
            "owner" | "editor" | "viewer" | "admin" | "writer" | "reader" => Explained::All,
            _ => Explained::Unknown,
        };
    };
    if MINTING.contains(&role) {
        let both = ["iamcredentials.googleapis.com", "iam.googleapis.com"];
        return Explained::Services(both.map(str::to_owned).to_vec(), Class::Admin);
    }
    let rest = rest.to_ascii_lowercase();
    let reads = ["viewer", "reader", "accessor", "lookup", "auditor"];
    let class = if rest.contains("admin") || rest.contains("owner") {
        Class::Admin
    } else if reads.iter().any(|word| rest.ends_with(word)) {
        Class::Read
    } else {
        Class::Write
    };
    Explained::Services(services(first), class)
}

/// The hosts of a role's first word.
fn services(word: &str) -> Vec<String> {
    let host = |name: &str| match name.contains('.') {
        true => name.to_owned(),
        false => format!("{name}.googleapis.com"),
    };
    match ALIASES.iter().find(|(w, _)| *w == word) {
        Some((_, names)) => names.iter().map(|n| host(n)).collect(),
        None => vec![host(word)],
    }
}

/// A service by one name: `bigquery.us-east1.rep.googleapis.com` and `us-east1-bigquery.googleapis.com` are
/// `bigquery.googleapis.com`.
pub fn service(host: &str) -> String {
    match regional(host) {
        Some((service, _)) => format!("{service}.googleapis.com"),
        None => host.to_owned(),
    }
}

/// The service and the region that a host names, if it names one.
pub fn regional(host: &str) -> Option<(&str, &str)> {
    let name = host.strip_suffix(".googleapis.com")?;
    if let Some(named) = name.strip_suffix(".rep") {
        return named.split_once('.');
    }
    // REGION-SERVICE: a region ends with a digit (europe-west1).
    let (region, service) = name.rsplit_once('-')?;
    let is_region = region.contains('-') && region.ends_with(|c: char| c.is_ascii_digit());
    is_region.then_some((service, region))
}

/// As people say it: `BigQuery`, or the first word of the host.
pub fn spoken(service: &str) -> &str {
    match service {
        "bigquery.googleapis.com" => "BigQuery",
        "storage.googleapis.com" => "Cloud Storage",
        "secretmanager.googleapis.com" => "Secret Manager",
        "pubsub.googleapis.com" => "Pub/Sub",
        "cloudkms.googleapis.com" => "Cloud KMS",
        "sqladmin.googleapis.com" | "cloudsql.googleapis.com" => "Cloud SQL",
        "iam.googleapis.com" => "IAM",
        "compute.googleapis.com" => "Compute Engine",
        "datastore.googleapis.com" | "firestore.googleapis.com" => "Firestore",
        other => other,
    }
}

/// Methods of iamcredentials that make a credential.
pub fn is_minting(method: &str) -> bool {
    let last = method.rsplit('.').next().unwrap_or(method);
    matches!(
        last,
        "GenerateAccessToken" | "GenerateIdToken" | "SignBlob" | "SignJwt"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_have_the_class_that_their_names_say() {
        for (method, expected) in [
            ("storage.objects.get", Class::Read),
            (
                "google.cloud.bigquery.v2.JobService.InsertJob",
                Class::Write,
            ),
            ("google.pubsub.v1.Publisher.Publish", Class::Write),
            ("google.iam.admin.v1.SetIAMPolicy", Class::Admin),
            ("SetIamPolicy", Class::Admin),
            ("google.iam.admin.v1.CreateServiceAccountKey", Class::Admin),
            ("GenerateAccessToken", Class::Admin),
            (
                "google.cloud.secretmanager.v1.SecretManagerService.AccessSecretVersion",
                Class::Read,
            ),
            ("cloudsql.instances.connect", Class::Read),
        ] {
            assert_eq!(class(method), expected, "{method}");
        }
    }

    #[test]
    fn roles_explain_services_by_all_of_their_hosts() {
        let hosts = |role: &str| match explained(role) {
            Explained::Services(hosts, _) => hosts,
            other => panic!("{role}: {other:?}"),
        };
        assert!(hosts("roles/datastore.user").contains(&"firestore.googleapis.com".to_owned()));
        assert!(hosts("roles/cloudsql.client").contains(&"sqladmin.googleapis.com".to_owned()));
        assert_eq!(
            hosts("roles/secretmanager.secretAccessor"),
            ["secretmanager.googleapis.com"]
        );
        assert_eq!(explained("roles/editor"), Explained::All);
        assert_eq!(explained("projects/p/roles/x"), Explained::Unknown);
        let of = |role: &str| match explained(role) {
            Explained::Services(_, class) => class,
            other => panic!("{role}: {other:?}"),
        };
        assert_eq!(of("roles/storage.objectViewer"), Class::Read);
        assert_eq!(of("roles/pubsub.subscriber"), Class::Write);
        assert_eq!(of("roles/storage.admin"), Class::Admin);
    }

    #[test]
    fn regional_hosts_are_their_service() {
        let east = "bigquery.us-east1.rep.googleapis.com";
        assert_eq!(service(east), "bigquery.googleapis.com");
        assert_eq!(regional(east), Some(("bigquery", "us-east1")));
        let west = "europe-west1-aiplatform.googleapis.com";
        assert_eq!(service(west), "aiplatform.googleapis.com");
        assert_eq!(regional(west), Some(("aiplatform", "europe-west1")));
        assert_eq!(regional("storage.googleapis.com"), None);
        assert_eq!(service("k8s.io"), "k8s.io");
    }
}
