//! Roles on resources, with their conditions.

use std::collections::BTreeMap;

use super::{Entry, Reader, SourceSpan};
use crate::cel::Expression;
use crate::names::{Condition, ProjectId, Role};
use crate::resource::Resource;
use crate::spec::Document;
use crate::spec::model::{Grant, SourceLine};
use crate::spec::tree::Node;

/// The project of roles that name no resource.
#[derive(Clone, Copy)]
pub(super) enum Home<'a> {
    Project(&'a ProjectId),
    /// There are several, or it may be any.
    Several,
    /// It could not be read, which has been told.
    Unread,
}

/// Of `&&`, `||` and `!` in one condition.
const MAX_OPERATORS: usize = 12;

impl Reader<'_> {
    /// Grants of an account; a role without a resource is on `home`.
    pub(super) fn grants(
        &mut self,
        entry: &Entry<'_>,
        list: Option<&Node>,
        home: Home<'_>,
    ) -> Vec<Grant> {
        let mut grants: Vec<Grant> = Vec::new();
        let mut places: Vec<SourceSpan> = Vec::new();
        for item in list.map(Node::items).unwrap_or_default() {
            let role_node = if item.text().is_some() {
                Some(item)
            } else {
                item.get("role")
            };
            let role =
                role_node.and_then(|n| self.parsed(&entry.at(n.span), Role::parse(n.text()?)));
            let resource = self.resource(entry, item, home);
            let condition = self.condition_or_end(entry, item, role.as_ref());
            if let Some(role) = &role {
                self.check_role(&entry.at(item.span), role, condition.is_some());
            }
            let (Some(role), Some(resource)) = (role, resource) else {
                continue;
            };
            let at = entry.at(item.span);
            let grant = Grant {
                role,
                resource,
                condition,
                place: at.place(),
            };
            let same = |g: &Grant| {
                (&g.role, &g.resource, &g.condition)
                    == (&grant.role, &grant.resource, &grant.condition)
            };
            if let Some(first) = grants.iter().position(same) {
                let first = places[first].clone();
                self.tell_both(
                    "duplicate_grant",
                    &at,
                    &first,
                    format!("{} on {} is granted twice", grant.role, grant.resource),
                    "Keep one of the two.",
                );
                continue;
            }
            grants.push(grant);
            places.push(at);
        }
        grants
    }

    /// What a grant is on.
    fn resource(&mut self, entry: &Entry<'_>, item: &Node, home: Home<'_>) -> Option<Resource> {
        let Some((node, text)) = item.get("resource").and_then(|n| Some((n, n.text()?))) else {
            return match home {
                Home::Project(project) => Some(Resource::Project(project.clone())),
                Home::Several if item.is_clear("resource") => {
                    self.tell(
                        "missing_field",
                        &entry.at(item.span),
                        "this role has no resource".to_owned(),
                        "on which project? its clusters are in several",
                        Some("Write it as a map: { role: …, resource: project/ID }".to_owned()),
                    );
                    None
                }
                _ => None,
            };
        };
        let at = entry.at(node.span);
        match home {
            Home::Project(project) => self.parsed(&at, Resource::parse(text, Some(project))),
            Home::Several => self.parsed(&at, Resource::parse(text, None)),
            Home::Unread => {
                // The names are checked in some project, and it is in none.
                let some = ProjectId::parse("some-project").ok();
                self.parsed(&at, Resource::parse(text, some.as_ref()));
                None
            }
        }
    }

    /// When something holds: `condition` or `expires`.
    pub(super) fn condition_or_end(
        &mut self,
        entry: &Entry<'_>,
        item: &Node,
        role: Option<&Role>,
    ) -> Option<Condition> {
        match (item.get("condition"), item.get("expires")) {
            (Some(node), Some(expires)) => {
                self.tell(
                    "two_conditions",
                    &entry.at(expires.span),
                    "a grant has a `condition` or `expires`, not both".to_owned(),
                    "and a condition as well",
                    Some(
                        "Put the end into the condition: request.time < timestamp(\"…\")"
                            .to_owned(),
                    ),
                );
                self.condition(entry, node, role)
            }
            (Some(node), None) => self.condition(entry, node, role),
            (None, Some(node)) => self.expires(entry, node, role),
            (None, None) => None,
        }
    }

    fn condition(
        &mut self,
        entry: &Entry<'_>,
        node: &Node,
        role: Option<&Role>,
    ) -> Option<Condition> {
        let text = |field: &str| node.get(field).and_then(Node::text);
        self.no_basic_role(entry, node, role);
        if let Some(expression) = node.get("expression") {
            let text = expression.text().unwrap_or_default();
            if let Err(e) = Expression::parse(text) {
                self.tell(
                    "condition",
                    &entry.at(expression.span),
                    format!("the condition cannot be read: {e}"),
                    "no expression of CEL",
                    Some("Such as: request.time < timestamp(\"2027-01-01T00:00:00Z\")".to_owned()),
                );
            }
            let count = operators(text);
            if count > MAX_OPERATORS {
                self.tell(
                    "condition",
                    &entry.at(expression.span),
                    format!(
                        "the condition has {count} logical operators; IAM allows {MAX_OPERATORS}"
                    ),
                    "too many",
                    Some("Split it into several grants with a condition each.".to_owned()),
                );
            }
        }
        Some(Condition {
            title: text("title")?.to_owned(),
            description: text("description").unwrap_or_default().to_owned(),
            expression: text("expression")?.to_owned(),
            rest: String::new(),
        })
    }

    /// `expires: 2027-01-01` is a condition on the time.
    fn expires(
        &mut self,
        entry: &Entry<'_>,
        node: &Node,
        role: Option<&Role>,
    ) -> Option<Condition> {
        let text = node.text()?;
        let until = Condition::until(text);
        if until.is_none() {
            self.tell(
                "name",
                &entry.at(node.span),
                format!("`{text}` is not a day or a time"),
                "not a time",
                Some("expires: 2027-01-01, or 2027-01-01T12:00:00Z".to_owned()),
            );
            return None;
        }
        self.no_basic_role(entry, node, role);
        until
    }

    fn no_basic_role(&mut self, entry: &Entry<'_>, node: &Node, role: Option<&Role>) {
        if let Some(role) = role.filter(|r| r.takes_no_condition()) {
            self.tell(
                "condition",
                &entry.at(node.span),
                format!("IAM allows no condition on the basic role {role}"),
                "not with this role",
                Some("Grant a predefined or custom role instead.".to_owned()),
            );
        }
    }

    /// `removed` of all documents.
    /// Places to search.
    pub(super) fn search(&mut self, documents: &[Document]) -> BTreeMap<Resource, SourceLine> {
        let mut places = BTreeMap::new();
        for document in documents {
            let items = document.root.get("search").map(Node::items);
            for node in items.unwrap_or_default() {
                let at = SourceSpan {
                    source: std::sync::Arc::clone(&document.source),
                    span: node.span,
                };
                let Some(text) = node.text() else { continue };
                let Some(place) = self.parsed(&at, Resource::parse(text, None)) else {
                    continue;
                };
                if place.is_of_hierarchy() {
                    places.insert(place, at.place());
                } else {
                    self.tell(
                        "name",
                        &at,
                        format!("`{text}` is no place to search in"),
                        "not a project, folder or organization",
                        Some("Write organization/NUMBER, folder/NUMBER or project/ID.".to_owned()),
                    );
                }
            }
        }
        places
    }

    pub(super) fn removed(
        &mut self,
        documents: &[Document],
        project: Option<&ProjectId>,
    ) -> BTreeMap<Resource, SourceLine> {
        let mut removed = BTreeMap::new();
        for document in documents {
            let items = document.root.get("removed").map(Node::items);
            for node in items.unwrap_or_default() {
                let at = SourceSpan {
                    source: std::sync::Arc::clone(&document.source),
                    span: node.span,
                };
                let Some(text) = node.text() else { continue };
                if let Some(resource) = self.parsed(&at, Resource::parse(text, project)) {
                    removed.insert(resource, at.place());
                }
            }
        }
        removed
    }
}

/// How many logical operators an expression has, texts aside.
fn operators(expression: &str) -> usize {
    let mut count = 0;
    let mut quote = None;
    let mut characters = expression.chars().peekable();
    while let Some(c) = characters.next() {
        match quote {
            Some(q) if c == '\\' => {
                characters.next();
                let _ = q;
            }
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None => match c {
                '"' | '\'' => quote = Some(c),
                '&' | '|' if characters.peek() == Some(&c) => {
                    characters.next();
                    count += 1;
                }
                '!' if characters.peek() != Some(&'=') => count += 1,
                _ => {}
            },
        }
    }
    count
}

#[cfg(test)]
mod tests {
    #[test]
    fn operators_in_texts_do_not_count() {
        assert_eq!(
            super::operators(r#"a && (b || !c) && d != "x && \" || y""#),
            4
        );
    }
}
