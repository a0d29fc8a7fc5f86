//! `audit`: what is expected of identities beyond what their roles explain.

use std::sync::Arc;

use super::{Context, Reader, SourceSpan};
use crate::names::{KubeName, ProjectId};
use crate::spec::Document;
use crate::spec::model::{Audit, Expect, Expected};
use crate::spec::tree::Node;

impl Reader<'_> {
    /// Reads those of all documents: all of them count.
    pub(super) fn audit(&mut self, documents: &[Document], context: &Context<'_>) -> Audit {
        let mut audit = Audit::default();
        for document in documents {
            let guard = document.root.get("guard");
            let wanted = guard.and_then(|g| g.get("requireConditionFor"));
            let patterns = wanted.map(Node::items).unwrap_or_default().iter();
            audit
                .conditional
                .extend(patterns.filter_map(|n| Some(n.text()?.to_owned())));
            let Some(node) = document.root.get("audit") else {
                continue;
            };
            let at = |node: &Node| SourceSpan {
                source: Arc::clone(&document.source),
                span: node.span,
            };
            let items = |field: &str| node.get(field).map(Node::items).unwrap_or_default();
            for project in items("trustedProjects") {
                if let Some(text) = project.text()
                    && let Some(id) = self.parsed(&at(project), ProjectId::parse(text))
                {
                    audit.trusted_projects.insert(id);
                }
            }
            for node in items("expect").iter().filter(|n| n.is_read()) {
                if let Some(expect) = self.expect(node, &at, context) {
                    audit.expect.push(expect);
                }
            }
        }
        audit
    }

    fn expect(
        &mut self,
        node: &Node,
        at: &impl Fn(&Node) -> SourceSpan,
        context: &Context<'_>,
    ) -> Option<Expect> {
        let text = |field: &str| Some((node.get(field)?, node.get(field)?.text()?));
        let has = |field: &&str| node.get(field).is_some();
        let whose = ["account", "serviceAccount", "principal"];
        if whose.iter().filter(|f| has(f)).count() != 1 {
            self.tell(
                "audit",
                &at(node),
                "what is expected is of one identity".to_owned(),
                "whose?",
                Some("Give it one of: account: NAME, serviceAccount: NAMESPACE/NAME, principal: EMAIL".to_owned()),
            );
            return None;
        }
        if !["service", "finding"].iter().any(has) {
            self.tell(
                "audit",
                &at(node),
                "it is not said what is expected".to_owned(),
                "what of it?",
                Some("Give it a service (bigquery.googleapis.com) or a finding (L5).".to_owned()),
            );
            return None;
        }
        let subject = if let Some((node, name)) = text("account") {
            self.refer(&at(node), name, &context.accounts, None);
            Expected::Account(name.to_owned())
        } else if let Some((node, name)) = text("serviceAccount") {
            let Some((namespace, name)) = name.split_once('/') else {
                let message = format!("`{name}` names no Kubernetes service account");
                let help = Some("NAMESPACE/NAME".to_owned());
                self.tell("audit", &at(node), message, "no namespace", help);
                return None;
            };
            Expected::Ksa {
                namespace: self.parsed(&at(node), KubeName::label(namespace))?,
                name: self.parsed(&at(node), KubeName::parse(name))?,
            }
        } else {
            Expected::Principal(text("principal")?.1.to_owned())
        };
        let until = match text("until") {
            None => None,
            Some((node, date)) => match date.parse() {
                Ok(date) => Some(date),
                Err(_) => {
                    let message = format!("`{date}` is no date");
                    let help = Some("2027-03-31".to_owned());
                    self.tell("audit", &at(node), message, "not a date", help);
                    return None;
                }
            },
        };
        let owned = |field: &str| text(field).map(|(_, text)| text.to_owned());
        Some(Expect {
            subject,
            service: owned("service"),
            finding: owned("finding"),
            about: owned("about"),
            reason: owned("reason")?,
            until,
            place: at(node).place(),
        })
    }
}
