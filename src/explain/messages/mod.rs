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
    message.permission = permission(&text);
    if message.signature.is_none()
        && let Some(named) = denied(&text)
    {
        message.signature = SIGNATURES.iter().find(|s| s.id == NAMED);
        message.permission = Some(named.to_owned());
    }
    if message.signature.is_none() {
        message.nearest = nearest(&text);
    }
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

/// The signature of messages that say no more than which permission was denied.
const NAMED: &str = "E33";

/// Beginnings of the last part of a permission.
const VERBS: [&str; 24] = [
    "access", "actAs", "bind", "connect", "consume", "create", "delete", "exec", "get", "implicit",
    "invoke", "list", "login", "publish", "query", "read", "run", "set", "sign", "test", "update",
    "use", "view", "write",
];

/// The permission in a refusal that has other words than those that are known.
fn denied(text: &str) -> Option<&str> {
    let low = text.to_ascii_lowercase();
    let refusals = [
        "denied",
        "403",
        "forbidden",
        "not authorized",
        "not allowed",
    ];
    if !refusals.iter().any(|r| low.contains(r)) {
        return None;
    }
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.')
        .map(|word| word.trim_matches('.'))
        .find(|word| {
            let parts: Vec<&str> = word.split('.').collect();
            parts.len() == 3 && is_permission(word) && VERBS.iter().any(|v| parts[2].starts_with(v))
        })
}

fn is_permission(p: &str) -> bool {
    let parts: Vec<&str> = p.split('.').collect();
    parts.len() >= 3
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
        && p.starts_with(|c: char| c.is_ascii_lowercase())
}

/// `Permission 'a.b.c' denied`, `does not have a.b.c access`, `Permission a.b.c denied`.
fn permission(text: &str) -> Option<String> {
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
        .find(|p| is_permission(p))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_in_words_that_nobody_knows_is_a_missing_role() {
        for (text, permission) in [
            (
                "PERMISSION_DENIED: storage.objects.get",
                Some("storage.objects.get"),
            ),
            (
                "rpc error 403 (secretmanager.versions.access)",
                Some("secretmanager.versions.access"),
            ),
            ("storage.objects.get took 3 s", None),
            ("403 at www.example.com", None),
            ("denied by com.google.api", None),
        ] {
            let message = read(text);
            assert_eq!(message.permission.as_deref(), permission, "{text}");
            let link = message.signature.map(|s| s.link);
            assert_eq!(link, permission.map(|_| "18-grant"), "{text}");
        }
    }

    /// Messages as they are seen, with the signature and the link.
    const SEEN: [(&str, &str, &str); 16] = [
        (
            "compute: Received 403 `Unable to generate access token; IAM returned 403 Forbidden: Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).\nThis error could be caused by a missing IAM policy binding on the target IAM service account.`",
            "E1",
            "14-binding",
        ),
        (
            "Unable to generate access token; IAM returned 403 Forbidden: The caller does not have permission",
            "E2",
            "14-binding",
        ),
        (
            "Unable to generate access token; IAM returned 404 Not Found: Not found; Gaia id not found for email web@acme-prod.iam.gserviceaccount.com",
            "E3",
            "13-account",
        ),
        (
            "AccessDeniedException: 403 Caller does not have storage.objects.list access to the Google Cloud Storage bucket. Primary: /namespaces/acme-prod.svc.id.goog with additional claims does not have storage.objects.list access",
            "E30",
            "18-grant",
        ),
        (
            "googleapi: Error 403: 123456-compute@developer.gserviceaccount.com does not have storage.objects.get access to the Google Cloud Storage object., forbidden",
            "E31",
            "9-node-pool",
        ),
        (
            "web@acme-prod.iam.gserviceaccount.com does not have storage.objects.get access to the Google Cloud Storage object.",
            "E32",
            "18-grant",
        ),
        (
            "rpc error: code = PermissionDenied desc = Permission 'secretmanager.versions.access' denied for resource 'projects/42/secrets/s/versions/latest' (or it may not exist).",
            "E35",
            "18-grant",
        ),
        (
            "Request had insufficient authentication scopes.",
            "E40",
            "9-node-pool",
        ),
        (
            "IAM Service Account Credentials API has not been used in project 42 before or it is disabled.",
            "E42",
            "12-apis",
        ),
        (
            "Invalid form of account ID acme-prod.svc.id.goog. Should be [Gaia ID |Email |Unique ID |]",
            "E45",
            "4-annotation",
        ),
        (
            "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: aB-c_9",
            "E46",
            "25-perimeter",
        ),
        (
            "Compute Engine Metadata server unavailable on attempt 3 of 3. Reason: timed out",
            "E15",
            "26-network",
        ),
        (
            "google.auth.exceptions.TransportError: Failed to retrieve http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/x/token from the Google Compute Engine metadata service. Status: 403 Response:\nb'nothing'",
            "E13",
            "14-binding",
        ),
        (
            "dial tcp: lookup metadata.google.internal on 10.0.0.10:53: no such host",
            "E62",
            "26-network",
        ),
        (
            "Access Denied: Project acme-prod: User does not have bigquery.jobs.create permission in project acme-prod.",
            "E38",
            "18-grant",
        ),
        (
            "Identity Pool does not exist (acme-prod.svc.id.goog).",
            "E56",
            "11-workload-pool",
        ),
    ];

    #[test]
    fn message_means_the_link_that_it_is_known_for() {
        for (text, id, link) in SEEN {
            // As it is, and as JSON within JSON.
            let quoted = serde_json::json!({ "error": text }).to_string();
            let twice = serde_json::json!({ "log": quoted }).to_string();
            for text in [text, quoted.as_str(), twice.as_str()] {
                let signature = read(text).signature.unwrap_or_else(|| panic!("{text}"));
                assert_eq!((signature.id, signature.link), (id, link), "{text}");
            }
        }
        let captured = read(SEEN[6].0);
        assert_eq!(
            captured.permission.as_deref(),
            Some("secretmanager.versions.access")
        );
        assert_eq!(read(SEEN[10].0).perimeter_id.as_deref(), Some("aB-c_9"));
        assert_eq!(
            read(SEEN[5].0).accounts,
            ["web@acme-prod.iam.gserviceaccount.com"]
        );
        let modern = read(
            "Permission 'storage.objects.get' denied on resource '//storage.googleapis.com/projects/_/buckets/b-1' (or it may not exist). Remediate access at https://x;errorId=CiQ",
        );
        assert_eq!(
            modern.resource.as_deref(),
            Some("//storage.googleapis.com/projects/_/buckets/b-1")
        );
    }

    #[test]
    fn message_that_is_not_known_is_not_guessed() {
        for text in ["", "connection reset by peer", "403"] {
            let message = read(text);
            assert_eq!(
                (message.signature, message.nearest.len()),
                (None, 3),
                "{text}"
            );
        }
    }

    #[test]
    fn every_signature_can_be_met() {
        let ids: std::collections::BTreeSet<u32> = SIGNATURES
            .iter()
            .map(|s| s.id[1..].parse().expect("a number"))
            .collect();
        assert_eq!(ids.len(), 65);
        for (at, signature) in SIGNATURES.iter().enumerate() {
            // None is hidden by one before it.
            let text = signature.parts.join(" ");
            let first = SIGNATURES.iter().position(|s| s.fits(&text));
            assert_eq!(first, Some(at), "{}: {:?}", signature.id, signature.parts);
        }
    }
}
