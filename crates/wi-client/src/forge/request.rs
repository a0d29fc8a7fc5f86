//! What each forge has to be able to do for a comment.

use std::collections::BTreeSet;

use super::client::{Client, Failed};
use super::{Label, Target};

/// A pull request or a merge request, as far as a comment on it is concerned.
pub(super) trait Request: Sized {
    /// Looks at it, and at who asks.
    async fn open(client: Client, target: &Target) -> Result<Self, Failed>;

    /// Its newest commit.
    fn head(&self) -> &str;

    /// Who asks.
    fn login(&self) -> &str;

    /// All its comments, with their authors.
    async fn comments(&self) -> Result<Vec<(String, Existing)>, Failed>;

    /// A new one; its URL.
    async fn create(&self, text: &str) -> Result<String, Failed>;

    /// Another text for one that is there.
    async fn rewrite(&self, old: &Existing, text: &str) -> Result<(), Failed>;

    /// Puts an older one of ours behind the newest.
    async fn put_behind(&self, old: &Existing, newest: &Existing) -> Result<(), Failed>;

    /// Sets ours, and takes off those that do not hold.
    async fn set_labels(&self, labels: &BTreeSet<Label>) -> Result<(), Failed>;

    /// What to do about a token that is refused: expired, or without the right.
    fn way_out(is_expired: bool) -> &'static str;
}

/// A comment of a forge, as far as it matters here.
#[derive(Debug, Clone)]
pub(super) struct Existing {
    pub id: u64,
    /// For GitHub's GraphQL API.
    pub node: String,
    pub url: String,
    pub body: String,
}
