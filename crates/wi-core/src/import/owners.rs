//! Who owns what, as files of other tools say: Terraform's states and plans, Config Connector's YAML.
//!
//! Only names are kept of them. A state has keys and passwords in plain text: none of its other values is looked at.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::desired::GSA_ANNOTATION;
use crate::names::{Email, Member, ProjectId};

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
                resources.iter().for_each(|r| self.state(r));
                return Ok(FileKind::State);
            }
            if one.get("format_version").is_some() {
                let values = [
                    &one["values"],
                    &one["planned_values"],
                    &one["prior_state"]["values"],
                ];
                for values in values {
                    self.module(&values["root_module"]);
                }
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

    fn state(&mut self, resource: &Value) {
        if resource["mode"] != "managed" {
            return;
        }
        let text = |name: &str| resource[name].as_str().unwrap_or_default();
        let module = match text("module") {
            "" => String::new(),
            module => format!("{module}."),
        };
        let (kind, name) = (text("type"), text("name"));
        for instance in resource["instances"].as_array().into_iter().flatten() {
            let index = match &instance["index_key"] {
                Value::Null => String::new(),
                Value::String(key) => format!("[{key:?}]"),
                other => format!("[{other}]"),
            };
            let address = format!("{module}{kind}.{name}{index}");
            self.terraform(kind, address, &instance["attributes"]);
        }
    }

    fn module(&mut self, module: &Value) {
        for resource in module["resources"].as_array().into_iter().flatten() {
            if resource["mode"] == "managed"
                && let (Some(kind), Some(address)) =
                    (resource["type"].as_str(), resource["address"].as_str())
            {
                self.terraform(kind, address.to_owned(), &resource["values"]);
            }
        }
        for child in module["child_modules"].as_array().into_iter().flatten() {
            self.module(child);
        }
    }

    /// One resource of Terraform's, whatever document it is in.
    fn terraform(&mut self, kind: &str, address: String, values: &Value) {
        let owner = Owner {
            tool: Tool::Terraform,
            address,
        };
        let metadata = &values["metadata"][0];
        let text = |of: &Value, name: &str| of[name].as_str().unwrap_or_default().to_owned();
        match kind {
            "google_service_account" => match email_of(values) {
                Some(email) => _ = self.accounts.insert(email, owner),
                None => {
                    let why = "its email is not known yet: apply it first".to_owned();
                    self.not_understood.insert(owner, why);
                }
            },
            "google_service_account_key" | "google_storage_hmac_key" => {
                self.keys.insert(owner);
            }
            "kubernetes_service_account"
            | "kubernetes_service_account_v1"
            | "kubernetes_default_service_account"
            | "kubernetes_default_service_account_v1" => {
                let name = match kind.contains("default") {
                    true => "default".to_owned(),
                    false => text(metadata, "name"),
                };
                self.ksa(text(metadata, "namespace"), name, owner);
            }
            "kubernetes_annotations" => {
                let sets = values["annotations"].get(GSA_ANNOTATION).is_some();
                if text(values, "kind") == "ServiceAccount" && sets {
                    self.ksa(text(metadata, "namespace"), text(metadata, "name"), owner);
                }
            }
            "kubernetes_manifest" => {
                let object = &values["manifest"];
                if object["kind"] == "ServiceAccount" {
                    let metadata = &object["metadata"];
                    self.ksa(text(metadata, "namespace"), text(metadata, "name"), owner);
                }
            }
            "kubernetes_namespace" | "kubernetes_namespace_v1" => {
                self.namespaces.insert(text(metadata, "name"), owner);
            }
            _ if kind.starts_with("google_") => self.right(kind, owner, values),
            _ => {}
        }
    }

    /// What gives roles, by the names that all such types share.
    fn right(&mut self, kind: &str, owner: Owner, values: &Value) {
        if kind.ends_with("_iam_member") {
            match values["member"].as_str() {
                Some(member) => self.member(member, owner),
                None => {
                    let why = "its member is not known yet: apply it first".to_owned();
                    self.not_understood.insert(owner, why);
                }
            }
        } else if kind.ends_with("_iam_binding") {
            let members = values["members"].as_array().into_iter().flatten();
            let members = members.filter_map(Value::as_str).map(Member::parse);
            self.whole.insert(owner, members.collect());
        } else if kind.ends_with("_iam_policy") {
            // A JSON text within JSON.
            let policy = values["policy_data"].as_str().unwrap_or_default();
            let policy: Value = serde_json::from_str(policy).unwrap_or_default();
            let bindings = policy["bindings"].as_array().into_iter().flatten();
            let members = bindings.flat_map(|b| b["members"].as_array().into_iter().flatten());
            let members = members.filter_map(Value::as_str).map(Member::parse);
            self.whole.insert(owner, members.collect());
        } else if kind == "google_bigquery_dataset_access" {
            // Its role may be READER, its member an email without a kind.
            let email = values["user_by_email"]
                .as_str()
                .and_then(|e| Email::parse(e).ok());
            let member = values["iam_member"].as_str().map(Member::parse);
            if let Some(member) = member.or(email.map(Member::ServiceAccount)) {
                self.members.entry(member).or_default().insert(owner);
            }
        } else if kind.contains("_iam_") && kind != "google_project_iam_custom_role" {
            let why = format!("wi does not know the type {kind}");
            self.not_understood.insert(owner, why);
        }
    }

    fn member(&mut self, member: &str, owner: Owner) {
        let of = self.members.entry(Member::parse(member)).or_default();
        of.insert(owner);
    }

    fn ksa(&mut self, namespace: String, name: String, owner: Owner) {
        let namespace = match namespace.as_str() {
            "" => "default".to_owned(),
            _ => namespace,
        };
        self.ksas.insert((namespace, name), owner);
    }

    /// One object of Kubernetes, or a list of them.
    fn manifest(&mut self, object: &Value) {
        if let Some(items) = object["items"].as_array() {
            return items.iter().for_each(|item| self.manifest(item));
        }
        let text = |of: &Value, name: &str| of[name].as_str().unwrap_or_default().to_owned();
        let (kind, version) = (text(object, "kind"), text(object, "apiVersion"));
        let (metadata, spec) = (&object["metadata"], &object["spec"]);
        let (namespace, name) = (text(metadata, "namespace"), text(metadata, "name"));
        let is_theirs = version.contains(".cnrm.cloud.google.com/");
        let owner = Owner {
            tool: match is_theirs {
                true => Tool::ConfigConnector,
                false => Tool::Kubernetes,
            },
            address: format!("{kind} {namespace}/{name}"),
        };
        match (kind.as_str(), is_theirs) {
            ("ServiceAccount", false) if version == "v1" => self.ksa(namespace, name, owner),
            ("Namespace", false) if version == "v1" => {
                self.namespaces.insert(name, owner);
            }
            ("IAMServiceAccount", true) => {
                let id = spec["resourceID"].as_str().unwrap_or(&name);
                let project = metadata["annotations"]["cnrm.cloud.google.com/project-id"]
                    .as_str()
                    .unwrap_or(&namespace);
                let known = object["status"]["email"].as_str();
                let known = known.and_then(|email| Email::parse(email).ok());
                let made = || Some(ProjectId::parse(project).ok()?.service_account(id));
                match known.or_else(made) {
                    Some(email) => _ = self.accounts.insert(email, owner),
                    None => {
                        let why = "its project is not known: a placeholder, or no annotation cnrm.cloud.google.com/project-id".to_owned();
                        self.not_understood.insert(owner, why);
                    }
                }
            }
            ("IAMPolicyMember", true) => match spec["member"].as_str() {
                Some(member) if !member.contains("${") => self.member(member, owner),
                _ => match account_ref(&spec["memberFrom"], &namespace) {
                    Some(member) => {
                        self.members.entry(member).or_default().insert(owner);
                    }
                    None => {
                        let why = "who its member is is not known from the file".to_owned();
                        self.not_understood.insert(owner, why);
                    }
                },
            },
            ("IAMPolicy" | "IAMPartialPolicy", true) => {
                let bindings = spec["bindings"].as_array().into_iter().flatten();
                let members = bindings.flat_map(|b| b["members"].as_array().into_iter().flatten());
                let members = members.filter_map(|m| {
                    let text = m.as_str().or_else(|| m["member"].as_str());
                    text.map(Member::parse)
                        .or_else(|| account_ref(&m["memberFrom"], &namespace))
                });
                let members: BTreeSet<Member> = members.collect();
                if kind == "IAMPolicy" {
                    self.whole.insert(owner, members);
                } else {
                    for member in members {
                        self.members
                            .entry(member)
                            .or_default()
                            .insert(owner.clone());
                    }
                }
            }
            ("IAMServiceAccountKey", true) => _ = self.keys.insert(owner),
            _ => {}
        }
    }
}

/// The account that a reference of Config Connector names, where its namespace is a project.
fn account_ref(from: &Value, namespace: &str) -> Option<Member> {
    let of = &from["serviceAccountRef"];
    if let Some(email) = of["external"].as_str() {
        return Email::parse(email).ok().map(Member::ServiceAccount);
    }
    let project = ProjectId::parse(of["namespace"].as_str().unwrap_or(namespace)).ok()?;
    let account = project.service_account(of["name"].as_str()?);
    Some(Member::ServiceAccount(account))
}

/// The email of a `google_service_account`: as it is known, or as its id and its project make it. The project may be
/// told by its `id` alone.
fn email_of(values: &Value) -> Option<Email> {
    if let Some(email) = values["email"].as_str() {
        return Email::parse(email).ok();
    }
    let by_id = || {
        let id = values["id"].as_str()?;
        id.strip_prefix("projects/")?.split('/').next()
    };
    let project = values["project"].as_str().or_else(by_id)?;
    let project = ProjectId::parse(project).ok()?;
    Some(project.service_account(values["account_id"].as_str()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CHECKOUT: &str = "checkout@acme-prod.iam.gserviceaccount.com";

    fn of(text: &str) -> (FileKind, Owners) {
        let mut owners = Owners::default();
        let documents = documents(text).expect("documents");
        let kind = owners.take_in(&documents).expect("a kind");
        (kind, owners)
    }

    fn accounts(owners: &Owners) -> Vec<(String, String)> {
        let all = owners.accounts.iter();
        all.map(|(email, owner)| (email.to_string(), owner.address.clone()))
            .collect()
    }

    #[test]
    fn state_says_what_each_instance_owns_and_no_secret_is_kept() {
        let resource = |kind: &str, instances: Value| json!({ "mode": "managed", "type": kind, "name": "this", "module": "module.app[\"eu\"]", "instances": instances });
        let state = json!({ "version": 4, "serial": 7, "lineage": "l", "outputs": { "k": { "value": "CANARY" } }, "resources": [
            resource("google_service_account", json!([{ "index_key": "web", "attributes": { "account_id": "checkout", "project": null, "id": format!("projects/acme-prod/serviceAccounts/{CHECKOUT}") } }])),
            resource("google_service_account_key", json!([{ "attributes": { "private_key": "CANARY" } }])),
            resource("google_client_config", json!([{ "attributes": { "access_token": "CANARY" } }])),
            resource("google_storage_bucket_iam_member", json!([{ "index_key": 0, "attributes": { "member": format!("serviceAccount:{CHECKOUT}") } }])),
            resource("google_project_iam_policy", json!([{ "attributes": { "policy_data": "{\"bindings\":[{\"role\":\"roles/viewer\",\"members\":[\"user:ann@example.com\"]}]}" } }])),
            resource("google_bigquery_dataset_access", json!([{ "attributes": { "role": "READER", "user_by_email": CHECKOUT } }])),
            resource("kubernetes_service_account_v1", json!([{ "attributes": { "metadata": [{ "name": "web", "namespace": "shop" }] } }])),
            resource("google_iap_web_iam_thing", json!([{ "attributes": {} }])),
            { "mode": "data", "type": "google_service_account", "name": "other", "instances": [{ "attributes": { "email": "x@acme-prod.iam.gserviceaccount.com" } }] },
        ] });
        let (kind, owners) = of(&state.to_string());
        assert_eq!(kind, FileKind::State);
        let address = "module.app[\"eu\"].google_service_account.this[\"web\"]";
        assert_eq!(
            accounts(&owners),
            [(CHECKOUT.to_owned(), address.to_owned())]
        );
        let member = Member::parse(&format!("serviceAccount:{CHECKOUT}"));
        assert_eq!(owners.members[&member].len(), 2);
        assert_eq!(
            owners.whole.values().next(),
            Some(&BTreeSet::from([Member::parse("user:ann@example.com")]))
        );
        assert!(
            owners
                .ksas
                .contains_key(&("shop".to_owned(), "web".to_owned()))
        );
        assert_eq!((owners.keys.len(), owners.not_understood.len()), (1, 1));
        assert!(!format!("{owners:?}").contains("CANARY"));
    }

    #[test]
    fn plan_that_does_not_know_an_email_yet_is_told_and_not_guessed() {
        let resource = |name: &str, values: Value| json!({ "address": format!("google_service_account.{name}"), "mode": "managed", "type": "google_service_account", "values": values });
        let shown = json!({ "format_version": "1.2", "planned_values": { "root_module": {
            "resources": [resource("new", json!({ "account_id": "new-one" })), resource("known", json!({ "account_id": "checkout", "project": "acme-prod" }))],
            "child_modules": [{ "resources": [{ "address": "module.a.google_project_iam_member.m", "mode": "managed", "type": "google_project_iam_member", "values": { "role": "roles/viewer" } }] }],
        } } });
        let (kind, owners) = of(&shown.to_string());
        assert_eq!(kind, FileKind::Shown);
        assert_eq!(
            accounts(&owners),
            [(
                CHECKOUT.to_owned(),
                "google_service_account.known".to_owned()
            )]
        );
        let told: Vec<&str> = owners
            .not_understood
            .keys()
            .map(|o| o.address.as_str())
            .collect();
        assert_eq!(
            told,
            [
                "google_service_account.new",
                "module.a.google_project_iam_member.m"
            ]
        );
    }

    #[test]
    fn objects_of_config_connector_are_read_by_their_references() {
        let yaml = "
apiVersion: iam.cnrm.cloud.google.com/v1beta1
kind: IAMServiceAccount
metadata: { name: web, namespace: shop, annotations: { cnrm.cloud.google.com/project-id: acme-prod } }
spec: { resourceID: checkout }
---
apiVersion: iam.cnrm.cloud.google.com/v1beta1
kind: IAMPolicyMember
metadata: { name: m, namespace: acme-prod }
spec: { memberFrom: { serviceAccountRef: { name: checkout } }, role: roles/viewer, resourceRef: { kind: Project, external: projects/acme-prod } }
---
apiVersion: iam.cnrm.cloud.google.com/v1beta1
kind: IAMPolicyMember
metadata: { name: p, namespace: acme-prod }
spec: { member: \"serviceAccount:x@${PROJECT_ID?}.iam.gserviceaccount.com\", role: roles/viewer }
---
apiVersion: v1
kind: List
items:
  - { apiVersion: v1, kind: ServiceAccount, metadata: { name: web, namespace: shop } }
";
        let (kind, owners) = of(yaml);
        assert_eq!(kind, FileKind::Manifests);
        assert_eq!(
            accounts(&owners),
            [(CHECKOUT.to_owned(), "IAMServiceAccount shop/web".to_owned())]
        );
        let member = Member::parse(&format!("serviceAccount:{CHECKOUT}"));
        assert_eq!(owners.members[&member].len(), 1);
        assert_eq!(owners.not_understood.len(), 1, "the placeholder");
        assert_eq!(
            owners.ksas.values().next().map(|o| o.tool),
            Some(Tool::Kubernetes)
        );
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
