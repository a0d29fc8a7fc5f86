//! Config Connector's objects, and those of Kubernetes beside them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Owner, Owners, Tool};
use crate::names::{Email, Member, ProjectId};

impl Owners {
    /// One object of Kubernetes, or a list of them.
    pub(super) fn manifest(&mut self, object: &Value) {
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
                Some(member) if !member.contains("${") => self.member(Member::parse(member), owner),
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

#[cfg(test)]
mod tests {
    use super::super::tests::{CHECKOUT, accounts, of};
    use super::super::{FileKind, Tool};
    use crate::names::Member;

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
}
