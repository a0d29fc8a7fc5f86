//! Who owns what, as files of other tools say: Terraform's states and plans, Config Connector's YAML.
//!
//! Only names are kept of them. A state has keys and passwords in plain text: none of its other values is looked at.

mod config_connector;
mod references;
mod terraform;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::names::{Email, Member};

/// The tools whose files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// Terraform, and OpenTofu.
    Terraform,
    /// Config Connector.
    ConfigConnector,
    /// A manifest of Kubernetes.
    Kubernetes,
}

/// What owns a thing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// Whose file it is.
    pub tool: Tool,
    /// As it calls the thing: `module.app.google_service_account.this["web"]`, `IAMServiceAccount shop/web`.
    pub address: String,
}

impl Owner {
    /// For a remark.
    pub fn in_words(&self) -> String {
        match self.tool {
            Tool::Terraform => format!("Terraform's {}", self.address),
            Tool::ConfigConnector => format!("Config Connector's {}", self.address),
            Tool::Kubernetes => format!("of a manifest, {}", self.address),
        }
    }
}

/// What files of other tools say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owners {
    /// Google service accounts.
    pub accounts: BTreeMap<Email, Owner>,
    /// Kubernetes service accounts, by namespace and name.
    pub ksas: BTreeMap<(String, String), Owner>,
    /// Namespaces.
    pub namespaces: BTreeMap<String, Owner>,
    /// Members of policies, one at a time.
    pub members: BTreeMap<Member, BTreeSet<Owner>>,
    /// What decides about whole roles or policies, and so takes away what others add; with its members.
    pub whole: BTreeMap<Owner, BTreeSet<Member>>,
    /// Keys of accounts: to be migrated. Nothing of them is kept but the address.
    pub keys: BTreeSet<Owner>,
    /// What is about rights and is not understood, and why.
    pub not_understood: BTreeMap<Owner, String>,
}

/// Kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Terraform's state, version 4.
    State,
    /// What `terraform show -json` prints of a state or a plan.
    Shown,
    /// Manifests, Config Connector's among them.
    Manifests,
}

/// The documents of a text: one of JSON, or those of YAML.
///
/// # Errors
///
/// Where it is neither; without any word of the text.
pub fn documents(text: &str) -> Result<Vec<Value>, String> {
    match serde_json::from_str(text) {
        Ok(one) => Ok(vec![one]),
        Err(e) if text.trim_start().starts_with('{') => Err(format!(
            "it is no JSON: line {}, column {}",
            e.line(),
            e.column()
        )),
        Err(_) => {
            serde_saphyr::from_multiple(text).map_err(|_| "it is neither JSON nor YAML".to_owned())
        }
    }
}

impl Owners {
    /// Takes in a file, and says what it was. `documents` are those of YAML, or one of JSON.
    ///
    /// # Errors
    ///
    /// It is none of the kinds that are known. No word of the file is in the text.
    pub fn take_in(&mut self, documents: &[Value]) -> Result<FileKind, String> {
        if let [one] = documents {
            if let Some(resources) = one.get("resources").and_then(Value::as_array)
                && one.get("version").is_some()
            {
                if one["version"].as_u64() != Some(4) {
                    return Err("it is a state of Terraform of another version than 4: `terraform state pull` writes that".to_owned());
                }
                self.state(resources);
                return Ok(FileKind::State);
            }
            if one.get("format_version").is_some() {
                self.shown(one);
                return Ok(FileKind::Shown);
            }
        }
        let is_manifest = |d: &&Value| d.get("kind").is_some() && d.get("apiVersion").is_some();
        if documents
            .iter()
            .filter(|d| !d.is_null())
            .all(|d| is_manifest(&d))
            && documents.iter().any(|d| is_manifest(&d))
        {
            documents.iter().for_each(|d| self.manifest(d));
            return Ok(FileKind::Manifests);
        }
        Err("it is neither a state of Terraform, nor what `terraform show -json` prints, nor manifests".to_owned())
    }

    fn member(&mut self, member: Member, owner: Owner) {
        self.members.entry(member).or_default().insert(owner);
    }

    fn ksa(&mut self, namespace: String, name: String, owner: Owner) {
        let namespace = match namespace.as_str() {
            "" => "default".to_owned(),
            _ => namespace,
        };
        self.ksas.insert((namespace, name), owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub const CHECKOUT: &str = "checkout@acme-prod.iam.gserviceaccount.com";

    pub fn of(text: &str) -> (FileKind, Owners) {
        let mut owners = Owners::default();
        let documents = documents(text).expect("documents");
        let kind = owners.take_in(&documents).expect("a kind");
        (kind, owners)
    }

    pub fn accounts(owners: &Owners) -> Vec<(String, String)> {
        let all = owners.accounts.iter();
        all.map(|(email, owner)| (email.to_string(), owner.address.clone()))
            .collect()
    }

    #[test]
    fn what_is_no_such_file_is_refused_without_a_word_of_it() {
        for text in [
            "{ \"token\": \"CANARY\" ",
            "CANARY",
            "{\"a\": \"CANARY\"}",
            "[\"CANARY\"]",
            "key: CANARY",
            "{\"version\":3,\"lineage\":\"CANARY\",\"resources\":[]}",
        ] {
            let refused = documents(text).and_then(|all| Owners::default().take_in(&all));
            let why = refused.expect_err(text);
            assert!(!why.contains("CANARY"), "{why}");
        }
    }
}
