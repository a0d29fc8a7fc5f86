//! An annotation that names no account.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI207",
        severity: Severity::High,
        title: "An annotation names an account that does not exist or is disabled",
        help: "Pods of it get no token. Whoever can make an account of that name in the project decides who they are. Make the account, or take the annotation away.",
        can_be_accepted: true,
    },
    reads: &[Read::ServiceAccounts, Read::Accounts],
    offline: false,
    decides: "The annotation iam.gke.io/gcp-service-account of a Kubernetes service account is no email, or IAM says that the account is not there or is disabled.",
    references: &["kubescape C-0307"],
    check,
};

fn check(world: &World, out: &mut Out) {
    for (name, _, meta) in world.ksas(out) {
        let Some(text) = annotation(meta) else { continue };
        let (subject, place) = world.ksa(name, &meta.namespace, &meta.name);
        let what = match Email::parse(text) {
            Err(_) => "it is annotated with what is no account".to_owned(),
            Ok(email) => match state(world, &email) {
                Some(Seen::Found(true)) => format!("it is annotated with {email}, which is disabled"),
                Some(Seen::Found(false)) => continue,
                Some(Seen::Absent) => format!("it is annotated with {email}, which does not exist"),
                Some(Seen::Unknown(why)) => {
                    out.unchecked(format!("account {email}"), why.to_string(), Read::Accounts);
                    continue;
                }
                None => {
                    out.unchecked(format!("account {email}"), "it was not read", Read::Accounts);
                    continue;
                }
            },
        };
        let fix = match world.desired.ksa(name, &meta.namespace, &meta.name) {
            Some(_) => format!("wi apply --target {subject}"),
            None => format!("kubectl annotate serviceaccount {} -n {} iam.gke.io/gcp-service-account-", meta.name, meta.namespace),
        };
        out.found(&subject, what, place).fix = Some(fix);
    }
}

/// Whether an account is disabled; `None`: it was not asked for.
fn state(world: &World, email: &Email) -> Option<Seen<bool>> {
    let live = world.live()?;
    if let Some(account) = live.iam.accounts.get(email) {
        return Some(account.as_ref().map(|a| a.disabled));
    }
    Some(match live.accounts.get(&email.project()?)? {
        Seen::Found(listed) => listed.get(email).map_or(Seen::Absent, |a| Seen::Found(a.disabled)),
        Seen::Absent => Seen::Absent,
        Seen::Unknown(why) => Seen::Unknown(why.clone()),
    })
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;
    use wi_core::live::Seen;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let gone = "gone@acme-prod.iam.gserviceaccount.com";
        three(
            &super::RULE,
            |w| w.ksa_there("shop", "old", Some(gone)),
            |w| w.ksa_there("shop", "old", Some(NODES)),
            |w| w.ksa_there("shop", "old", Some("x@elsewhere-1.iam.gserviceaccount.com")),
        );
        three(
            &super::RULE,
            |w| match w.there().iam.accounts.get_mut(&email("webapp")) {
                Some(Seen::Found(account)) => account.disabled = true,
                other => panic!("{other:?}"),
            },
            |_| {},
            |w| w.main().ksas = refused(),
        );
        three(
            &super::RULE,
            |w| w.ksa_there("shop", "old", Some("not an account")),
            |w| w.ksa_there("shop", "old", Some("")),
            |w| _ = w.there().iam.accounts.insert(email("webapp"), refused()),
        );
    }
}
