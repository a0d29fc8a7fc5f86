//! What the GKE metadata server gives a Kubernetes service account.

use std::fmt;

use jiff::Timestamp;

use super::{Ksa, covers, holds};
use crate::live::{Live, Seen};
use crate::names::{Email, KsaIdentity};
use crate::resource::Resource;
use crate::wire::iam::ServiceAccount;
use crate::wire::policy::Policy;

/// Roles that let their holder make tokens of a service account. No other predefined role for users
/// does, `roles/owner` neither.
pub const IMPERSONATION: [&str; 2] = [
    "roles/iam.workloadIdentityUser",
    "roles/iam.serviceAccountTokenCreator",
];

/// What the metadata server gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// Tokens of this Google service account.
    Account(Email),
    /// Tokens of the Kubernetes service account itself, which has roles.
    Principal(KsaIdentity),
    /// Nothing that anything could be done with.
    Nobody(WhyNot),
    /// One or the other, which could not be found out.
    Unseen(WhyNot),
}

/// Why there is no identity, or none is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum WhyNot {
    /// No annotation, and no role of its own.
    NoRoles,
    /// All of its roles are under conditions that no longer or never hold.
    RolesEnded,
    /// All of its roles are under conditions that depend on more than the time.
    RolesUnclear,
    /// It is annotated with this, which is no account. Not shown whole: it may be anything.
    NoAccount(String),
    /// It is annotated with an account in other letters than IAM has it (`Checkout@…`).
    OtherLetters(Email),
    /// The account that it is annotated with does not exist.
    Absent(Email),
    /// The account is disabled: its tokens are refused.
    Disabled(Email),
    /// Nothing lets it act as the account.
    MayNotActAs(Email),
    /// What lets it act as the account is under a condition that no longer or never holds.
    MayNotActAsAnyMore(Email),
    /// What lets it act as the account is under a condition that depends on more than the time.
    MayPerhapsActAs(Email),
    /// It leaves the spec, which had made it, and goes.
    Leaves,
    /// Whether the account exists and is enabled could not be read.
    AccountUnread(Email, String),
    /// Whether it may act as the account could not be read.
    RightUnread(Email, String),
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoles => f.write_str("its service account has no role"),
            Self::Leaves => f.write_str("its service account leaves the spec and is deleted"),
            Self::RolesEnded => {
                f.write_str("the conditions of all roles of its service account no longer hold")
            }
            Self::RolesUnclear => f.write_str(
                "all roles of its service account are under conditions that cannot be told here",
            ),
            Self::NoAccount(text) => write!(
                f,
                "its service account is annotated with `{text}`, which is no account"
            ),
            Self::OtherLetters(email) => write!(
                f,
                "its service account is annotated with {email} in capital letters, and whether the metadata server takes it for that is not known: write it in small ones"
            ),
            Self::Absent(email) => write!(
                f,
                "its service account is annotated with {email}, which does not exist"
            ),
            Self::Disabled(email) => write!(
                f,
                "its service account acts as {email}, which is disabled: its tokens are refused"
            ),
            Self::MayNotActAs(email) => write!(
                f,
                "its service account is annotated with {email}, but nothing lets it act as that account"
            ),
            Self::MayNotActAsAnyMore(email) => write!(
                f,
                "its service account is annotated with {email}, but the condition under which it may act as that account no longer holds"
            ),
            Self::MayPerhapsActAs(email) => write!(
                f,
                "its service account may act as {email} only under a condition that cannot be told here"
            ),
            Self::AccountUnread(email, why) => write!(
                f,
                "whether {email}, as which its service account acts, is there and enabled could not be read: {why}"
            ),
            Self::RightUnread(email, why) => write!(
                f,
                "whether its service account may act as {email} could not be read: {why}"
            ),
        }
    }
}

/// What the metadata server gives to `ksa` by the annotation, accounts and policies that were read.
pub fn by_metadata_server(live: &Live, ksa: &Ksa<'_>, now: Option<Timestamp>) -> Given {
    match ksa.annotation.filter(|a| !a.is_empty()) {
        Some(account) => match Email::parse(account) {
            Ok(email) => match impersonating(live, ksa, email, now) {
                Given::Account(email) if email.as_str() != account => {
                    Given::Unseen(WhyNot::OtherLetters(email))
                }
                given => given,
            },
            Err(_) => Given::Nobody(WhyNot::NoAccount(account.to_owned())),
        },
        None => {
            // A right to act as an account is of no use to a program that just asks for a token.
            let of_all = live
                .policies_of_all()
                .filter(|(resource, _)| !matches!(resource, Resource::ServiceAccount(_)))
                .filter_map(|(_, policy)| policy.found());
            let useful = |role: &str| !IMPERSONATION.contains(&role);
            match best(of_all.map(|policy| holds_any(policy, ksa, now, useful))) {
                Held::Yes => Given::Principal(ksa.identity.clone()),
                Held::No => Given::Nobody(WhyNot::NoRoles),
                Held::Ended => Given::Nobody(WhyNot::RolesEnded),
                Held::Perhaps => Given::Unseen(WhyNot::RolesUnclear),
            }
        }
    }
}

/// An annotation alone is no identity: without the right to act as the account no token is given.
fn impersonating(live: &Live, ksa: &Ksa<'_>, email: Email, now: Option<Timestamp>) -> Given {
    if let Err(given) = is_usable(live, &email) {
        return given;
    }
    let places = [
        Some(Resource::ServiceAccount(email.clone())),
        email.project().map(Resource::Project),
    ];
    let mut held = Held::No;
    let mut unread = None;
    for place in places.into_iter().flatten() {
        match live.policy(&place) {
            Some(Seen::Found(policy)) => {
                let here = holds_any(policy, ksa, now, |role| IMPERSONATION.contains(&role));
                held = held.max(here);
            }
            Some(Seen::Absent) if matches!(place, Resource::ServiceAccount(_)) => {
                return Given::Nobody(WhyNot::Absent(email));
            }
            Some(Seen::Unknown(why)) => unread = Some(why.to_string()),
            Some(Seen::Absent) | None => {}
        }
    }
    match (held, unread) {
        (Held::Yes, _) => Given::Account(email),
        (_, Some(why)) => Given::Unseen(WhyNot::RightUnread(email, why)),
        (Held::Perhaps, None) => Given::Unseen(WhyNot::MayPerhapsActAs(email)),
        (Held::Ended, None) => Given::Nobody(WhyNot::MayNotActAsAnyMore(email)),
        (Held::No, None) => Given::Nobody(WhyNot::MayNotActAs(email)),
    }
}

/// Whether tokens of an account can be made: it exists, and is not disabled.
///
/// # Errors
/// What the metadata server gives for it where that is not so, or not known.
pub fn is_usable(live: &Live, email: &Email) -> Result<(), Given> {
    let given = |account: Option<Seen<&ServiceAccount>>| match account {
        Some(Seen::Found(account)) if account.disabled => {
            Given::Nobody(WhyNot::Disabled(email.clone()))
        }
        Some(Seen::Absent) => Given::Nobody(WhyNot::Absent(email.clone())),
        Some(Seen::Unknown(why)) => Given::Unseen(WhyNot::AccountUnread(email.clone(), why.into())),
        _ => Given::Account(email.clone()),
    };
    match given(live.account(email)) {
        Given::Account(_) => Ok(()),
        given => Err(given),
    }
}

/// Whether something is held, the better later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Held {
    No,
    /// Under a condition that no longer or never holds.
    Ended,
    /// Under a condition that cannot be told.
    Perhaps,
    Yes,
}

fn best(held: impl Iterator<Item = Held>) -> Held {
    held.max().unwrap_or(Held::No)
}

/// Whether a policy gives this account, or a set that it is in, one of these roles.
fn holds_any(
    policy: &Policy,
    ksa: &Ksa<'_>,
    now: Option<Timestamp>,
    wanted: impl Fn(&str) -> bool,
) -> Held {
    let bindings = policy
        .bindings
        .iter()
        .filter(|b| wanted(&b.role) && b.members.iter().any(|m| covers(m, ksa)));
    best(bindings.map(|b| match &b.condition {
        None => Held::Yes,
        Some(condition) => match holds(&condition.expression, now) {
            Some(true) => Held::Yes,
            Some(false) => Held::Ended,
            None => Held::Perhaps,
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{ClusterPath, Member, ProjectId};

    #[test]
    fn an_annotation_in_capital_letters_is_not_taken_for_an_identity() {
        let email = Email::parse("app@acme-prod.iam.gserviceaccount.com").expect("an email");
        let project = ProjectId::parse("acme-prod").expect("a project");
        let identity = KsaIdentity {
            pool: project.workload_pool(),
            namespace: "apps".to_owned(),
            name: "web".to_owned(),
        };
        let policy = serde_json::json!({ "bindings": [{ "role": "roles/iam.workloadIdentityUser",
            "members": [Member::Ksa(identity.clone()).to_string(), identity.legacy_member()] }] });
        let mut live = Live::default();
        live.policies.insert(
            Resource::ServiceAccount(email.clone()),
            Seen::Found(serde_json::from_value(policy).expect("a policy")),
        );
        let cluster = ClusterPath {
            project,
            location: "europe-west1".to_owned(),
            name: "main".to_owned(),
        };
        let given = |annotation: &str| {
            let ksa = Ksa {
                identity: &identity,
                cluster: &cluster,
                number: None,
                uid: "1",
                annotation: Some(annotation),
            };
            by_metadata_server(&live, &ksa, None)
        };
        assert_eq!(given(email.as_str()), Given::Account(email.clone()));
        let capital = email.as_str().replace("app@", "App@");
        assert_eq!(given(&capital), Given::Unseen(WhyNot::OtherLetters(email)));
    }
}
