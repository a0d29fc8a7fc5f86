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
        let wanted = world.desired.ksa(name, &meta.namespace, &meta.name);
        let email = Email::parse(text).ok();
        let fix = match (wanted, &email) {
            // The spec is as what is there, and the account is what is wrong.
            (Some(ksa), Some(email)) if ksa.account.as_ref() == Some(email) => mend(world, email),
            (Some(_), _) => format!("wi apply --target {subject}"),
            (None, _) => format!("kubectl annotate serviceaccount {} -n {} iam.gke.io/gcp-service-account-", meta.name, meta.namespace),
        };
        out.found(&subject, what, place).fix = Some(fix);
    }
}

/// What makes an account be there, and enabled.
fn mend(world: &World, email: &Email) -> String {
    let mut accounts = world.desired.accounts.values();
    let of_spec = accounts.find(|a| a.email == *email);
    if of_spec.is_some_and(|a| a.managed) {
        return format!("wi apply --target {}", world.desired.account_address(email));
    }
    let project = of_spec.map(|a| a.project.clone()).or_else(|| email.project());
    let project = project.map(|p| format!(" --project={p}")).unwrap_or_default();
    match state(world, email) {
        Some(Seen::Found(_)) => format!("gcloud iam service-accounts enable {email}{project}"),
        _ => {
            let id = email.as_str().split('@').next().unwrap_or_default();
            format!("gcloud iam service-accounts create {id}{project}")
        }
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
        // An account that the spec names and leaves to others no apply enables.
        let named = SPEC.replace("{ id: webapp, grants", "{ email: webapp@acme-prod.iam.gserviceaccount.com, grants");
        let fix = |spec: &str, to: Seen<wi_core::wire::iam::ServiceAccount>| {
            let mut world = world();
            world.desired = desired(spec);
            world.there().iam.accounts.insert(email("webapp"), to);
            ask(&super::RULE, &world).0[0].fix.clone().expect("a way out")
        };
        let disabled = || Seen::Found(wire(serde_json::json!({ "email": email("webapp"), "disabled": true })));
        assert_eq!(fix(SPEC, disabled()), "wi apply --target gsa.web");
        let mail = email("webapp");
        assert_eq!(fix(&named, disabled()), format!("gcloud iam service-accounts enable {mail} --project=acme-prod"));
        assert_eq!(fix(&named, Seen::Absent), "gcloud iam service-accounts create webapp --project=acme-prod");
        three(
            &super::RULE,
            |w| w.ksa_there("shop", "old", Some("not an account")),
            |w| w.ksa_there("shop", "old", Some("")),
            |w| _ = w.there().iam.accounts.insert(email("webapp"), refused()),
        );
    }
}
