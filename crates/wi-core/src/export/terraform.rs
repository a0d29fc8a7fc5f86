//! As Terraform's Google and Kubernetes providers have it, with blocks that import what is there.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::hcl::{aligned, text};
use super::names::Names;
use super::{Imports, pools_by_number, project_of};
use crate::address::BindingKey;
use crate::desired::{Desired, GSA_ANNOTATION};
use crate::names::{Email, Member};
use crate::plan::iam_member;
use crate::resource::Resource;

/// HCL in the form of `terraform fmt`, of which `terraform plan` imports what is there.
pub fn terraform(desired: &Desired, imports: &Imports) -> String {
    let mut out = String::from("# What the spec asks for, for Terraform. ");
    out.push_str(match imports {
        Imports::Declared => "It is imported, not made, as if the\n# spec was applied: of what is not there yet terraform plan says that it cannot\n# be imported (wi export --import existing looks).\n",
        Imports::Existing(_) => "What is there already is imported,\n# not made.\n",
        Imports::None => "Nothing is imported.\n",
    });
    out.push_str("# A role that a member has already is added again without any effect. Clusters\n# and node pools are not in it.\n");
    let mut names = Names::new('_', 200);
    let projects: BTreeMap<String, String> = pools_by_number(desired)
        .into_iter()
        .map(|pool| {
            let name = names.give(project_of(&pool));
            let id = desired
                .pools
                .get(&pool)
                .map_or(project_of(&pool).to_owned(), ToString::to_string);
            let _ = write!(
                out,
                "\ndata \"google_project\" \"{name}\" {{\n  project_id = {}\n}}\n",
                text(&id)
            );
            (pool, name)
        })
        .collect();
    let mut names = Names::new('_', 200);
    let mut accounts: BTreeMap<&Email, String> = BTreeMap::new();
    for (called, account) in desired.accounts.iter().filter(|(_, a)| a.managed) {
        let name = names.give(called);
        let id = format!(
            "projects/{}/serviceAccounts/{}",
            account.project, account.email
        );
        if imports.has(&desired.account_address(&account.email)) {
            imported(&mut out, &format!("google_service_account.{name}"), &id);
        }
        let _ = write!(
            out,
            "\nresource \"google_service_account\" \"{name}\" {{\n  project    = {}\n  account_id = {}\n",
            text(account.project.as_str()),
            text(account.email.account_id())
        );
        if let Some(display_name) = &account.display_name {
            let _ = writeln!(out, "  display_name = {}", text(display_name));
        }
        out.push_str("\n  lifecycle {\n    ignore_changes = [description, display_name] # the mark of the spec goes with it\n  }\n}\n");
        accounts.insert(&account.email, name);
    }
    let mut names = Names::new('_', 200);
    for key in desired.bindings.keys() {
        let is_there = imports.has(&desired.binding_address(key));
        binding(key, is_there, &accounts, &projects, &mut names, &mut out);
    }
    let mut names = Names::new('_', 200);
    for (key, ksa) in desired.ksas.iter().filter(|(_, ksa)| !ksa.existing) {
        let name = names.give(&format!("{}_{}_{}", key.cluster, key.namespace, key.name));
        let id = format!("{}/{}", key.namespace, key.name);
        if imports.has(&key.address()) {
            imported(
                &mut out,
                &format!("kubernetes_service_account_v1.{name}"),
                &id,
            );
        }
        let _ = write!(
            out,
            "\nresource \"kubernetes_service_account_v1\" \"{name}\" {{\n  provider = kubernetes.{} # yours to configure\n\n  metadata {{\n    name      = {}\n    namespace = {}\n",
            Names::new('_', 200).give(&key.cluster),
            text(key.name.as_str()),
            text(key.namespace.as_str())
        );
        if let Some(account) = &ksa.account {
            let email = match accounts.get(account) {
                Some(name) => format!("google_service_account.{name}.email"),
                None => text(account.as_str()),
            };
            let _ = write!(
                out,
                "    annotations = {{\n      {} = {email}\n    }}\n",
                text(GSA_ANNOTATION)
            );
        }
        out.push_str("  }\n}\n");
    }
    aligned(&out)
}

fn binding(
    key: &BindingKey,
    is_there: bool,
    accounts: &BTreeMap<&Email, String>,
    projects: &BTreeMap<String, String>,
    names: &mut Names,
    out: &mut String,
) {
    let (kind, arguments) = iam_member(&key.resource);
    let number = |pool: &str| {
        let name = projects.get(pool);
        name.map_or_else(String::new, |name| {
            format!("${{data.google_project.{name}.number}}")
        })
    };
    // The number is Terraform's to find out: it stands for itself in a text that is escaped.
    let by_number = |pool: &str, member: String| {
        let escaped = text(&member);
        escaped.replacen("projects/0/", &format!("projects/{}/", number(pool)), 1)
    };
    let (member, known) = match &key.member {
        Member::ServiceAccount(email) => match accounts.get(email) {
            Some(name) => (
                format!("google_service_account.{name}.member"),
                Some(format!("serviceAccount:{email}")),
            ),
            None => (
                text(&format!("serviceAccount:{email}")),
                Some(format!("serviceAccount:{email}")),
            ),
        },
        Member::Ksa(ksa) if key.is_impersonation() => {
            (text(&ksa.legacy_member()), Some(ksa.legacy_member()))
        }
        Member::Ksa(ksa) => (by_number(&ksa.pool, ksa.principal(0)), None),
        Member::Set(set) => (by_number(&set.pool, set.member(0)), None),
        Member::DeletedServiceAccount { .. } => return,
        Member::Other(member) => (text(member), Some(member.clone())),
    };
    let role = key.role.as_str();
    let short = role.rsplit('/').next().unwrap_or_default();
    let name = names.give(&format!("{}_{short}_{}", key.member, key.resource));
    let titled = key
        .condition
        .as_ref()
        .map(|c| format!(" {}", c.title))
        .unwrap_or_default();
    if let (Some(resource), Some(member)) = (import_id(&key.resource), known)
        && is_there
    {
        imported(
            out,
            &format!("{kind}.{name}"),
            &format!("{resource} {role} {member}{titled}"),
        );
    }
    let _ = write!(out, "\nresource \"{kind}\" \"{name}\" {{\n");
    for (argument, value) in &arguments {
        let value = match (&key.resource, value) {
            (Resource::ServiceAccount(email), _) if accounts.contains_key(email) => {
                format!("google_service_account.{}.name", accounts[email])
            }
            (_, Value::String(value)) => text(value),
            (_, other) => other.to_string(),
        };
        let _ = writeln!(out, "  {argument} = {value}");
    }
    let _ = write!(out, "  role   = {}\n  member = {member}\n", text(role));
    if let Some(condition) = &key.condition {
        let _ = write!(
            out,
            "\n  condition {{\n    title      = {}\n",
            text(&condition.title)
        );
        if !condition.description.is_empty() {
            let _ = writeln!(out, "    description = {}", text(&condition.description));
        }
        let _ = write!(
            out,
            "    expression = {}\n  }}\n",
            text(&condition.expression)
        );
    }
    out.push_str("}\n");
}

fn imported(out: &mut String, to: &str, id: &str) {
    let _ = write!(out, "\nimport {{\n  to = {to}\n  id = {}\n}}\n", text(id));
}

/// The first word of what a member of the resource is imported by, of kinds where that is known for sure.
fn import_id(resource: &Resource) -> Option<String> {
    let names = resource.names();
    let first = names.first()?;
    Some(match resource.kind().short {
        "project" => first.clone(),
        "folder" => format!("folders/{first}"),
        "organization" => first.clone(),
        "serviceaccount" => {
            let Resource::ServiceAccount(email) = resource else {
                return None;
            };
            format!("projects/{}/serviceAccounts/{email}", email.project()?)
        }
        "bucket" => format!("b/{first}"),
        "secret" => format!("projects/{first}/secrets/{}", names.get(1)?),
        "topic" => format!("projects/{first}/topics/{}", names.get(1)?),
        "subscription" => format!("projects/{first}/subscriptions/{}", names.get(1)?),
        "dataset" => format!("projects/{first}/datasets/{}", names.get(1)?),
        _ => return None,
    })
}
