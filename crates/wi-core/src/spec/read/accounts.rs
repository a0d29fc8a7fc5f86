//! Google service accounts: made by this spec, or existing elsewhere.

use std::collections::{BTreeMap, HashMap};

use super::grants::Home;
use super::{ACCOUNT, Entry, Reader, SourceSpan};
use crate::names::{
    ClusterPath, Email, KsaIdentity, KsaSet, KubeName, Member, NameError, ProjectId,
    check_service_account_id, is_region_or_zone,
};
use crate::spec::model::{AccountSpec, OnRemove, UserSpec};
use crate::spec::tree::Node;

/// Whether an address can have it as a name: no separator of addresses is in it, so that it spells neither
/// another account's email nor a Kubernetes service account.
fn is_name(key: &str) -> bool {
    let rest = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    key.len() <= 63 && key.starts_with(|c: char| c.is_ascii_alphanumeric()) && key.bytes().all(rest)
}

impl Reader<'_> {
    pub(super) fn accounts(
        &mut self,
        entries: &[Entry<'_>],
        default: Option<&ProjectId>,
    ) -> BTreeMap<String, AccountSpec> {
        let mut accounts = BTreeMap::new();
        let mut emails: HashMap<Email, SourceSpan> = HashMap::new();
        for entry in entries {
            let Some(account) = self.account(entry, default) else {
                continue;
            };
            if let Some(first) = emails.insert(account.email.clone(), entry.at.clone()) {
                self.tell_both(
                    "same_account",
                    &entry.at,
                    &first,
                    format!("{} has two names in the spec", account.email),
                    "Keep one of them.",
                );
            }
            accounts.insert(entry.name.to_owned(), account);
        }
        accounts
    }

    fn account(&mut self, entry: &Entry<'_>, default: Option<&ProjectId>) -> Option<AccountSpec> {
        let has_own_name = ["id", "email"].iter().any(|f| entry.node.get(f).is_some());
        if has_own_name && !is_name(entry.name) {
            self.tell(
                "name",
                &entry.at,
                format!(
                    "`{}` is not a name for an account: up to 63 letters, digits, hyphens, underscores and dots, beginning with a letter or a digit",
                    entry.name
                ),
                "not allowed",
                Some("It is only the spec's: `--target gsa.NAME` and plans use it.".to_owned()),
            );
            self.refused.insert((ACCOUNT, entry.name.to_owned()));
            return None;
        }
        let external = entry.node.get("email").and_then(|n| Some((n, n.text()?)));
        let address = match external {
            Some((node, text)) => self.external(entry, node, text, default),
            None => self.own(entry, default),
        };
        self.display_name(entry);
        // Where the account's own project is not known, what its grants say is checked all the same.
        let home = match &address {
            Some((_, project)) => Home::Project(project),
            None => Home::Unread,
        };
        let grants = self.grants(entry, entry.node.get("grants"), home);
        let users = match &address {
            Some((_, project)) if external.is_none() => self.users(entry, project),
            _ => Vec::new(),
        };
        let keys = self.key_rule(entry);
        let (email, project) = address?;
        let text = |field: &str| entry.node.get(field).and_then(Node::text);
        Some(AccountSpec {
            email,
            project,
            managed: external.is_none(),
            display_name: text("displayName").map(str::to_owned),
            grants,
            users,
            on_remove: match text("onRemove") {
                Some("delete") => Some(OnRemove::Delete),
                Some("keep") => Some(OnRemove::Keep),
                Some("disable") => Some(OnRemove::Disable),
                _ => None,
            },
            keys,
            place: entry.at.place(),
        })
    }

    /// Who else may act as an account; `home` is its project.
    fn users(&mut self, entry: &Entry<'_>, home: &ProjectId) -> Vec<UserSpec> {
        let list = entry.node.get("users").map(Node::items);
        let mut users = Vec::new();
        for item in list.unwrap_or_default() {
            let node = item.get("user").unwrap_or(item);
            let condition = self.condition_or_end(entry, item, None);
            // One whose condition could not be read would be let in for ever.
            let is_read = ["condition", "expires"]
                .iter()
                .all(|f| item.get(f).is_none());
            let Some(text) = node.text().filter(|_| is_read || condition.is_some()) else {
                continue;
            };
            let at = entry.at(node.span);
            match user(text, home) {
                Ok((member, project)) => users.push(UserSpec {
                    number: Member::number_in(text),
                    place: at.place(),
                    member,
                    project,
                    condition,
                }),
                Err(e) => self.tell("name", &at, e.0, "not a user", e.1),
            }
        }
        users
    }

    /// The address and project of an account that exists elsewhere.
    fn external(
        &mut self,
        entry: &Entry<'_>,
        node: &Node,
        text: &str,
        default: Option<&ProjectId>,
    ) -> Option<(Email, ProjectId)> {
        for field in ["id", "project", "displayName", "users", "onRemove"] {
            if let Some((key, _)) = entry.node.entries().iter().find(|(k, _)| k.text == field) {
                self.tell(
                    "external_account",
                    &entry.at(key.span),
                    format!(
                        "`{}` has an `email` and so exists elsewhere; `{field}` would change it",
                        entry.name
                    ),
                    "not with `email`",
                    Some(format!(
                        "Take out `{field}`; or take out `email`, and this spec makes the account."
                    )),
                );
            }
        }
        let email = self.parsed(&entry.at(node.span), Email::parse(text))?;
        // Accounts that Google made have no project in their address.
        let project = match email.project() {
            Some(project) => project,
            None => self.project(entry, default)?,
        };
        Some((email, project))
    }

    /// The address and project of an account of this spec.
    fn own(
        &mut self,
        entry: &Entry<'_>,
        default: Option<&ProjectId>,
    ) -> Option<(Email, ProjectId)> {
        let project = self.project(entry, default);
        if !entry.node.is_clear("id") || !entry.node.is_clear("email") {
            return None;
        }
        let (at, id) = match entry.node.get("id").and_then(|n| Some((n.span, n.text()?))) {
            Some((span, id)) => (entry.at(span), id),
            None => (entry.at.clone(), entry.name),
        };
        if let Err(e) = check_service_account_id(id) {
            let help = match (id == entry.name, e.1) {
                (true, Some(help)) => Some(format!("{help} Or keep the key, and give an `id`.")),
                (true, None) => Some(
                    "The key is the account's id. Rename it, or keep it and give an `id`."
                        .to_owned(),
                ),
                (false, help) => help,
            };
            self.tell("name", &at, e.0, "not allowed", help);
            self.refused.insert((ACCOUNT, entry.name.to_owned()));
            return None;
        }
        let project = project?;
        Some((project.service_account(id), project))
    }

    fn display_name(&mut self, entry: &Entry<'_>) {
        if let Some((span, text)) = entry
            .node
            .get("displayName")
            .and_then(|n| Some((n.span, n.text()?)))
            && text.len() > 100
        {
            self.tell(
                "too_long",
                &entry.at(span),
                format!(
                    "a display name has at most 100 bytes; this has {}",
                    text.len()
                ),
                "too long",
                None,
            );
        }
    }
}

/// A user, and the project of its workload pool where its name says it. `home` is the account's project.
fn user(text: &str, home: &ProjectId) -> Result<(Member, Option<ProjectId>), NameError> {
    if text.contains(':') {
        return match Member::parse(text) {
            Member::Other(text) if !text.starts_with("principal") => Err(not_a_user(&text)),
            Member::ServiceAccount(_) | Member::DeletedServiceAccount { .. } => {
                Err(not_a_user(text))
            }
            member => Ok((member, None)),
        };
    }
    let parts: Vec<&str> = text.split('/').collect();
    let (project, namespace, name) = match parts.as_slice() {
        ["cluster", project, location, name] => {
            let project = ProjectId::parse(project)?;
            KubeName::label(name)?;
            if !is_region_or_zone(location) {
                return Err(not_a_user(text));
            }
            let path = ClusterPath {
                project: project.clone(),
                location: (*location).to_owned(),
                name: (*name).to_owned(),
            };
            return Ok((Member::Set(KsaSet::of_cluster(&path)), Some(project)));
        }
        [namespace, name] => (home.clone(), *namespace, *name),
        [project, namespace, name] => (ProjectId::parse(project)?, *namespace, *name),
        _ => return Err(not_a_user(text)),
    };
    let pool = project.workload_pool();
    let member = match (namespace, name) {
        ("*", "*") => Member::Set(KsaSet::of_pool(pool)),
        ("*", _) => return Err(not_a_user(text)),
        (namespace, "*") => Member::Set(KsaSet::of_namespace(pool, &KubeName::label(namespace)?)),
        (namespace, name) => Member::Ksa(KsaIdentity {
            pool,
            namespace: KubeName::label(namespace)?.to_string(),
            name: KubeName::parse(name)?.to_string(),
        }),
    };
    Ok((member, Some(project)))
}

fn not_a_user(text: &str) -> NameError {
    NameError::not(text, "a user of an account").help(
        "NAMESPACE/KSA, PROJECT/NAMESPACE/KSA, PROJECT/NAMESPACE/* for all of a namespace, cluster/PROJECT/LOCATION/NAME for all of a cluster, or a member as IAM writes it: \"principal://…\"."
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use crate::spec::{Source, load_sources};

    #[test]
    fn keys_of_accounts_spell_no_other_address() {
        let valid = |key: &str| {
            let text = format!(
                "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters: {{ main: {{ location: europe-west1 }} }}\ngoogleServiceAccounts: {{ \"{key}\": {{ id: checkout }} }}\n"
            );
            load_sources(vec![Source::new("wi.yaml".to_owned(), text)]).is_ok()
        };
        for key in ["checkout", "Team_A.checkout", "7-eleven"] {
            assert!(valid(key), "{key}");
        }
        let long = "a".repeat(64);
        for key in [
            "acme-prod/shop/checkout",
            "acme-prod%2Fshop",
            "checkout:roles",
            "checkout@acme-prod.iam.gserviceaccount.com",
            "check out",
            "-checkout",
            ".",
            "checkout?x",
            "zürich",
            &long,
        ] {
            assert!(!valid(key), "{key}");
        }
    }
}
