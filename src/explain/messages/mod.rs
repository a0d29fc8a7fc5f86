//! Messages of clients and servers: which link of the chain each means.
//!
//! [`read`] takes a message as it is found in a log, with colours, quotes within quotes and secrets, and
//! finds the first of [`SIGNATURES`] that it fits.

mod clean;
mod table;

pub use clean::{cleaned, redacted};
pub use table::{SIGNATURES, Signature};

/// The longest message that is looked at, in bytes.
pub const LONGEST: usize = 64 * 1024;

/// What a message says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// What it is like; `None`: nothing that is known.
    pub signature: Option<&'static Signature>,
    /// Those that it is most like, where it is like none.
    pub nearest: Vec<&'static Signature>,
    /// The permission that was denied.
    pub permission: Option<String>,
    /// The resource, by its full name.
    pub resource: Option<String>,
    /// Google service accounts that it names.
    pub accounts: Vec<String>,
    /// What finds the entry in the audit logs of VPC Service Controls.
    pub perimeter_id: Option<String>,
}

/// Reads a message.
pub fn read(text: &str) -> Message {
    let text = cleaned(text);
    let mut message = Message {
        signature: SIGNATURES.iter().find(|s| s.fits(&text)),
        ..Message::default()
    };
    if message.signature.is_none() {
        message.nearest = nearest(&text);
    }
    message.permission = permission(&text);
    message.resource = between(&text, "on resource '", "'")
        .filter(|r| r.starts_with("//"))
        .map(str::to_owned);
    message.accounts = accounts(&text);
    let after = text.split("vpcServiceControlsUniqueIdentifier: ").nth(1);
    message.perimeter_id = after
        .and_then(|rest| {
            rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
                .next()
        })
        .filter(|id| !id.is_empty())
        .map(str::to_owned);
    message
}

/// `Permission 'a.b.c' denied`, `does not have a.b.c access`, `Permission a.b.c denied`.
fn permission(text: &str) -> Option<String> {
    let is_permission = |p: &&str| {
        let parts: Vec<&str> = p.split('.').collect();
        parts.len() >= 3
            && parts
                .iter()
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
            && p.starts_with(|c: char| c.is_ascii_lowercase())
    };
    let candidates = [
        between(text, "Permission '", "'"),
        between(text, "Permission \"", "\""),
        between(text, "does not have ", " "),
        between(text, "missing permission ", " "),
        between(text, "Permission ", " "),
    ];
    candidates
        .into_iter()
        .flatten()
        .map(|p| p.trim_end_matches(['.', ',', ';']))
        .find(is_permission)
        .map(str::to_owned)
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    let rest = &text[text.find(start)? + start.len()..];
    Some(rest.split(end).next().unwrap_or(rest))
}

/// Emails of Google service accounts, each once.
fn accounts(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "@-_.".contains(c);
    let mut found: Vec<String> = Vec::new();
    for word in text.split(|c| !is_part(c)) {
        let word = word.trim_end_matches('.');
        let is_one = word.ends_with("gserviceaccount.com") && word.matches('@').count() == 1;
        if is_one && !found.iter().any(|f| f == word) {
            found.push(word.to_owned());
        }
    }
    found
}

/// The three signatures that share most words with a text.
fn nearest(text: &str) -> Vec<&'static Signature> {
    let words = |t: &str| -> std::collections::BTreeSet<String> {
        t.split(|c: char| !c.is_alphanumeric())
            .filter(|w| w.len() > 2)
            .map(str::to_lowercase)
            .collect()
    };
    let own = words(text);
    let mut scored: Vec<(usize, &Signature)> = SIGNATURES
        .iter()
        .map(|s| {
            let theirs = words(&s.parts.join(" "));
            (theirs.intersection(&own).count(), s)
        })
        .collect();
    // Of those alike the order of the table decides.
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    scored.into_iter().take(3).map(|(_, s)| s).collect()
}
