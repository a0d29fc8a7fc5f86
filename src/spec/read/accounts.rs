//! Google service accounts: made by this spec, or existing elsewhere.

use std::collections::{BTreeMap, HashMap};

use super::{At, Entry, Reader};
use crate::identity::{Email, ProjectId, check_service_account_id};
use crate::spec::model::{AccountSpec, OnRemove};

impl Reader<'_> {
    pub(super) fn accounts(
        &mut self,
        entries: &[Entry<'_>],
        default: Option<&ProjectId>,
    ) -> BTreeMap<String, AccountSpec> {
        let mut accounts = BTreeMap::new();
        let mut emails: HashMap<Email, At> = HashMap::new();
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
        let external = entry.node.get("email").and_then(|n| Some((n, n.text()?)));
        let (email, project) = if let Some((node, text)) = external {
            for field in ["id", "project", "displayName", "onRemove"] {
                if let Some((key, _)) = entry.node.entries().iter().find(|(k, _)| k.text == field) {
                    self.tell(
                        "external_account",
                        &entry.at(key.span),
                        format!("`{}` has an `email` and so exists elsewhere; `{field}` would change it", entry.name),
                        "not with `email`",
                        Some(format!("Take out `{field}`; or take out `email`, and this spec makes the account.")),
                    );
                }
            }
            let email = self.parsed(&entry.at(node.span), Email::parse(text))?;
            // Accounts that Google made have no project in their address.
            let project = email.project().or_else(|| default.cloned());
            let Some(project) = project else {
                self.project(entry, default);
                return None;
            };
            (email, project)
        } else {
            let project = self.project(entry, default);
            let id = entry.node.get("id").and_then(|n| Some((n.span, n.text()?)));
            let (at, id) = match id {
                Some((span, id)) => (entry.at(span), id),
                None => (entry.at.clone(), entry.name),
            };
            if let Err(e) = check_service_account_id(id) {
                let help = (id == entry.name).then(|| {
                    "The key is the account's id. Rename it, or keep it and give an `id`."
                        .to_owned()
                });
                self.tell("name", &at, e.0, "not allowed", help);
                return None;
            }
            let project = project?;
            (project.service_account(id), project)
        };
        let display_name = entry
            .node
            .get("displayName")
            .and_then(|n| Some((n.span, n.text()?)));
        if let Some((span, text)) = display_name
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
        let grants = self.grants(entry, entry.node.get("grants"), Some(&project), "");
        Some(AccountSpec {
            email,
            project,
            managed: external.is_none(),
            display_name: display_name.map(|(_, text)| text.to_owned()),
            grants,
            on_remove: self.on_remove(entry),
            place: entry.at.place(),
        })
    }

    fn on_remove(&mut self, entry: &Entry<'_>) -> OnRemove {
        let Some((node, text)) = entry
            .node
            .get("onRemove")
            .and_then(|n| Some((n, n.text()?)))
        else {
            return OnRemove::default();
        };
        match text {
            "disable" => OnRemove::Disable,
            "delete" => OnRemove::Delete,
            "keep" => OnRemove::Keep,
            other => {
                self.tell(
                    "name",
                    &entry.at(node.span),
                    format!("`onRemove` is not `{other}`"),
                    "disable, delete or keep",
                    None,
                );
                OnRemove::default()
            }
        }
    }
}
