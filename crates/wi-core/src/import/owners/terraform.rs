//! Terraform's states, and what `terraform show -json` prints of states and plans.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::references::Configuration;
use super::{Owner, Owners, Tool};
use crate::desired::GSA_ANNOTATION;
use crate::names::{Email, Member, ProjectId};

/// A resource, whatever document it is in.
struct Resource<'a> {
    /// The address of its module, empty for the root.
    module: &'a str,
    kind: &'a str,
    name: &'a str,
    /// Its own key, as it is in addresses: `["web"]`, `[0]`, or nothing.
    index: String,
    address: String,
    values: &'a Value,
}

impl Resource<'_> {
    fn owner(&self) -> Owner {
        Owner {
            tool: Tool::Terraform,
            address: self.address.clone(),
        }
    }

    fn in_configuration(&self) -> (&str, &str, &str) {
        (self.module, self.kind, self.name)
    }
}

/// Accounts by the addresses of their resources.
type Accounts = BTreeMap<String, Email>;

impl Owners {
    /// The resources of a state, version 4.
    pub(super) fn state(&mut self, resources: &[Value]) {
        let managed = resources.iter().filter(|r| r["mode"] == "managed");
        let all = managed.flat_map(|resource| {
            let text = |name: &str| resource[name].as_str().unwrap_or_default();
            let (module, kind, name) = (text("module"), text("type"), text("name"));
            let prefix = match module {
                "" => String::new(),
                module => format!("{module}."),
            };
            let instances = resource["instances"].as_array().into_iter().flatten();
            instances.map(move |instance| {
                let index = index(&instance["index_key"]);
                Resource {
                    module,
                    kind,
                    name,
                    address: format!("{prefix}{kind}.{name}{index}"),
                    index,
                    values: &instance["attributes"],
                }
            })
        });
        self.resources(&all.collect::<Vec<_>>(), Configuration::none());
    }

    /// What `terraform show -json` prints.
    pub(super) fn shown(&mut self, shown: &Value) {
        let values = [
            &shown["prior_state"]["values"],
            &shown["values"],
            &shown["planned_values"],
        ];
        for values in values {
            let mut all = Vec::new();
            module(&values["root_module"], &mut all);
            self.resources(&all, Configuration::of(shown));
        }
        // What is to be changed may be known as it is now.
        let accounts = self.accounts.values();
        let known: BTreeSet<Owner> = accounts
            .chain(self.members.values().flatten())
            .cloned()
            .collect();
        self.not_understood
            .retain(|owner, _| !known.contains(owner));
    }

    fn resources(&mut self, all: &[Resource<'_>], configuration: Configuration<'_>) {
        let mut accounts = Accounts::new();
        for one in all.iter().filter(|r| r.kind == "google_service_account") {
            match email_of(one, configuration) {
                Some(email) => {
                    accounts.insert(one.address.clone(), email.clone());
                    self.accounts.insert(email, one.owner());
                }
                None => {
                    let why = "its email is not known yet: apply it first".to_owned();
                    self.not_understood.insert(one.owner(), why);
                }
            }
        }
        for one in all {
            self.resource(one, &accounts, configuration);
        }
    }

    fn resource(
        &mut self,
        one: &Resource<'_>,
        accounts: &Accounts,
        configuration: Configuration<'_>,
    ) {
        let Resource { kind, values, .. } = *one;
        let owner = one.owner();
        let metadata = &values["metadata"][0];
        let text = |of: &Value, name: &str| of[name].as_str().unwrap_or_default().to_owned();
        match kind {
            "google_service_account" => {}
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
            _ if kind.starts_with("google_") => self.right(one, accounts, configuration),
            _ => {}
        }
    }

    /// What gives roles, by the names that all such types share.
    fn right(&mut self, one: &Resource<'_>, accounts: &Accounts, configuration: Configuration<'_>) {
        let Resource { kind, values, .. } = *one;
        let owner = one.owner();
        if kind.ends_with("_iam_member") {
            match values["member"].as_str() {
                Some(member) => self.member(Member::parse(member), owner),
                None => match referred(one, "member", accounts, configuration).as_slice() {
                    [only] => self.member(Member::ServiceAccount(only.clone()), owner),
                    _ => {
                        let why = "its member is not known yet: apply it first".to_owned();
                        self.not_understood.insert(owner, why);
                    }
                },
            }
        } else if kind.ends_with("_iam_binding") {
            let known = values["members"].as_array().into_iter().flatten();
            let known = known.filter_map(Value::as_str).map(Member::parse);
            let referred = referred(one, "members", accounts, configuration);
            let members: BTreeSet<Member> = known
                .chain(referred.into_iter().map(Member::ServiceAccount))
                .collect();
            self.whole.insert(owner, members);
        } else if kind.ends_with("_iam_policy") {
            // A JSON text within JSON.
            let policy = values["policy_data"].as_str();
            let Some(policy) = policy.and_then(|p| serde_json::from_str::<Value>(p).ok()) else {
                let why = "whom its policy names is not known yet: it decides about all of them";
                self.not_understood.insert(owner, why.to_owned());
                return;
            };
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
            let referred = ["user_by_email", "iam_member"]
                .iter()
                .flat_map(|a| referred(one, a, accounts, configuration))
                .next();
            let account = email.or(referred).map(Member::ServiceAccount);
            if let Some(member) = member.or(account) {
                self.member(member, owner);
            }
        } else if kind.contains("_iam_") && kind != "google_project_iam_custom_role" {
            let why = format!("wi does not know the type {kind}");
            self.not_understood.insert(owner, why);
        }
    }
}

fn index(key: &Value) -> String {
    match key {
        Value::Null => String::new(),
        Value::String(key) => format!("[{key:?}]"),
        other => format!("[{other}]"),
    }
}

/// The resources of a module and of those that it calls.
fn module<'a>(of: &'a Value, all: &mut Vec<Resource<'a>>) {
    let text = |of: &'a Value, name: &str| of[name].as_str().unwrap_or_default();
    for resource in of["resources"].as_array().into_iter().flatten() {
        if resource["mode"] == "managed"
            && let Some(address) = resource["address"].as_str()
        {
            all.push(Resource {
                module: text(of, "address"),
                kind: text(resource, "type"),
                name: text(resource, "name"),
                index: index(&resource["index"]),
                address: address.to_owned(),
                values: &resource["values"],
            });
        }
    }
    for child in of["child_modules"].as_array().into_iter().flatten() {
        module(child, all);
    }
}

/// The accounts that an argument which is not known yet refers to; none where it may be something else.
fn referred(
    one: &Resource<'_>,
    argument: &str,
    accounts: &Accounts,
    configuration: Configuration<'_>,
) -> Vec<Email> {
    if !matches!(one.values[argument], Value::Null) {
        return Vec::new();
    }
    let prefix = match one.module {
        "" => String::new(),
        module => format!("{module}."),
    };
    let mut found: BTreeSet<Email> = BTreeSet::new();
    let all = configuration.references(one.in_configuration(), argument);
    // `a.b.email` is followed by `a.b`, which is the same one.
    let is_most = |r: &&str| !all.iter().any(|other| other != r && other.starts_with(*r));
    for reference in all.iter().copied().filter(is_most) {
        let is_value = ["var.", "local.", "each.", "count.", "path.", "terraform."];
        if is_value.iter().any(|p| reference.starts_with(p)) {
            continue;
        }
        let Some(rest) = reference.strip_prefix("google_service_account.") else {
            return Vec::new();
        };
        let name = rest.split(['.', '[']).next().unwrap_or_default();
        let account = format!("{prefix}google_service_account.{name}");
        let email = match rest[name.len()..].starts_with('[') {
            true => {
                let named = accounts.iter().find(|(address, _)| {
                    let full = address.strip_prefix(&prefix);
                    full.is_some_and(|full| full.ends_with(']') && reference.starts_with(full))
                });
                named.map(|(_, email)| email)
            }
            // Of several instances the one with the same key is meant.
            false => {
                let same = accounts.get(&format!("{account}{}", one.index));
                same.or_else(|| accounts.get(&account))
            }
        };
        match email {
            Some(email) => _ = found.insert(email.clone()),
            None => return Vec::new(),
        }
    }
    found.into_iter().collect()
}

/// The email of a `google_service_account`: as it is known, or as its id and its project make it. The project may be
/// told by its `id` alone, or by its provider.
fn email_of(one: &Resource<'_>, configuration: Configuration<'_>) -> Option<Email> {
    let values = one.values;
    if let Some(email) = values["email"].as_str() {
        return Email::parse(email).ok();
    }
    let by_id = || {
        let id = values["id"].as_str()?;
        id.strip_prefix("projects/")?.split('/').next()
    };
    let project = values["project"]
        .as_str()
        .or_else(by_id)
        .or_else(|| configuration.project(one.in_configuration()))?;
    let project = ProjectId::parse(project).ok()?;
    Some(project.service_account(values["account_id"].as_str()?))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::FileKind;
    use super::super::tests::{CHECKOUT, accounts, of};
    use super::*;

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
    fn policies_are_read_however_their_text_is_escaped() {
        let policy = |data: Value| {
            let state = json!({ "version": 4, "resources": [{ "mode": "managed", "type": "google_project_iam_policy", "name": "p",
                "instances": [{ "attributes": { "policy_data": data } }] }] });
            of(&state.to_string()).1
        };
        let escaped = r#"{"bindings":[{"role":"roles/viewer","members":["\u0075ser:ann@example.com","serviceAccount:acme-prod.svc.id.goog[shop\/web]"],"condition":{"title":"\"a\" \\ b","expression":"request.time \u003c timestamp(\"2027-01-01T00:00:00Z\")"}}]}"#;
        let members = [
            "user:ann@example.com",
            "serviceAccount:acme-prod.svc.id.goog[shop/web]",
        ];
        assert_eq!(
            policy(json!(escaped)).whole.into_values().next(),
            Some(members.map(Member::parse).into())
        );
        // What cannot be read is not a policy of nobody.
        for unknown in [json!(null), json!("{")] {
            let owners = policy(unknown);
            assert!(owners.whole.is_empty());
            assert_eq!(owners.not_understood.len(), 1);
        }
    }

    /// A plan of a new account with roles, in a module that is called for each of two.
    fn plan(references: Value) -> Value {
        let instance = |key: &str| {
            let module = format!("module.app[\"{key}\"]");
            json!({ "address": module, "resources": [
                { "address": format!("{module}.google_service_account.this"), "mode": "managed", "type": "google_service_account", "name": "this", "values": { "account_id": format!("{key}-app") } },
                { "address": format!("{module}.google_project_iam_member.this[0]"), "mode": "managed", "type": "google_project_iam_member", "name": "this", "index": 0, "values": { "role": "roles/viewer" } },
                { "address": format!("{module}.google_project_iam_binding.all"), "mode": "managed", "type": "google_project_iam_binding", "name": "all", "values": { "role": "roles/viewer" } },
            ] })
        };
        json!({
            "format_version": "1.2",
            "variables": { "project": { "value": "acme-prod" }, "token": { "value": "CANARY" } },
            "planned_values": { "root_module": { "child_modules": [instance("eu"), instance("us")] } },
            "prior_state": { "values": { "root_module": { "resources": [
                { "address": "data.google_client_config.me", "mode": "data", "type": "google_client_config", "name": "me", "values": { "access_token": "CANARY" } },
            ] } } },
            "configuration": {
                "provider_config": { "google": { "expressions": { "project": { "references": ["var.project"] } } } },
                "root_module": { "module_calls": { "app": { "module": { "resources": [
                    { "mode": "managed", "type": "google_service_account", "name": "this", "provider_config_key": "google" },
                    { "mode": "managed", "type": "google_project_iam_member", "name": "this", "expressions": { "member": { "references": references } } },
                    { "mode": "managed", "type": "google_project_iam_binding", "name": "all", "expressions": { "members": { "references": references } } },
                ] } } } },
            },
        })
    }

    #[test]
    fn a_plan_of_a_new_account_says_by_references_who_gets_a_role() {
        let references = json!([
            "google_service_account.this.email",
            "google_service_account.this",
            "var.kind"
        ]);
        let (kind, owners) = of(&plan(references).to_string());
        assert_eq!(kind, FileKind::Shown);
        let emails: Vec<&str> = owners.accounts.keys().map(Email::as_str).collect();
        assert_eq!(
            emails,
            [
                "eu-app@acme-prod.iam.gserviceaccount.com",
                "us-app@acme-prod.iam.gserviceaccount.com"
            ]
        );
        let us = Member::parse("serviceAccount:us-app@acme-prod.iam.gserviceaccount.com");
        let addresses: Vec<&str> = owners.members[&us]
            .iter()
            .map(|o| o.address.as_str())
            .collect();
        assert_eq!(
            addresses,
            ["module.app[\"us\"].google_project_iam_member.this[0]"]
        );
        assert_eq!(owners.whole.values().last(), Some(&BTreeSet::from([us])));
        assert!(
            owners.not_understood.is_empty(),
            "{:?}",
            owners.not_understood
        );
        assert!(!format!("{owners:?}").contains("CANARY"));
    }

    #[test]
    fn what_may_be_somebody_else_is_told_and_not_guessed() {
        for references in [
            json!([]),
            json!(["module.other.email"]),
            json!(["google_service_account.other.email"]),
            json!(["data.google_service_account.this.email"]),
            json!([
                "google_service_account.this.email",
                "google_project.p.number"
            ]),
        ] {
            let (_, owners) = of(&plan(references.clone()).to_string());
            assert!(owners.members.is_empty(), "{references}");
            assert_eq!(owners.not_understood.len(), 2, "{references}");
        }
    }

    #[test]
    fn one_of_several_instances_is_meant_by_its_key() {
        let resource = |kind: &str, key: &str, values: Value| json!({ "address": format!("{kind}.all[\"{key}\"]"), "mode": "managed", "type": kind, "name": "all", "index": key, "values": values });
        let account = |key: &str| {
            resource(
                "google_service_account",
                key,
                json!({ "account_id": format!("{key}-app"), "project": "acme-prod" }),
            )
        };
        let with = |references: Value| {
            let shown = json!({ "format_version": "1.2",
                "planned_values": { "root_module": { "resources": [account("eu"), account("us"), resource("google_project_iam_member", "us", json!({}))] } },
                "configuration": { "root_module": { "resources": [{ "mode": "managed", "type": "google_project_iam_member", "name": "all", "expressions": { "member": { "references": references } } }] } } });
            let (_, owners) = of(&shown.to_string());
            owners
                .members
                .keys()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        let us = ["us-app@acme-prod.iam.gserviceaccount.com"];
        assert_eq!(with(json!(["google_service_account.all", "each.key"])), us);
        assert_eq!(
            with(json!([
                "google_service_account.all[\"eu\"].email",
                "google_service_account.all[\"eu\"]",
                "google_service_account.all"
            ])),
            ["eu-app@acme-prod.iam.gserviceaccount.com"]
        );
        assert_eq!(
            with(json!(["google_service_account.all[\"asia\"].email"])),
            [""; 0]
        );
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
}
