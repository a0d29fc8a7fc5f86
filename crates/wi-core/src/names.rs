//! The names of Google Cloud and Kubernetes that `wi` handles: parsed once, trusted afterwards.
//!
//! The forms of members come from
//! <https://cloud.google.com/iam/docs/principal-identifiers>; the two spellings of a Kubernetes
//! service account are one [`Member::Ksa`], so that comparing two members compares identities.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Why a name was refused: the rule that it breaks, in words for the user; and the way out, if one is
/// clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameError(pub String, pub Option<String>);

impl NameError {
    /// A name that is not what it should be, by this rule.
    pub fn not(name: &str, what: &str) -> Self {
        let name = if name.is_empty() {
            "an empty text".to_owned()
        } else {
            format!("`{name}`")
        };
        Self(format!("{name} is not {what}"), None)
    }

    /// What to do about it.
    pub fn help(self, help: String) -> Self {
        Self(self.0, Some(help))
    }

    /// The name that was meant, if it is another one and a good one.
    fn meant(self, name: &str, meant: &str, good: impl Fn(&str) -> bool) -> Self {
        if meant != name && good(meant) {
            self.help(format!("Write {meant}."))
        } else {
            self
        }
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.1 {
            Some(help) => write!(f, "{}. {help}", self.0),
            None => f.write_str(&self.0),
        }
    }
}

impl std::error::Error for NameError {}

/// A name as Google and Kubernetes would have it: lower-case, with hyphens.
fn tidy(s: &str) -> String {
    s.trim().to_lowercase().replace(['_', '.', ' '], "-")
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = String::deserialize(deserializer)?;
                Self::parse(&name).map_err(D::Error::custom)
            }
        }

        impl $name {
            /// The name as Google writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(s: &str) -> Result<Self, NameError> {
                Self::parse(s)
            }
        }
    };
}

name_type!(
    /// A project id, such as `acme-prod`, the domain-scoped `example.com:acme-prod`, or `eu0:acme-prod` of
    /// another universe.
    ProjectId
);
name_type!(
    /// The email of a Google service account.
    Email
);
name_type!(
    /// A role: `roles/NAME`, `projects/P/roles/NAME` or `organizations/N/roles/NAME`.
    Role
);
name_type!(
    /// A Kubernetes namespace or service account name (RFC 1123).
    KubeName
);

fn lower_digits_hyphens(s: &str) -> bool {
    s.bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// What comes before the colon of a project id: a domain (`example.com`), or the prefix of a universe
/// (`eu0`).
fn is_domain(s: &str) -> bool {
    !s.is_empty()
        && s.bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b))
}

impl ProjectId {
    /// 6 to 30 lower-case letters, digits and hyphens, a letter first, no hyphen last.
    pub fn parse(s: &str) -> Result<Self, NameError> {
        if Self::is_valid(s) {
            return Ok(Self(s.to_owned()));
        }
        if s.bytes().all(|b| b.is_ascii_digit()) && !s.is_empty() {
            return Err(NameError(
                format!(
                    "`{s}` is a project number; the project id is needed, since the workload pool is named after it"
                ),
                Some(format!(
                    "gcloud projects describe {s} --format='value(projectId)'"
                )),
            ));
        }
        // As a resource name has it, or as the pool is called.
        let bare = s.trim().rsplit('/').next().unwrap_or_default();
        let bare = bare.strip_suffix(".svc.id.goog").unwrap_or(bare);
        let error = NameError::not(
            s,
            "a project id: 6 to 30 lower-case letters, digits and hyphens, starting with a letter and not ending in a hyphen",
        );
        Err(error.meant(s, &tidy(bare), Self::is_valid))
    }

    fn is_valid(s: &str) -> bool {
        let id = match s.split_once(':') {
            Some((domain, id)) if is_domain(domain) => id,
            _ => s,
        };
        (6..=30).contains(&id.len())
            && lower_digits_hyphens(id)
            && id.starts_with(|c: char| c.is_ascii_lowercase())
            && !id.ends_with('-')
    }

    /// The project's workload pool, `PROJECT.svc.id.goog`.
    ///
    /// A domain-scoped project `example.com:acme` has `acme.example.com.svc.id.goog`, and one of another
    /// universe, `eu0:acme-prod`, has `acme-prod.eu0.svc.id.goog`.
    pub fn workload_pool(&self) -> String {
        match self.0.split_once(':') {
            Some((domain, id)) => format!("{id}.{domain}.svc.id.goog"),
            None => format!("{}.svc.id.goog", self.0),
        }
    }

    /// The email of the account `id` of this project.
    pub fn service_account(&self, id: &str) -> Email {
        match self.0.split_once(':') {
            Some((domain, p)) => Email(format!("{id}@{p}.{domain}.iam.gserviceaccount.com")),
            None => Email(format!("{id}@{}.iam.gserviceaccount.com", self.0)),
        }
    }
}

impl Email {
    /// An address `NAME@DOMAIN`; kept in lower case, as IAM does.
    pub fn parse(s: &str) -> Result<Self, NameError> {
        if Self::is_valid(s) {
            return Ok(Self(s.to_ascii_lowercase()));
        }
        let error = NameError::not(
            s,
            "an email address, such as checkout@acme-prod.iam.gserviceaccount.com",
        );
        // As a member of a policy, or the end of a resource name.
        let bare = s.trim().rsplit([':', '/']).next().unwrap_or_default();
        Err(match s.split_once(':') {
            Some((kind, _)) if Self::is_valid(bare) => {
                error.help(format!("Without `{kind}:`, write {bare}."))
            }
            _ => error.meant(s, bare, Self::is_valid),
        })
    }

    fn is_valid(s: &str) -> bool {
        let part = |p: &str| {
            !p.is_empty()
                && p.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._+".contains(&b))
        };
        s.split_once('@')
            .is_some_and(|(name, domain)| part(name) && part(domain) && domain.contains('.'))
    }

    /// The part before the `@`.
    pub fn account_id(&self) -> &str {
        self.0.split('@').next().unwrap_or_default()
    }

    /// The project that a user-managed account (`ID@PROJECT.iam.gserviceaccount.com`) is in.
    pub fn project(&self) -> Option<ProjectId> {
        let domain = self.0.split_once('@')?.1;
        let project = domain.strip_suffix(".iam.gserviceaccount.com")?;
        match project.split_once('.') {
            Some((id, domain)) => ProjectId::parse(&format!("{domain}:{id}")).ok(),
            None => ProjectId::parse(project).ok(),
        }
    }
}

/// Checks the id of a Google service account: 6 to 30 characters `[a-z]([-a-z0-9]*[a-z0-9])`.
pub fn check_service_account_id(s: &str) -> Result<(), NameError> {
    let is_valid = |s: &str| {
        (6..=30).contains(&s.len())
            && lower_digits_hyphens(s)
            && s.starts_with(|c: char| c.is_ascii_lowercase())
            && !s.ends_with('-')
    };
    if is_valid(s) {
        return Ok(());
    }
    let error = NameError::not(
        s,
        "a service account id: 6 to 30 lower-case letters, digits and hyphens, starting with a letter and not ending in a hyphen",
    );
    // Of an address, the part before the @.
    let id = s.split('@').next().unwrap_or_default();
    Err(error.meant(s, &tidy(id), is_valid))
}

impl Role {
    /// What follows the last slash.
    pub fn id(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Checks the form only; whether the role exists is for IAM to say.
    pub fn parse(s: &str) -> Result<Self, NameError> {
        if Self::is_valid(s) {
            return Ok(Self(s.to_owned()));
        }
        let error = NameError::not(
            s,
            "a role: roles/NAME, projects/PROJECT/roles/NAME or organizations/NUMBER/roles/NAME",
        );
        let trimmed = s.trim().trim_matches('/');
        if trimmed.contains(' ') {
            return Err(error.help(
                "Write the role's name, not its title: `gcloud iam roles list` shows both."
                    .to_owned(),
            ));
        }
        // `viewer`, `role/viewer` and `Roles/viewer` alike.
        let bare = match trimmed.split_once('/') {
            Some((head, name)) if head.to_lowercase().starts_with("role") => name,
            Some(_) => return Err(error.meant(s, trimmed, Self::is_valid)),
            None => trimmed,
        };
        Err(error.meant(s, &format!("roles/{bare}"), Self::is_valid))
    }

    fn is_valid(s: &str) -> bool {
        let id = |s: &str| {
            !s.is_empty()
                && s.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'_')
        };
        let parts: Vec<&str> = s.split('/').collect();
        match parts.as_slice() {
            ["roles", name] => id(name),
            ["projects", p, "roles", name] => ProjectId::is_valid(p) && id(name),
            ["organizations", n, "roles", name] => {
                !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) && id(name)
            }
            _ => false,
        }
    }

    /// `roles/iam.workloadIdentityUser`: lets a Kubernetes service account act as a Google one.
    pub fn workload_identity_user() -> Self {
        Self("roles/iam.workloadIdentityUser".to_owned())
    }

    /// Whether this is one of owner, editor and viewer.
    pub fn is_basic(&self) -> bool {
        matches!(
            self.as_str(),
            "roles/owner" | "roles/editor" | "roles/viewer"
        )
    }
}

impl KubeName {
    /// What comes before every name: a bound for ranges, no name.
    pub fn least() -> Self {
        Self(String::new())
    }

    /// A DNS label: up to 63 lower-case letters, digits and hyphens, alphanumeric at both ends.
    pub fn label(s: &str) -> Result<Self, NameError> {
        let is_valid = |s: &str| s.len() <= 63 && is_dns_label(s);
        if is_valid(s) {
            return Ok(Self(s.to_owned()));
        }
        let rule = if Self::parse(s).is_ok() && s.contains('.') {
            "a DNS label: dots are not allowed here"
        } else {
            "a DNS label: at most 63 lower-case letters, digits and hyphens, starting and ending with a letter or digit"
        };
        Err(NameError::not(s, rule).meant(s, &tidy(s), is_valid))
    }

    /// A DNS subdomain (labels joined by dots, up to 253): what Kubernetes allows for accounts.
    pub fn parse(s: &str) -> Result<Self, NameError> {
        let is_valid = |s: &str| s.len() <= 253 && s.split('.').all(is_dns_label);
        if is_valid(s) {
            return Ok(Self(s.to_owned()));
        }
        let rule = "a DNS subdomain: at most 253 lower-case letters, digits and hyphens, starting and ending with a letter or digit";
        Err(NameError::not(s, rule).meant(s, &tidy(s), is_valid))
    }
}

fn is_dns_label(s: &str) -> bool {
    !s.is_empty() && lower_digits_hyphens(s) && !s.starts_with('-') && !s.ends_with('-')
}

/// A Kubernetes service account as IAM knows it: the same in every cluster of the pool's project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KsaIdentity {
    /// The workload pool, `PROJECT.svc.id.goog`.
    pub pool: String,
    /// The namespace.
    pub namespace: String,
    /// The service account's name.
    pub name: String,
}

impl KsaIdentity {
    /// `serviceAccount:POOL[NS/KSA]`, the spelling used on a Google service account's own policy.
    pub fn legacy_member(&self) -> String {
        format!(
            "serviceAccount:{}[{}/{}]",
            self.pool, self.namespace, self.name
        )
    }

    /// `principal://…/subject/ns/NS/sa/KSA`, the spelling used for direct grants.
    ///
    /// `number` is the project number of the pool's project.
    pub fn principal(&self, number: u64) -> String {
        format!(
            "principal://iam.googleapis.com/projects/{number}/locations/global/workloadIdentityPools/{}/subject/ns/{}/sa/{}",
            self.pool, self.namespace, self.name
        )
    }
}

impl fmt::Display for KsaIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pool = self.pool.strip_suffix(".svc.id.goog").unwrap_or(&self.pool);
        write!(f, "{pool}/{}/{}", self.namespace, self.name)
    }
}

/// A member of a policy binding, as an identity: two spellings of one identity compare equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Member {
    /// A Google service account.
    ServiceAccount(Email),
    /// A Kubernetes service account, in either spelling.
    Ksa(KsaIdentity),
    /// `deleted:serviceAccount:EMAIL?uid=ID`.
    DeletedServiceAccount {
        /// The email that the account had.
        email: String,
        /// Its unique id.
        uid: String,
    },
    /// Anything else, as it is written (`user:`, `group:`, `principalSet://` …).
    Other(String),
}

impl Member {
    /// Reads any member string; what is not recognised is kept as [`Member::Other`].
    pub fn parse(s: &str) -> Self {
        if let Some(rest) = s.strip_prefix("serviceAccount:") {
            if let Some((pool, subject)) = rest.strip_suffix(']').and_then(|r| r.split_once('['))
                && let Some((ns, name)) = subject.split_once('/')
            {
                return Self::Ksa(KsaIdentity {
                    pool: pool.to_owned(),
                    namespace: ns.to_owned(),
                    name: name.to_owned(),
                });
            }
            return match Email::parse(rest) {
                Ok(email) => Self::ServiceAccount(email),
                Err(_) => Self::Other(s.to_owned()),
            };
        }
        if let Some(rest) = s.strip_prefix("deleted:serviceAccount:")
            && let Some((email, uid)) = rest.split_once("?uid=")
        {
            return Self::DeletedServiceAccount {
                email: email.to_ascii_lowercase(),
                uid: uid.to_owned(),
            };
        }
        Self::parse_principal(s).unwrap_or_else(|| Self::Other(s.to_owned()))
    }

    fn parse_principal(s: &str) -> Option<Self> {
        let rest = s.strip_prefix("principal://iam.googleapis.com/projects/")?;
        let (_number, rest) = rest.split_once('/')?;
        let rest = rest.strip_prefix("locations/global/workloadIdentityPools/")?;
        let (pool, rest) = rest.split_once('/')?;
        if !pool.ends_with(".svc.id.goog") {
            return None;
        }
        let (ns, name) = rest.strip_prefix("subject/ns/")?.split_once("/sa/")?;
        Some(Self::Ksa(KsaIdentity {
            pool: pool.to_owned(),
            namespace: ns.to_owned(),
            name: name.to_owned(),
        }))
    }

    /// Whether a GKE workload pool is behind this member: one account, a namespace, a cluster or all.
    pub fn is_gke_pool_member(&self) -> bool {
        match self {
            Self::Ksa(_) => true,
            Self::Other(s) => {
                (s.starts_with("principalSet://iam.googleapis.com/")
                    || s.starts_with("principal://iam.googleapis.com/"))
                    && s.contains(".svc.id.goog/")
            }
            _ => false,
        }
    }
}

impl fmt::Display for Member {
    /// Short, for people: not the spelling that the API takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceAccount(email) => write!(f, "{email}"),
            Self::Ksa(ksa) => write!(f, "{ksa}"),
            Self::DeletedServiceAccount { email, uid } => write!(f, "deleted {email} ({uid})"),
            Self::Other(s) => f.write_str(s),
        }
    }
}

/// The condition of a binding (`google.type.Expr`). Two bindings with different conditions are different
/// bindings.
///
/// Those of others may lack a title, and have fields that no spec has (`location`): all of it is read, is
/// part of what the condition is, and is written back as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, schemars::JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Condition {
    /// A short title, shown in the console.
    pub title: String,
    /// What it is for.
    #[schemars(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The CEL expression.
    pub expression: String,
    /// The fields that no spec has, as the text of a JSON object; empty where there are none.
    #[schemars(skip)]
    pub rest: String,
}

impl Condition {
    /// What it is called: its title, or its expression where it has none.
    pub fn name(&self) -> &str {
        if self.title.is_empty() {
            &self.expression
        } else {
            &self.title
        }
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = serde_json::Map::<String, Value>::deserialize(deserializer)?;
        // What is no text stays where it is, among the rest.
        let mut take = |name: &str| match fields.remove(name) {
            Some(Value::String(text)) => text,
            Some(other) => {
                fields.insert(name.to_owned(), other);
                String::new()
            }
            None => String::new(),
        };
        let (title, description) = (take("title"), take("description"));
        let expression = take("expression");
        let rest = match fields.is_empty() {
            true => String::new(),
            false => Value::Object(fields).to_string(),
        };
        Ok(Self {
            title,
            description,
            expression,
            rest,
        })
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields: serde_json::Map<String, Value> = match self.rest.as_str() {
            "" => serde_json::Map::new(),
            rest => serde_json::from_str(rest).map_err(serde::ser::Error::custom)?,
        };
        let known = [
            ("title", &self.title),
            ("description", &self.description),
            ("expression", &self.expression),
        ];
        for (name, text) in known.into_iter().filter(|(_, text)| !text.is_empty()) {
            fields.insert(name.to_owned(), text.as_str().into());
        }
        fields.serialize(serializer)
    }
}

/// Checks a text that is to be a DNS label where it is read: for `#[serde(deserialize_with)]`.
pub fn label<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    match KubeName::label(&name) {
        Ok(_) => Ok(name),
        Err(e) => Err(D::Error::custom(e)),
    }
}

/// Whether a text can be a location of Google's: a region, a zone, or `global`, `eu` and the like.
pub fn is_location(text: &str) -> bool {
    !text.is_empty() && lower_digits_hyphens(text)
}

/// Whether a text can be a region (`europe-west1`) or a zone (`europe-west1-b`).
pub fn is_region_or_zone(text: &str) -> bool {
    is_location(text) && text.contains('-')
}

/// As [`label`], for a region or a zone.
fn location<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = label(deserializer)?;
    if is_region_or_zone(&name) {
        return Ok(name);
    }
    Err(D::Error::custom(format!(
        "`{name}` is neither a region nor a zone"
    )))
}

/// Where a cluster is: the key under which GKE knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterPath {
    /// The cluster's project.
    pub project: ProjectId,
    /// A region or a zone.
    #[serde(deserialize_with = "location")]
    pub location: String,
    /// The cluster's name in GKE.
    #[serde(deserialize_with = "label")]
    pub name: String,
}

impl fmt::Display for ClusterPath {
    /// `projects/P/locations/L/clusters/C`, as in the URLs of the GKE API.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "projects/{}/locations/{}/clusters/{}",
            self.project, self.location, self.name
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_ksa_are_one_identity() {
        let ksa = KsaIdentity {
            pool: "acme-prod.svc.id.goog".into(),
            namespace: "shop".into(),
            name: "checkout".into(),
        };
        assert_eq!(
            Member::parse(&ksa.legacy_member()),
            Member::Ksa(ksa.clone())
        );
        assert_eq!(Member::parse(&ksa.principal(42)), Member::Ksa(ksa));
    }

    #[test]
    fn other_members_are_told_apart() {
        assert!(matches!(
            Member::parse("serviceAccount:A@p-12345.iam.gserviceaccount.com"),
            Member::ServiceAccount(e) if e.as_str() == "a@p-12345.iam.gserviceaccount.com"
        ));
        assert!(matches!(
            Member::parse("deleted:serviceAccount:a@b.c?uid=12"),
            Member::DeletedServiceAccount { .. }
        ));
        let set = Member::parse(
            "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p.svc.id.goog/namespace/x",
        );
        assert!(set.is_gke_pool_member());
        assert!(!Member::parse("user:a@b.c").is_gke_pool_member());
    }

    #[test]
    fn names_that_google_would_refuse_are_refused() {
        assert!(ProjectId::parse("acme").is_err());
        assert!(ProjectId::parse("123456").is_err());
        assert!(ProjectId::parse("example.com:acme-prod").is_ok());
        let other = ProjectId::parse("eu0:acme-prod").expect("of another universe");
        assert_eq!(other.workload_pool(), "acme-prod.eu0.svc.id.goog");
        let account = other.service_account("checkout");
        assert_eq!(
            account.as_str(),
            "checkout@acme-prod.eu0.iam.gserviceaccount.com"
        );
        assert_eq!(account.project(), Some(other));
        assert!(Role::parse("roles/storage.objectViewer").is_ok());
        assert!(Role::parse("storage.objectViewer").is_err());
        assert!(KubeName::label("a.b").is_err());
        assert!(KubeName::parse("a.b").is_ok());
        assert!(KubeName::parse("Abc").is_err());
        assert!(check_service_account_id("short").is_err());
    }

    #[test]
    fn no_file_brings_in_a_name_that_parse_would_refuse() {
        fn read<T: serde::de::DeserializeOwned>(json: &str) -> bool {
            serde_json::from_str::<T>(json).is_ok()
        }
        assert!(read::<ProjectId>("\"acme-prod\"") && !read::<ProjectId>("\"../acme-prod\""));
        assert!(read::<Email>("\"a@b.c\"") && !read::<Email>("\"a/../b@c.d\""));
        assert!(read::<Role>("\"roles/viewer\"") && !read::<Role>("\"roles/../viewer\""));
        assert!(read::<KubeName>("\"a.b\"") && !read::<KubeName>("\"..\""));
        let path = |location: &str, name: &str| {
            let json = serde_json::json!({
                "project": "acme-prod", "location": location, "name": name,
            });
            read::<ClusterPath>(&json.to_string())
        };
        assert!(path("europe-west1-b", "main"));
        assert!(!path("-", "main") && !path("europe-west1", "a/b") && !path("europe-west1", ".."));
        assert!(!path("europe-west1/x", "main") && !path("x?y", "main"));
    }

    #[test]
    fn what_was_meant_is_said_where_it_is_clear() {
        let help = |e: NameError| e.1.unwrap_or_default();
        for (written, meant) in [
            ("projects/acme-prod", "Write acme-prod."),
            ("Acme_Prod", "Write acme-prod."),
            ("acme-prod.svc.id.goog", "Write acme-prod."),
            ("acme", ""),
        ] {
            assert_eq!(help(ProjectId::parse(written).expect_err(written)), meant);
        }
        for (written, meant) in [
            ("roles/viewer ", "Write roles/viewer."),
            ("roles/viewer/", "Write roles/viewer."),
            ("Role/viewer", "Write roles/viewer."),
            ("viewer", "Write roles/viewer."),
            ("projects/acme/roles/viewer", ""),
        ] {
            assert_eq!(help(Role::parse(written).expect_err(written)), meant);
        }
        assert_eq!(
            help(
                Email::parse("serviceAccount:a@p-12345.iam.gserviceaccount.com")
                    .expect_err("a member")
            ),
            "Without `serviceAccount:`, write a@p-12345.iam.gserviceaccount.com."
        );
        assert_eq!(
            help(KubeName::label("My_Shop").expect_err("no label")),
            "Write my-shop."
        );
        assert!(!NameError::not("", "a role").0.contains('`'));
    }

    #[test]
    fn domain_scoped_projects_turn_around() {
        let p = ProjectId::parse("example.com:acme-prod").expect("valid");
        assert_eq!(p.workload_pool(), "acme-prod.example.com.svc.id.goog");
        assert_eq!(p.service_account("worker").project(), Some(p));
    }
}
