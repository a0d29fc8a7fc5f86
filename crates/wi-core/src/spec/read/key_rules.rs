//! Which user-managed keys accounts may have.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::{Entry, Reader};
use crate::spec::key_rule::{KeyRule, Keys};
use crate::spec::tree::{Node, Value};

impl Reader<'_> {
    pub(super) fn key_rule(&mut self, entry: &Entry<'_>) -> Option<KeyRule> {
        let node = entry.node.get("keys")?;
        let keys = match &node.value {
            Value::Map(_) => self.allowed_keys(entry, node)?,
            _ => match node.text()? {
                "none" => Keys::None,
                "keep" => Keys::Keep,
                other => {
                    let message = format!("`keys` is `none`, `keep` or `allow`, not `{other}`");
                    let help = "For some: keys: { allow: [KEYID], until: 2027-01-31, reason: … }";
                    let help = Some(help.to_owned());
                    self.tell("keys", &entry.at(node.span), message, "not a rule", help);
                    return None;
                }
            },
        };
        Some(KeyRule {
            keys,
            place: entry.at(node.span).place(),
        })
    }

    fn allowed_keys(&mut self, entry: &Entry<'_>, node: &Node) -> Option<Keys> {
        let mut ids = BTreeSet::new();
        let list = node.get("allow").map(Node::items);
        for item in list.unwrap_or_default() {
            let Some(id) = item.text() else { continue };
            let is_id = (8..=64).contains(&id.len())
                && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            if is_id {
                ids.insert(id.to_owned());
            } else {
                let message = format!("`{id}` is no id of a key");
                let help = "It is `private_key_id` of its file; `wi scan --live` lists them.";
                let help = Some(help.to_owned());
                self.tell(
                    "keys",
                    &entry.at(item.span),
                    message,
                    "hexadecimal digits",
                    help,
                );
            }
        }
        let (at, text) = node.get("until").and_then(|n| Some((n.span, n.text()?)))?;
        let Ok(until) = text.parse::<Date>() else {
            let message = format!("`{text}` is no day");
            self.tell("keys", &entry.at(at), message, "such as 2027-01-31", None);
            return None;
        };
        let reason = node.get("reason").and_then(Node::text)?.to_owned();
        Some(Keys::Allow { ids, until, reason })
    }
}
