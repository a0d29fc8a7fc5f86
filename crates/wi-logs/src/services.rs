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
    /// Calls to these services, each up to a class.
    Services(Vec<(String, Class)>),
    /// Anything: a basic role.
    All,
    /// Nobody knows: a role that somebody made.
    Unknown,
}

/// What a role explains: one that somebody made by what it permits, a predefined one by its name and by what else it
/// permits. `permissions` are those of the role, where they were read.
pub fn explained(role: &str, permissions: Option<&[String]>) -> Explained {
    let by_name = by_name(role);
    let Some(permissions) = permissions.filter(|_| by_name != Explained::All) else {
        return by_name;
    };
    let mut all: std::collections::BTreeMap<String, Class> = match by_name {
        Explained::Services(hosts) => hosts.into_iter().collect(),
        Explained::All | Explained::Unknown => Default::default(),
    };
    for permission in permissions {
        let Some((word, rest)) = permission.split_once('.') else {
            continue;
        };
        if INCIDENTAL.iter().any(|of| rest.starts_with(of)) {
            continue;
        }
        let hosts = match rest {
            "serviceAccounts.getAccessToken"
            | "serviceAccounts.getOpenIdToken"
            | "serviceAccounts.signBlob"
            | "serviceAccounts.signJwt"
            | "serviceAccounts.implicitDelegation" => {
                vec!["iamcredentials.googleapis.com".to_owned()]
            }
            _ => services(word),
        };
        let class = needed(rest);
        for host in hosts {
            let most = all.entry(host).or_insert(class);
            *most = class.max(*most);
        }
    }
    Explained::Services(all.into_iter().collect())
}

/// What permissions of many roles are about, whatever the role is for: that says nothing of it.
const INCIDENTAL: [&str; 5] = [
    "projects.",
    "locations.",
    "operations.",
    "keyHandles.",
    "policy.get",
];

/// The class of calls that a permission is for, by its last word: whoever may do more than look may write.
fn needed(permission: &str) -> Class {
    let last = permission.rsplit('.').next().unwrap_or(permission);
    let reads = ["get", "list", "search", "query", "read", "view", "access"];
    let makes = [
        "setIamPolicy",
        "actAs",
        "getAccessToken",
        "getOpenIdToken",
        "signBlob",
        "signJwt",
    ];
    let is_key = permission.starts_with("serviceAccountKeys.create")
        || permission.starts_with("hmacKeys.create");
    if is_key || makes.contains(&last) {
        Class::Admin
    } else if reads.iter().any(|verb| last.starts_with(verb)) {
        Class::Read
    } else {
        Class::Write
    }
}

fn by_name(role: &str) -> Explained {
    let up_to = |hosts: Vec<String>, class| {
        Explained::Services(hosts.into_iter().map(|host| (host, class)).collect())
    };
    let Some(name) = role.strip_prefix("roles/") else {
        return Explained::Unknown;
    };
    let Some((first, rest)) = name.split_once('.') else {
        return match name {
            "browser" => up_to(services("browser"), Class::Read),
            "owner" | "editor" | "viewer" | "admin" | "writer" | "reader" => Explained::All,
            _ => Explained::Unknown,
        };
    };
    if MINTING.contains(&role) {
        let both = ["iamcredentials.googleapis.com", "iam.googleapis.com"];
        return up_to(both.map(str::to_owned).to_vec(), Class::Admin);
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
    up_to(services(first), class)
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
        let hosts = |role: &str| match explained(role, None) {
            Explained::Services(hosts) => hosts.into_iter().map(|(h, _)| h).collect::<Vec<_>>(),
            other => panic!("{role}: {other:?}"),
        };
        assert!(hosts("roles/datastore.user").contains(&"firestore.googleapis.com".to_owned()));
        assert!(hosts("roles/cloudsql.client").contains(&"sqladmin.googleapis.com".to_owned()));
        assert_eq!(
            hosts("roles/secretmanager.secretAccessor"),
            ["secretmanager.googleapis.com"]
        );
        assert_eq!(explained("roles/editor", None), Explained::All);
        assert_eq!(explained("roles/editor", Some(&[])), Explained::All);
        assert_eq!(explained("projects/p/roles/x", None), Explained::Unknown);
        let of = |role: &str| match explained(role, None) {
            Explained::Services(hosts) => hosts[0].1,
            other => panic!("{role}: {other:?}"),
        };
        assert_eq!(of("roles/storage.objectViewer"), Class::Read);
        assert_eq!(of("roles/pubsub.subscriber"), Class::Write);
        assert_eq!(of("roles/storage.admin"), Class::Admin);
    }

    #[test]
    fn roles_explain_what_they_permit_and_not_what_all_of_them_do() {
        let of = |role: &str, permissions: &[&str]| {
            let permissions: Vec<String> = permissions.iter().map(|p| (*p).to_owned()).collect();
            match explained(role, Some(&permissions)) {
                Explained::Services(hosts) => hosts,
                other => panic!("{role}: {other:?}"),
            }
        };
        let host = |name: &str, class| (format!("{name}.googleapis.com"), class);
        assert_eq!(
            of(
                "projects/p/roles/loader",
                &[
                    "storage.objects.get",
                    "pubsub.topics.publish",
                    "pubsub.topics.get",
                    "resourcemanager.projects.get",
                    "cloudkms.keyHandles.create",
                    "iam.serviceAccounts.getAccessToken",
                ],
            ),
            [
                host("iamcredentials", Class::Admin),
                host("pubsub", Class::Write),
                host("pubsublite", Class::Write),
                host("storage", Class::Read),
            ]
        );
        // A predefined role by its name, and by what else it permits.
        let worker = of("roles/dataflow.worker", &["storage.objects.create"]);
        assert_eq!(
            worker,
            [
                host("dataflow", Class::Write),
                host("storage", Class::Write)
            ]
        );
        assert_eq!(of("projects/p/roles/none", &[]), []);
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
