//! Roles, and the conditions under which they hold.

use super::super::members::Given;
use super::super::yaml::{map, quoted, scalar};
use super::Writer;
use super::text::Text;
use crate::names::{Condition, ProjectId};
use crate::resource::Resource;

/// What is said of the right to act as all accounts of a project.
pub(super) const WIDE: &str = "it may act as every account of the project by this";

impl Writer<'_> {
    /// A list of roles; `home` is the project of a role that names no resource.
    pub fn grants(
        &self,
        field: &str,
        grants: &[Given],
        home: Option<&ProjectId>,
        text: &mut Text,
        depth: usize,
    ) {
        if !grants.is_empty() {
            text.line(depth, &format!("{field}:"));
        }
        for key in grants {
            let role = scalar(key.role.as_str());
            let at_home =
                matches!((&key.resource, home), (Resource::Project(p), Some(home)) if p == home);
            if at_home && key.condition.is_none() {
                text.line(depth + 1, &format!("- {role}"));
                continue;
            }
            let mut fields = vec![format!("role: {role}")];
            if !at_home {
                fields.push(format!("resource: {}", scalar(&key.resource.to_string())));
            }
            let why = self.remark(key.is_wide().then_some(WIDE));
            let end = key.condition.as_ref().map(|c| (c, expires(c)));
            if let Some((condition, None)) = end {
                for (n, field) in fields.iter().enumerate() {
                    match n {
                        0 => text.line(depth + 1, &format!("- {field}{why}")),
                        _ => text.line(depth + 2, field),
                    }
                }
                condition_of(condition, text, depth + 2);
                continue;
            }
            fields.extend(end.and_then(|(_, day)| Some(format!("expires: {}", day?))));
            text.line(depth + 1, &format!("- {}{why}", map(&fields)));
        }
    }
}

/// A condition in one line.
pub(super) fn condition_field(condition: &Condition) -> String {
    if let Some(day) = expires(condition) {
        return format!("expires: {day}");
    }
    let mut fields = vec![format!("title: {}", scalar(&condition.title))];
    if !condition.description.is_empty() {
        fields.push(format!("description: {}", scalar(&condition.description)));
    }
    fields.push(format!("expression: {}", quoted(&condition.expression)));
    format!("condition: {}", map(&fields))
}

fn condition_of(condition: &Condition, text: &mut Text, depth: usize) {
    text.line(depth, "condition:");
    text.line(depth + 1, &format!("title: {}", scalar(&condition.title)));
    if !condition.description.is_empty() {
        text.line(
            depth + 1,
            &format!("description: {}", scalar(&condition.description)),
        );
    }
    text.line(
        depth + 1,
        &format!("expression: {}", quoted(&condition.expression)),
    );
}

/// The day or the time of a condition that is `expires` in a spec.
fn expires(condition: &Condition) -> Option<String> {
    let text = condition.title.strip_prefix("until-")?;
    let as_spec = Condition::until(text)?;
    (as_spec == *condition).then(|| quoted_time(text))
}

fn quoted_time(text: &str) -> String {
    match text.contains(':') {
        true => quoted(text),
        false => text.to_owned(),
    }
}
