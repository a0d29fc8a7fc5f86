//! The names of Google Cloud and Kubernetes that `wi` handles: parsed once, trusted afterwards.

mod cluster_path;
mod condition;
mod google;
mod kubernetes;
mod member;
#[cfg(test)]
mod tests;

use std::fmt;

pub use cluster_path::{ClusterPath, is_location, is_region_or_zone};
pub use condition::Condition;
pub use google::{Email, ProjectId, Role, check_service_account_id};
pub use kubernetes::{KubeName, label};
pub use member::{KsaIdentity, KsaSet, Member};

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

fn lower_digits_hyphens(s: &str) -> bool {
    s.bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A text that is parsed where it is read, and is that text from then on.
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

use name_type;
