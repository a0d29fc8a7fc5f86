//! `guard`: what a spec must not ask for, checked where it asks.

use std::sync::Arc;

use super::{Reader, SourceSpan};
use crate::names::Role;
use crate::spec::Document;
use crate::spec::diagnostics::Diagnostic;
use crate::spec::model::Guard;
use crate::spec::tree::{Node, Value};

/// The rules about roles, with their places.
#[derive(Default)]
pub(super) struct RoleRules {
    forbidden: Vec<(String, SourceSpan)>,
    conditional: Vec<(String, SourceSpan)>,
}

impl Reader<'_> {
    /// Reads the guards of all documents: all rules hold.
    pub(super) fn guard(&mut self, documents: &[Document]) -> Guard {
        let mut guard = Guard::default();
        for document in documents {
            let Some(node) = document.root.get("guard") else {
                continue;
            };
            let at = |node: &Node| SourceSpan {
                source: Arc::clone(&document.source),
                span: node.span,
            };
            let list = |field: &str| -> Vec<(String, SourceSpan)> {
                node.get(field)
                    .map(Node::items)
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|n| Some((n.text()?.to_owned(), at(n))))
                    .collect()
            };
            self.rules.forbidden.extend(list("forbidRoles"));
            self.rules.conditional.extend(list("requireConditionFor"));
            let members = list("forbidMembers").into_iter();
            guard
                .forbid_members
                .extend(members.map(|(pattern, at)| (pattern, at.place())));
            let keys = node.get("forbidKeys");
            if let Some((node, Value::Bool(true))) = keys.map(|n| (n, &n.value)) {
                guard.forbid_keys = Some(at(node).place());
            }
            // A value of another kind has been told already.
            let max = node.get("maxRemovals");
            if let Some((node, Value::Number(text))) = max.map(|n| (n, &n.value))
                && let Ok(most) = text.parse()
            {
                guard.max_removals = Some((most, at(node).place()));
            }
        }
        guard
    }

    /// Tells if a grant breaks a rule.
    pub(super) fn check_role(&mut self, at: &SourceSpan, role: &Role, has_condition: bool) {
        let broken = |rules: &[(String, SourceSpan)]| {
            rules
                .iter()
                .find(|(pattern, _)| glob(pattern, role.as_str()))
                .map(|(_, rule)| rule.clone())
        };
        let (rule, message, label) = if let Some(rule) = broken(&self.rules.forbidden) {
            (
                rule,
                format!("the guard forbids {role}"),
                "forbidden by this rule",
            )
        } else if let Some(rule) = broken(&self.rules.conditional).filter(|_| !has_condition) {
            let message = format!("the guard wants a condition on {role}");
            (rule, message, "by this rule")
        } else {
            return;
        };
        self.mistakes.push(Diagnostic {
            code: "guard",
            message,
            help: None,
            label: Some((Arc::clone(&at.source), at.span, "granted here".to_owned())),
            other: Some((Arc::clone(&rule.source), rule.span, label.to_owned())),
        });
    }
}

/// Whether a text is like a pattern, in which `*` stands for anything.
pub fn glob(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn globs() {
        for (pattern, text) in [
            ("roles/owner", "roles/owner"),
            ("roles/*", "roles/iam.admin"),
            ("*admin*", "roles/iam.administer"),
            ("roles/*.admin", "roles/storage.admin"),
        ] {
            assert!(glob(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("roles/owner", "roles/owners"),
            ("roles/*.admin", "roles/storage.admins"),
            ("*x*", "roles/owner"),
        ] {
            assert!(!glob(pattern, text), "{pattern} {text}");
        }
    }
}
