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
    TOKEN_OUTSIDE_METADATA_SERVER "token-outside-metadata-server" High
        "A pod's identity made a token outside of the metadata server"
        "The metadata server makes tokens for pods. Where one was made by another program, a pod's token of Kubernetes was taken out of it. Find the program by its network and time.";
    SERVICE_UNEXPLAINED "service-unexplained" High
        "An identity called a service that none of its roles explains"
        "What an identity is for is said by its roles. A call that none of them explains is somebody else's, or a role is missing. Accept it in audit.expect, or find who called.";
    SERVICE_NEW "service-new" Medium
        "An identity called a service that it never called before"
        "It had days enough to call the service and never did. Look at what called it, and from where.";
    CLASS_NEW "class-new" Medium
        "An identity does more than it ever did with a service"
        "It knew the service and did less with it. Look at what it wrote or gave away.";
    MINTER_NEW "minter-new" High
        "Somebody acts as an account whom the spec does not name"
        "Whoever makes tokens of an account is the account. Take the right away, or name him in users.";
    KEY_AFTER_MIGRATION "key-after-migration" High
        "A key is used after its account went off keys"
        "Its pods have tokens, so that nothing should need the key. Disable the key, and move what still uses it.";
    DENIAL_BURST "denial-burst" Medium
        "An identity is denied much more often than before"
        "Somebody tries what it may not do, or a role is missing. Look at what was denied.";
    NETWORK_NEW "network-new" High
        "An identity called from a network that it never called from"
        "A token that is used from elsewhere was taken out of the pod. Find out whose the network is; name networks that are known with --ip-map.";
    IMPERSONATOR_FOREIGN "impersonator-foreign" High
        "A person or a foreign account acts as an account of workloads"
        "It is for pods, and somebody else acts as it. Take the right away, or name him in users.";
    IDENTITY_CHANGED "identity-changed" High
        "Something that identities rest on was changed, and not by wi"
        "Keys, policies, roles and audit logs decide who an identity is. A change of one that wi did not make is undone by an apply, or is somebody's way in.";
    POD_ENTERED "pod-entered" Medium
        "Somebody entered a pod, or made a token, in a namespace with rights"
        "Whoever is in a pod has its identity. Look at who it was and why.";
    NODE_ACCOUNT_USED "node-account-used" Medium
        "A node's account was used for more than nodes do"
        "A pod that has the node's identity has no own one, or was taken over. Give it one, and move the node pool to the metadata server.";
    IDENTITY_SILENT "identity-silent" Low
        "An identity that called regularly no longer does"
        "What used it is gone or broken. If it is not needed any more, take it out of the spec.";
    PROJECT_FOREIGN "project-foreign" Medium
        "An identity called into a project that is not of the spec"
        "Data may leave by it. Accept the project in audit.trustedProjects, or find who called.";
    REGION_NEW "region-new" Low
        "An identity called a region that it never called"
        "Data may be where it should not. Look at what was made there.";
    ACCOUNT_GONE_USED "account-gone-used" High
        "An account that is disabled or deleted is still acted as"
        "Somebody still tries, and would be the account again if it came back. Find what asks.";
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
