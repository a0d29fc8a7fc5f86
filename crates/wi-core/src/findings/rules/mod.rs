//! The rules, a row each. What decides whether one applies is with those who look; where that is logic of
//! its own it has a file here.

use super::Severity;

/// A rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, which never changes.
    pub id: &'static str,
    /// How bad it is, where nothing makes it better or worse.
    pub severity: Severity,
    /// What it finds, in a few words.
    pub title: &'static str,
    /// Why that is bad and what to do, in a few sentences.
    pub help: &'static str,
    /// Whether a finding of it can be accepted.
    pub can_be_accepted: bool,
}

macro_rules! rules {
    ($($(#[$no:ident])? $name:ident $id:literal $severity:ident $title:literal $help:literal;)*) => {
        $(
            #[doc = concat!("`", $id, "`: ", $title, ".")]
            pub static $name: Rule = Rule {
                id: $id,
                severity: Severity::$severity,
                title: $title,
                help: $help,
                can_be_accepted: rules!(@ $($no)?),
            };
        )*
        /// All of them.
        pub static RULES: &[&Rule] = &[$(&$name),*];
    };
    (@) => { true };
    (@ never) => { false };
}

rules! {
    #[never]
    KEY_EXPOSED "key-exposed" Critical
        "Google says that this key is exposed or compromised, and it is enabled"
        "Somebody else has the key. Find what uses it, give that another identity, and disable the key.";
    #[never]
    KEY_USED_BY_UNSEEN "key-used-by-unseen" Critical
        "A key is used by somebody that was not seen"
        "Something authenticates with the key and is in no place that was looked at. Find it before the key is disabled: it would fail.";
    KEY_IN_FILES "key-in-files" High
        "A service account key lies in a file"
        "Whoever can read the file can act as the account, until the key is disabled. Move what uses it to Workload Identity, disable the key, then delete the file.";
    KEY_OF_A_PERSON "key-of-a-person" High
        "The login of a person lies where programs or others can read it"
        "A refresh token acts as that person. Revoke it (gcloud auth revoke, or in the account's settings) and give the program an identity of its own.";
    KEY_IN_PLAIN_OBJECT "key-in-plain-object" High
        "A key lies in an object that is not meant for secrets"
        "ConfigMaps, variables, arguments and annotations are shown to everybody who may look at workloads, and are kept in old revisions. Disable the key once nothing uses it.";
    KEY_MISMATCH "key-mismatch" High
        "A key says that it is another than it is"
        "The id in the file is not that of the private key beside it. What is disabled by that id is another key.";
    KEY_IN_SECRET "key-in-secret" Medium
        "A service account key lies in a Secret"
        "The key works anywhere and does not expire. Move the workloads that use it to Workload Identity, then disable the key, and remove the Secret last.";
    KEY_IN_HISTORY "key-in-history" Medium
        "A service account key lies in Git's history"
        "Whoever has a clone has the key, and rewriting history takes it from none of them. Disable the key.";
    KEY_IN_REGISTRY_LOGIN "key-in-registry-login" Medium
        "A key is the password of a login at an image registry"
        "The kubelet pulls as the node: grant the node's service account roles/artifactregistry.reader, and remove the login.";
    KEY_WITHOUT_USERS "key-without-users" Medium
        "A key was not seen in use, and no user of it was found"
        "Nothing was seen within the windows that are told, which is not proof. Disable it first, and delete it when nothing was missed.";
    KEY_OLD "key-old" Medium
        "A key is older than is allowed"
        "The longer a key lives the more copies of it there are.";
    KEY_MAKER "key-maker" Medium
        "Something makes keys"
        "A key that is deleted is made again by it. Take the maker away first.";
    POD_MAY_HOLD_ANOTHER "pod-may-hold-another" Medium
        "A pod may hold another key than its Secret has now"
        "Variables and subPath mounts keep the value of the pod's start. Restart the pod before the old key is judged.";
    HMAC_KEY "hmac-key" Medium
        "An HMAC key of Cloud Storage, with its secret"
        "Workload Identity cannot take its place in S3's protocol: use Google's client library, then deactivate the HMAC key.";
    KEY_UNIDENTIFIED "key-unidentified" Low
        "A private key that nothing says whose it is"
        "It may be a service account's. Compare the digest of its public half with the account's keys.";
    API_KEY "api-key" Low
        "An API key"
        "It is no identity of a workload. Restrict it to the APIs and addresses that it is for. Keys of Firebase's web apps are public by design.";
    CLIENT_SECRET "oauth-client-secret" Low
        "The secret of an OAuth client"
        "It is no identity of a workload. If the client is not a desktop application's, reset it.";
    KEY_REFERENCE "key-reference" Low
        "A manifest expects a key"
        "It has no key in it, and mounts a Secret that a variable or flag takes for one.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_has_an_id_of_its_own_and_the_worst_cannot_be_accepted() {
        let ids: BTreeSet<&str> = RULES.iter().map(|r| r.id).collect();
        assert_eq!(ids.len(), RULES.len());
        for rule in RULES {
            assert_eq!(rule.can_be_accepted, rule.severity != Severity::Critical);
            assert!(rule.help.ends_with('.') && !rule.title.ends_with('.'));
        }
    }
}
