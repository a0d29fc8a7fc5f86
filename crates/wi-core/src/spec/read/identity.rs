//! How pods of a Kubernetes service account reach Google APIs.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::grants::Home;
use super::{Context, Entry, Reader};
use crate::names::{Email, Role};
use crate::resource::Resource;
use crate::spec::diagnostics::Diagnostic;
use crate::spec::model::{Grant, Impersonation, KsaAccess};
use crate::spec::tree::Node;

impl Reader<'_> {
    /// How its pods reach Google APIs: everywhere, or where an override says.
    pub(super) fn identity(
        &mut self,
        entry: &Entry<'_>,
        name: &str,
        node: &Node,
        clusters: Option<&BTreeSet<&str>>,
        context: &Context<'_>,
    ) -> Option<KsaAccess> {
        let impersonates = node.get("impersonates");
        let impersonates = impersonates.filter(|n| n.get("account").unwrap_or(n).text().is_some());
        let grants = node.get("grants").filter(|g| !g.items().is_empty());
        let own = node.get("ownGrants").filter(|g| !g.items().is_empty());
        match (impersonates, grants, own) {
            (Some(account), Some(grants), _) => {
                self.mistakes.push(Diagnostic {
                    code: "two_identities",
                    message: format!("`{name}` both acts as a Google service account and has roles of its own"),
                    help: Some("Which is meant? With `impersonates`, Google sees the account only, and the roles of its own do nothing: move them to the account's `grants`, or take out `impersonates`. Where it is to keep them all the same, they are its `ownGrants`.".to_owned()),
                    label: Some((Arc::clone(entry.source), account.span, "acts as this account".to_owned())),
                    other: Some((Arc::clone(entry.source), grants.span, "has these roles".to_owned())),
                });
                None
            }
            (Some(account), None, own) => {
                let own_grants = self.own_roles(entry, own, clusters, context);
                self.impersonation(entry, account, own_grants, context)
            }
            (None, _, Some(own)) if node.is_clear("impersonates") => {
                self.tell(
                    "own_grants",
                    &entry.at(own.span),
                    format!("`{name}` acts as no Google service account here: its roles are its `grants`"),
                    "beside `impersonates` alone",
                    Some("Call them `grants`, or say which account it acts as: impersonates.".to_owned()),
                );
                None
            }
            (None, grants, _) => Some(KsaAccess::Direct(
                self.own_roles(entry, grants, clusters, context),
            )),
        }
    }

    /// Roles of the service account itself.
    fn own_roles(
        &mut self,
        entry: &Entry<'_>,
        grants: Option<&Node>,
        clusters: Option<&BTreeSet<&str>>,
        context: &Context<'_>,
    ) -> Vec<Grant> {
        let projects = clusters.and_then(|c| context.projects(c));
        let home = match projects.as_deref() {
            None => Home::Unread,
            Some([only]) => Home::Project(only),
            Some(_) => Home::Several,
        };
        self.grants(entry, grants, home)
    }

    fn impersonation(
        &mut self,
        entry: &Entry<'_>,
        node: &Node,
        own_grants: Vec<Grant>,
        context: &Context<'_>,
    ) -> Option<KsaAccess> {
        let account = node.get("account").unwrap_or(node);
        let text = account.text()?;
        let help = text.contains('@').then(|| match Email::parse(text) {
            Ok(email) => context.account_of(&email),
            Err(_) => "Write the account's name in `googleServiceAccounts`.".to_owned(),
        });
        self.refer(&entry.at(account.span), text, &context.accounts, help);
        let condition = self.condition_or_end(entry, node, None);
        let is_limited = node.get("condition").or(node.get("expires")).is_some();
        let through = match node.get("through") {
            None => None,
            Some(node) => Some(self.through(entry, node, (text, condition.is_some()), context)?),
        };
        // Without a condition that could not be read it would be let in for ever.
        (condition.is_some() || !is_limited).then(|| {
            KsaAccess::Impersonates(Impersonation {
                account: text.to_owned(),
                condition,
                through,
                own_grants,
            })
        })
    }

    /// The project on which it has the right to act as every account there, that of this name among them.
    fn through(
        &mut self,
        entry: &Entry<'_>,
        node: &Node,
        (account, has_condition): (&str, bool),
        context: &Context<'_>,
    ) -> Option<Resource> {
        let at = entry.at(node.span);
        let through = self.parsed(&at, Resource::parse(node.text()?, None))?;
        self.check_role(&at, &Role::workload_identity_user(), has_condition);
        let (message, label) = match (&through, context.read_accounts.get(account)) {
            (Resource::Project(project), Some(account))
                if account.project != *project && project.number().is_none() =>
            {
                (
                    format!(
                        "the right on {through} lets nobody act as {}, which is of another project",
                        account.email
                    ),
                    "not the account's project",
                )
            }
            (Resource::Project(_), _) => return Some(through),
            _ => (format!("`{through}` is no project"), "not a project"),
        };
        let help = "Take it out: then the right is on the account alone, which is what most want.";
        self.tell("through", &at, message, label, Some(help.to_owned()));
        None
    }
}
