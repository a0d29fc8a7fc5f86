//! What each choice rests on.

use super::facts::Facts;
use super::members::Members;
use super::refused::Refused;
use super::told::Choices;
use crate::plan::ownership::{other_manager, owner_of};
use crate::wire::kubernetes::ObjectMeta;

/// All of it.
pub(super) struct Asked<'a> {
    pub facts: &'a Facts,
    pub members: &'a Members,
    pub choices: &'a Choices,
    /// The spec's name.
    pub owner: &'a str,
    pub refused: &'a Refused,
}

impl Asked<'_> {
    /// Who made an object, where that is not this spec, and it is not taken over.
    pub fn whose(&self, meta: &ObjectMeta) -> Option<String> {
        match owner_of(meta) {
            Some(one) if one == self.owner => return None,
            Some(other) => return Some(format!("the spec named {other}")),
            None => {}
        }
        let owners = &self.choices.owners;
        let key = (meta.namespace.clone(), meta.name.clone());
        let by_file = match meta.namespace.as_str() {
            "" => owners.namespaces.get(&meta.name),
            _ => owners.ksas.get(&key),
        };
        let is_taken = |tool: &str| {
            let may_go = tool.starts_with("Terraform") || tool.starts_with("Config Connector");
            self.choices.take_over && may_go
        };
        let by_file = by_file.map(|owner| owner.in_words());
        by_file
            .or_else(|| other_manager(meta))
            .filter(|tool| !is_taken(tool))
    }
}
