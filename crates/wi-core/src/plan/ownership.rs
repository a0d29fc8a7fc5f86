//! The marks on objects that say who made them.

use crate::spec::model::OnRemove;

/// The label on all that `wi` made or adopted.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The annotation that names the spec.
pub const OWNER: &str = "wi/owner";
/// The annotation on objects that were there before: they are released, not deleted.
pub const ADOPTED: &str = "wi/adopted";

/// The mark at the end of a Google service account's description: `[wi:NAME]`, or with what is to
/// become of the account when it leaves the spec, since nobody else will know then: `[wi:NAME keep]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountMark<'a> {
    /// The spec's name.
    pub owner: &'a str,
    /// What becomes of the account.
    pub on_remove: OnRemove,
}

/// A description without its mark, and the mark.
pub fn split_description(description: &str) -> (&str, Option<AccountMark<'_>>) {
    let whole = description.trim_end();
    let parts = whole
        .rsplit_once("[wi:")
        .and_then(|(text, rest)| Some((text.trim_end(), rest.strip_suffix(']')?)));
    let Some((text, mark)) = parts else {
        return (description, None);
    };
    let (owner, on_remove) = mark.split_once(' ').unwrap_or((mark, "disable"));
    let on_remove = match on_remove {
        "delete" => OnRemove::Delete,
        "keep" => OnRemove::Keep,
        _ => OnRemove::Disable,
    };
    (text, Some(AccountMark { owner, on_remove }))
}

/// Whose account it is, by its description.
pub fn owner_in_description(description: &str) -> Option<&str> {
    split_description(description).1.map(|mark| mark.owner)
}

/// A description with a mark at its end.
pub fn marked_description(text: &str, owner: &str, on_remove: OnRemove) -> String {
    let mark = match on_remove {
        OnRemove::Disable => format!("[wi:{owner}]"),
        OnRemove::Delete => format!("[wi:{owner} delete]"),
        OnRemove::Keep => format!("[wi:{owner} keep]"),
    };
    if text.is_empty() {
        mark
    } else {
        format!("{text} {mark}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_back() {
        for on_remove in [OnRemove::Disable, OnRemove::Delete, OnRemove::Keep] {
            let description = marked_description("Pays [fast]", "shop", on_remove);
            let mark = AccountMark {
                owner: "shop",
                on_remove,
            };
            assert_eq!(split_description(&description), ("Pays [fast]", Some(mark)));
        }
        assert_eq!(split_description("by hand"), ("by hand", None));
    }
}
