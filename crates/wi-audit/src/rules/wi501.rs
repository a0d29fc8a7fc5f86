//! A key that users manage.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI501",
        severity: Severity::High,
        title: "An account has a user-managed key",
        help: "A key works anywhere and for as long as it is there. Move what uses it to Workload Identity (wi scan --live, wi migrate), and disable it.",
        can_be_accepted: true,
    },
    reads: &[Read::Keys],
    offline: false,
    decides: "iam.serviceAccountKeys.list has a user-managed key of an account of the spec's projects that is not disabled.",
    references: &["CIS GCP 5.0.0: 1.5", "prowler iam_sa_no_user_managed_keys", "Security Health Analytics USER_MANAGED_SERVICE_ACCOUNT_KEY", "OWASP Kubernetes Top 10 2025: K03"],
    check,
};

fn check(world: &World, out: &mut Out) {
    let Some(live) = world.live() else { return };
    for (email, keys) in &live.keys {
        let Some(keys) = out.seen(&format!("the keys of {email}"), keys, Read::Keys) else {
            continue;
        };
        let ids: Vec<&str> = keys.iter().filter(|k| !k.disabled).map(|k| k.id()).collect();
        if ids.is_empty() {
            continue;
        }
        let (subject, place) = world.account(email);
        let what = match ids.len() {
            1 => "it has a user-managed key".to_owned(),
            n => format!("it has {n} user-managed keys"),
        };
        let found = out.found(&subject, what, place);
        found.evidence.push(format!("keys: {}", ids.join(", ")));
        found.fix = Some("wi scan --live says who uses it, wi migrate what comes next".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;
    use serde_json::json;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let key = |disabled: bool| {
            move |w: &mut crate::World| {
                let key = json!({ "name": "projects/p/serviceAccounts/e/keys/k1", "disabled": disabled });
                let keys = wi_core::live::Seen::Found(vec![wire(key)]);
                w.there().keys.insert(email("webapp"), keys);
            }
        };
        three(&super::RULE, key(false), key(true), |w| _ = w.there().keys.insert(email("webapp"), refused()));
    }
}
