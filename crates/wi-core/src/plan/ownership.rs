//! The marks on objects that say who made them.

use std::fmt;

use crate::spec::model::OnRemove;
use crate::wire::kubernetes::{FIELD_MANAGER, ObjectMeta};
pub use crate::wire::kubernetes::{MANAGED_BY, OWNER};

/// The annotation on objects that were there before: they are released, not deleted.
pub const ADOPTED: &str = "wi/adopted";
/// The annotation on such service accounts that says as which Google one each acted before: it is put back.
pub const FORMER: &str = "wi/former-account";

/// The spec whose mark an object of Kubernetes carries. The mark counts where `wi` itself has applied it: a
/// copy of the object (`kubectl get -o yaml | kubectl apply`) has the text, and is nobody's.
pub fn owner_of(meta: &ObjectMeta) -> Option<&str> {
    let mark = meta.annotations.get(OWNER)?;
    meta.is_applied_by(FIELD_MANAGER, OWNER)
        .then_some(mark.as_str())
}

/// Whether a service account of the spec outlives it: it was there before, or each namespace has one of that name.
pub(super) fn is_given_back(meta: &ObjectMeta) -> bool {
    meta.name == DEFAULT || meta.annotations.contains_key(ADOPTED)
}

/// The service account that Kubernetes itself makes in each namespace.
pub(super) const DEFAULT: &str = "default";

/// Whether an object carries this spec's mark.
pub(super) fn is_ours(meta: &ObjectMeta, owner: &str) -> bool {
    owner_of(meta) == Some(owner)
}

/// Whether it is being deleted: what is in it goes too.
pub(super) fn is_going(meta: &ObjectMeta) -> bool {
    !meta.deletion_timestamp.is_empty()
}

/// The mark that an object carries and that does not count ([`owner_of`]).
pub fn copied_mark(meta: &ObjectMeta) -> Option<&str> {
    let mark = meta.annotations.get(OWNER)?;
    owner_of(meta).is_none().then_some(mark.as_str())
}

/// The mark at the end of a Google service account's description: `[wi:NAME]`, in it what nobody else will
/// know when the account leaves the spec: `[wi:NAME adopted]`, `[wi:NAME keep]`, `[wi:NAME adopted delete]`; and
/// `[wi:NAME released]` once it has left, for the next spec to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountMark<'a> {
    /// The spec's name.
    pub owner: &'a str,
    /// Whether it was there before the spec.
    pub adopted: bool,
    /// What becomes of the account, where the spec says so.
    pub on_remove: Option<OnRemove>,
    /// Whether the spec has let it go.
    pub released: bool,
}

impl<'a> AccountMark<'a> {
    /// The mark on an account that `owner` makes.
    pub fn of(owner: &'a str, on_remove: Option<OnRemove>) -> Self {
        Self {
            owner,
            adopted: false,
            on_remove,
            released: false,
        }
    }

    /// What becomes of the account when it leaves the spec: others may use one that was there before.
    pub fn fate(&self) -> OnRemove {
        self.on_remove.unwrap_or(match self.adopted {
            true => OnRemove::Keep,
            false => OnRemove::Disable,
        })
    }

    fn read(text: &'a str) -> Self {
        let (owner, words) = text.split_once(' ').unwrap_or((text, ""));
        let mut mark = Self::of(owner, None);
        for word in words.split(' ') {
            match word {
                "adopted" => mark.adopted = true,
                "released" => mark.released = true,
                "disable" => mark.on_remove = Some(OnRemove::Disable),
                "delete" => mark.on_remove = Some(OnRemove::Delete),
                "keep" => mark.on_remove = Some(OnRemove::Keep),
                _ => {}
            }
        }
        mark
    }
}

impl fmt::Display for AccountMark<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[wi:{}", self.owner)?;
        if self.adopted {
            f.write_str(" adopted")?;
        }
        f.write_str(match self.on_remove {
            Some(OnRemove::Delete) => " delete",
            Some(OnRemove::Keep) => " keep",
            // Said of one that was there before; otherwise it needs no saying.
            Some(OnRemove::Disable) if self.adopted => " disable",
            Some(OnRemove::Disable) | None => "",
        })?;
        f.write_str(if self.released { " released]" } else { "]" })
    }
}

/// A description without its mark, and the mark.
pub fn split_description(description: &str) -> (&str, Option<AccountMark<'_>>) {
    let whole = description.trim_end();
    let parts = whole
        .rsplit_once("[wi:")
        .and_then(|(text, rest)| Some((text.trim_end(), rest.strip_suffix(']')?)));
    match parts {
        Some((text, mark)) => (text, Some(AccountMark::read(mark))),
        None => (description, None),
    }
}

/// Whose account it is, by its description; nobody's, once its spec has let it go.
pub fn owner_in_description(description: &str) -> Option<&str> {
    let mark = split_description(description).1?;
    (!mark.released).then_some(mark.owner)
}

/// A description with a mark at its end.
pub fn marked_description(text: &str, mark: AccountMark<'_>) -> String {
    if text.is_empty() {
        mark.to_string()
    } else {
        format!("{text} {mark}")
    }
}

/// Another tool that says that an object is its own.
pub fn other_manager(meta: &ObjectMeta) -> Option<String> {
    let annotation = |name: &str| meta.annotations.get(name);
    if let Some(release) = annotation("meta.helm.sh/release-name") {
        return Some(format!("the Helm release {release}"));
    }
    let argo = annotation("argocd.argoproj.io/tracking-id")
        .or_else(|| meta.labels.get("argocd.argoproj.io/instance"));
    if let Some(app) = argo {
        let app = app.split(':').next().unwrap_or_default();
        return Some(format!("the Argo CD application {app}"));
    }
    if annotation("configmanagement.gke.io/managed").is_some_and(|v| v == "enabled") {
        return Some("Config Sync".to_owned());
    }
    if meta
        .annotations
        .keys()
        .any(|k| k.starts_with("cnrm.cloud.google.com/"))
    {
        return Some("Config Connector".to_owned());
    }
    // It marks nothing: its hand is seen by the fields that it has set.
    let mut managers = meta.managed_fields.iter().map(|m| m.manager.as_str());
    if let Some(manager) = managers.find(|m| matches!(*m, "HashiCorp" | "Terraform")) {
        return Some(format!("Terraform (field manager {manager})"));
    }
    let tool = meta.labels.get(MANAGED_BY).filter(|t| *t != "wi")?;
    Some(format!("{tool} (label {MANAGED_BY})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_back() {
        let all = [OnRemove::Disable, OnRemove::Delete, OnRemove::Keep];
        for on_remove in all.map(Some).into_iter().chain([None]) {
            for (adopted, released) in [(false, false), (true, false), (false, true)] {
                let mark = AccountMark {
                    owner: "shop",
                    adopted,
                    on_remove,
                    released,
                };
                let description = marked_description("Pays [fast]", mark);
                let (text, read) = split_description(&description);
                let read = read.expect("a mark");
                assert_eq!(text, "Pays [fast]");
                assert_eq!(read.to_string(), mark.to_string());
                assert_eq!(read.fate(), mark.fate(), "{mark}");
                assert_eq!(
                    owner_in_description(&description).is_some(),
                    !released,
                    "{mark}"
                );
            }
        }
        assert_eq!(split_description("by hand"), ("by hand", None));
    }

    #[test]
    fn what_was_there_before_is_released_unless_the_spec_says_otherwise() {
        let fate = |description: &str| {
            let mark = split_description(description).1;
            mark.expect("a mark").fate()
        };
        assert_eq!(fate("[wi:shop]"), OnRemove::Disable);
        assert_eq!(fate("[wi:shop adopted]"), OnRemove::Keep);
        assert_eq!(fate("[wi:shop adopted disable]"), OnRemove::Disable);
        assert_eq!(fate("[wi:shop adopted delete]"), OnRemove::Delete);
    }

    #[test]
    fn mark_counts_where_wi_has_applied_it() {
        let by = |manager: &str, operation: &str| -> ObjectMeta {
            serde_json::from_value(serde_json::json!({
                "annotations": { OWNER: "shop" },
                "managedFields": [{ "manager": manager, "operation": operation, "fieldsV1": {
                    "f:metadata": { "f:annotations": { format!("f:{OWNER}"): {} } } } }],
            }))
            .expect("metadata")
        };
        assert_eq!(owner_of(&by("wi", "Apply")), Some("shop"));
        for copy in [by("kubectl", "Apply"), by("wi", "Update")] {
            assert_eq!((owner_of(&copy), copied_mark(&copy)), (None, Some("shop")));
        }
    }
}
