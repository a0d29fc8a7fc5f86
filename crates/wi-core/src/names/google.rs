//! Projects, Google service accounts, roles.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::{NameError, lower_digits_hyphens, name_type, tidy};

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

    /// As names of resources have it: by its id or its number. Audit logs and asset inventories write the number; what
    /// is named by it is the same as what is named by the id, which only the server knows.
    pub fn parse_in_name(s: &str) -> Result<Self, NameError> {
        match s.parse::<u64>() {
            Ok(number) if number.to_string() == s => Ok(Self(s.to_owned())),
            _ => Self::parse(s),
        }
    }

    /// The number that it is named by, where it is.
    pub fn number(&self) -> Option<u64> {
        self.0.parse().ok() // an id begins with a letter
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

    /// The project that has this workload pool, by its name.
    pub fn of_workload_pool(pool: &str) -> Option<Self> {
        let name = pool.strip_suffix(".svc.id.goog")?;
        match name.split_once('.') {
            Some((id, domain)) => Self::parse(&format!("{domain}:{id}")).ok(),
            None => Self::parse(name).ok(),
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

    /// Whether it gives a part of everything in a project: owner, editor and viewer, and their successors admin, writer and
    /// reader.
    ///
    /// <https://cloud.google.com/iam/docs/roles-overview#basic>
    pub fn is_basic(&self) -> bool {
        let successor = matches!(
            self.as_str(),
            "roles/admin" | "roles/writer" | "roles/reader"
        );
        successor || self.takes_no_condition()
    }

    /// Whether it is one of owner, editor and viewer, which IAM grants under no condition; their successors it does.
    pub fn takes_no_condition(&self) -> bool {
        matches!(
            self.as_str(),
            "roles/owner" | "roles/editor" | "roles/viewer"
        )
    }
}
