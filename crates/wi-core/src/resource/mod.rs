//! Resources that have an allow policy, by name. What is known of each kind is its row in [`KINDS`].

mod kind;
mod kinds;
mod mistakes;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use kind::{Kind, Version, Write};
pub use kinds::KINDS;

use crate::names::{Email, NameError, ProjectId};
use crate::percent;
use mistakes::{check, no_full_name, no_short_name};

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
            "project" => ProjectId::parse_in_name(&names[0]).map(Self::Project),
            "serviceaccount" => Email::parse(&names[0]).map(Self::ServiceAccount),
            _ => Ok(Self::Named(Named { kind, names })),
        }
    }

    /// Reads a name as Cloud Asset has it, where it is another than the full resource name.
    pub fn from_asset(name: &str) -> Result<Self, NameError> {
        match name.strip_prefix("//storage.googleapis.com/") {
            Some(bucket) if !bucket.contains('/') => Self::parse(&format!("bucket/{bucket}"), None),
            _ => Self::parse(name, None),
        }
    }

    fn from_full(full: &str) -> Option<(&'static Kind, Vec<String>)> {
        KINDS.iter().find_map(|kind| {
            let pattern: Vec<&str> = kind.full.split('/').collect();
            let mut given: Vec<String> = full.split('/').map(str::to_owned).collect();
            if kind.nests() && given.len() > pattern.len() {
                let folder = given.split_off(pattern.len() - 1).join("/");
                given.push(folder.trim_end_matches('/').to_owned());
            }
            // A service account has a project in its name, which its email says too.
            let fits = |(p, g): (&&str, &String)| {
                *p == "{}" || *p == g.as_str() || (*p == "-" && !g.is_empty())
            };
            if pattern.len() != given.len() || !pattern.iter().zip(&given).all(fits) {
                return None;
            }
            let named = pattern.iter().zip(given).filter(|(p, _)| **p == "{}");
            Some((kind, named.map(|(_, g)| g).collect()))
        })
    }

    fn from_short(
        s: &str,
        default: Option<&ProjectId>,
    ) -> Result<(&'static Kind, Vec<String>), NameError> {
        let (short, rest) = s.split_once('/').unwrap_or((s, ""));
        let kind = kinds::of(short).ok_or_else(|| no_short_name(s))?;
        let mut names: Vec<String> = match rest.split_once('/') {
            Some((first, folder)) if kind.nests() => {
                vec![first.to_owned(), folder.trim_end_matches('/').to_owned()]
            }
            _ => rest.split('/').map(str::to_owned).collect(),
        };
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
            Self::Project(_) => kinds::project(),
            Self::ServiceAccount(_) => kinds::service_account(),
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

    /// The number that it names its project by, where it does.
    pub fn project_number(&self) -> Option<u64> {
        match self {
            Self::Project(project) => project.number(),
            Self::Named(named) if named.kind.in_project() => named.names.first()?.parse().ok(),
            _ => None,
        }
    }

    /// The same resource, named by its project's id.
    pub fn in_project(&self, id: &ProjectId) -> Self {
        match self {
            Self::Project(_) => Self::Project(id.clone()),
            Self::Named(named) if named.kind.in_project() => {
                let mut names = named.names.clone();
                if let Some(project) = names.first_mut() {
                    *project = id.to_string();
                }
                let kind = named.kind;
                Self::Named(Named { kind, names })
            }
            other => other.clone(),
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
        format!("//{}", kind::filled(self.kind().full, &self.names()))
    }

    /// What it is in, as its name says: a table's dataset, a key's ring, in the end the project. `None`
    /// where the name does not say (a bucket's project), or nothing is above (an organization).
    pub fn container(&self) -> Option<Self> {
        if let Self::ServiceAccount(email) = self {
            return email.project().map(Self::Project);
        }
        let full = self.full_name();
        let mut name = full.as_str();
        // A name is pairs of a collection and what is in it.
        while let Some((above, _)) = name.rsplit_once('/').and_then(|(n, _)| n.rsplit_once('/')) {
            name = above;
            if let Ok(above) = Self::parse(name, None) {
                return Some(above);
            }
        }
        let (_, rest) = full.split_once("/projects/")?;
        let project = ProjectId::parse_in_name(rest.split('/').next()?).ok()?;
        let project = Self::Project(project);
        (project != *self).then_some(project)
    }

    /// Whether it is a level of the resource hierarchy: a project, a folder or an organization.
    pub fn is_of_hierarchy(&self) -> bool {
        matches!(self.kind().short, "project" | "folder" | "organization")
    }

    /// The project that it is in, as its name says.
    pub fn project(&self) -> Option<ProjectId> {
        let mut above = self.container()?;
        while let Some(next) = above.container() {
            above = next;
        }
        match above {
            Self::Project(project) => Some(project),
            _ => None,
        }
    }

    /// The path of its policy in its API, the names escaped.
    pub fn path(&self) -> String {
        let mut names = self.names();
        // Storage has a folder's name end in the slash that nobody writes.
        if let Some(folder) = names.last_mut().filter(|_| self.kind().nests()) {
            folder.push('/');
        }
        let names: Vec<String> = names.iter().map(|n| percent::segment(n)).collect();
        match self {
            // Through the wildcard IAM hides what is missing behind what is forbidden.
            Self::ServiceAccount(email) => match email.project() {
                Some(project) => format!("v1/projects/{project}/serviceAccounts/{email}"),
                None => kind::filled(self.kind().path, &names),
            },
            _ => kind::filled(self.kind().path, &names),
        }
    }
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
    fn resource_is_in_what_its_name_says() {
        for (resource, above) in [
            ("table/sales/orders", Some("dataset/acme-prod/sales")),
            ("dataset/sales", Some("project/acme-prod")),
            ("key/eu/ring/k", Some("keyring/acme-prod/eu/ring")),
            ("keyring/eu/ring", Some("project/acme-prod")),
            ("spanner/main/db", Some("spanner-instance/acme-prod/main")),
            ("regional-secret/eu/x", Some("project/acme-prod")),
            ("bucket/acme-receipts", None),
            (
                "managedfolder/acme-receipts/in",
                Some("bucket/acme-receipts"),
            ),
            (
                "serviceaccount/a@acme-kms.iam.gserviceaccount.com",
                Some("project/acme-kms"),
            ),
            ("project/acme-prod", None),
            ("folder/1", None),
        ] {
            let default = ProjectId::parse("acme-prod").ok();
            let parsed = Resource::parse(resource, default.as_ref()).expect(resource);
            let found = parsed.container().map(|r| r.to_string());
            assert_eq!(found.as_deref(), above, "{resource}");
        }
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

    /// A form with words in its places.
    fn example(form: &str) -> String {
        let word = |word: &str| {
            let is_place = word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
            match word {
                "PROJECT" | "ID" => "acme-prod".to_owned(),
                "NUMBER" => "123456789012".to_owned(),
                "EMAIL" => "ci@acme-prod.iam.gserviceaccount.com".to_owned(),
                "LOCATION" => "europe-west1".to_owned(),
                "_" => "_".to_owned(),
                place if is_place => place.to_lowercase(),
                other => other.to_owned(),
            }
        };
        let form = form
            .replace("[/FOLDER…]", "/FOLDER")
            .replace(['[', ']'], "");
        let words: Vec<String> = form.split('/').map(word).collect();
        words.join("/")
    }

    /// What a message says to write, forms aside.
    fn proposed(said: &str) -> Vec<String> {
        let Some((_, proposals)) = said.split_once("Write ") else {
            return Vec::new();
        };
        let proposals = proposals.trim_end_matches('.');
        let each = proposals.split(" or ").map(|p| p.trim().to_owned());
        each.filter(|p| !p.contains(|c: char| c.is_ascii_uppercase()))
            .collect()
    }

    #[test]
    fn what_is_proposed_is_taken_for_every_kind() {
        let mut proposals = 0;
        for kind in KINDS {
            let short = format!("{}/{}", kind.short, example(kind.form));
            let one = Resource::parse(&short, None).expect(&short);
            assert_eq!(Resource::parse(&one.full_name(), None).expect(&short), one);
            let form = example(&format!("//{}", kind.full_form()));
            Resource::parse(&form, None).expect(&form);
            let relative = one.full_name();
            let relative = relative
                .trim_start_matches("//")
                .split_once('/')
                .expect("a path")
                .1;
            let (first, rest) = short.split_once('/').expect("a name");
            for written in [
                format!("{short}/"),
                format!("{first}s/{rest}"),
                format!("{}/{rest}", first.to_uppercase()),
                format!("{first}s/{rest}/"),
                format!("{first}s"),
                relative.to_owned(),
                relative.replace("acme-prod", "123456789012"),
                format!("{relative}/"),
                format!("gs://{rest}"),
            ] {
                let Err(error) = Resource::parse(&written, None) else {
                    continue;
                };
                for proposal in proposed(&error.to_string()) {
                    proposals += 1;
                    Resource::parse(&proposal, None)
                        .unwrap_or_else(|e| panic!("{written}: `{proposal}` is proposed, and {e}"));
                }
            }
        }
        assert!(proposals > 3 * KINDS.len(), "{proposals}");
    }

    #[test]
    fn a_project_is_named_by_its_number_too() {
        for (by_number, by_id) in [
            ("project/123456789012", "project/acme-prod"),
            (
                "//cloudresourcemanager.googleapis.com/projects/123",
                "project/acme-prod",
            ),
            ("secret/123456789012/stripe", "secret/acme-prod/stripe"),
            (
                "//secretmanager.googleapis.com/projects/123456789012/secrets/stripe",
                "secret/acme-prod/stripe",
            ),
        ] {
            let one = Resource::parse(by_number, None).expect(by_number);
            assert!(one.project_number().is_some(), "{by_number}");
            let id = ProjectId::parse("acme-prod").expect("an id");
            assert_eq!(one.in_project(&id).to_string(), by_id);
        }
        for none in ["project/acme-prod", "bucket/123456789012", "folder/123"] {
            let resource = Resource::parse(none, None).expect(none);
            assert_eq!(resource.project_number(), None, "{none}");
        }
        assert!(Resource::parse("project/012", None).is_err());
    }

    #[test]
    fn folders_are_in_folders() {
        let one = Resource::parse("managedfolder/acme-receipts/2026/q1", None).expect("nested");
        assert_eq!(
            one.path(),
            "storage/v1/b/acme-receipts/managedFolders/2026%2Fq1%2F"
        );
        for same in [
            "managedfolder/acme-receipts/2026/q1/",
            "//storage.googleapis.com/projects/_/buckets/acme-receipts/managedFolders/2026/q1",
            "//storage.googleapis.com/projects/_/buckets/acme-receipts/managedFolders/2026/q1/",
        ] {
            assert_eq!(Resource::parse(same, None).expect(same), one);
        }
        for none in ["2026//q1", "../q1", "2026/./q1", ""] {
            Resource::parse(&format!("managedfolder/acme-receipts/{none}"), None).expect_err(none);
        }
    }

    #[test]
    fn paths_hold_escaped_names() {
        let folder = Resource::parse(
            "//storage.googleapis.com/projects/_/buckets/b-1/managedFolders/a%b",
            None,
        )
        .expect("a folder");
        assert_eq!(folder.path(), "storage/v1/b/b-1/managedFolders/a%25b%2F");
    }
}
