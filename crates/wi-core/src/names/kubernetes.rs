//! Names of Kubernetes objects.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::{NameError, lower_digits_hyphens, name_type, tidy};

name_type!(
    /// A Kubernetes namespace or service account name (RFC 1123).
    KubeName
);

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

/// Checks a text that is to be a DNS label where it is read: for `#[serde(deserialize_with)]`.
pub fn label<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    match KubeName::label(&name) {
        Ok(_) => Ok(name),
        Err(e) => Err(D::Error::custom(e)),
    }
}
