//! Roles on resources, with their conditions.

use super::{At, Entry, Reader};
use crate::identity::{Condition, ProjectId, Role};
use crate::resources::Resource;
use crate::spec::model::Grant;
use crate::spec::tree::Node;

impl Reader<'_> {
    /// Grants of an account; a role without a resource is on `home`.
    pub(super) fn grants(
        &mut self,
        entry: &Entry<'_>,
        list: Option<&Node>,
        home: Option<&ProjectId>,
        why_no_home: &str,
    ) -> Vec<Grant> {
        let mut grants: Vec<Grant> = Vec::new();
        let mut places: Vec<At> = Vec::new();
        for item in list.map(Node::items).unwrap_or_default() {
            let role_node = if item.text().is_some() {
                Some(item)
            } else {
                item.get("role")
            };
            let Some((role_node, role)) = role_node.and_then(|n| Some((n, n.text()?))) else {
                continue;
            };
            let role = self.role(&entry.at(role_node.span), role);
            let resource = match item.get("resource").and_then(|n| Some((n, n.text()?))) {
                Some((node, text)) => {
                    self.parsed(&entry.at(node.span), Resource::parse(text, home))
                }
                None => {
                    if home.is_none() && !why_no_home.is_empty() {
                        self.tell(
                            "missing_field",
                            &entry.at(item.span),
                            "this role has no resource".to_owned(),
                            why_no_home,
                            Some("Write it as a map: { role: …, resource: project/ID }".to_owned()),
                        );
                    }
                    home.cloned().map(Resource::Project)
                }
            };
            let condition = item
                .get("condition")
                .and_then(|node| self.condition(entry, node, role.as_ref()));
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

    fn role(&mut self, at: &At, text: &str) -> Option<Role> {
        match Role::parse(text) {
            Ok(role) => Some(role),
            Err(e) => {
                let bare = format!("roles/{text}");
                let help = (!text.contains('/') && Role::parse(&bare).is_ok())
                    .then(|| format!("Did you mean `{bare}`?"));
                self.tell("name", at, e.0, "not a role", help);
                None
            }
        }
    }

    fn condition(
        &mut self,
        entry: &Entry<'_>,
        node: &Node,
        role: Option<&Role>,
    ) -> Option<Condition> {
        let text = |field: &str| node.get(field).and_then(Node::text);
        if let Some(role) = role.filter(|r| r.is_basic()) {
            self.tell(
                "condition",
                &entry.at(node.span),
                format!("IAM allows no condition on the basic role {role}"),
                "not with this role",
                Some("Grant a predefined or custom role instead.".to_owned()),
            );
        }
        Some(Condition {
            title: text("title")?.to_owned(),
            description: text("description").unwrap_or_default().to_owned(),
            expression: text("expression")?.to_owned(),
        })
    }
}
