//! A key of more than 90 days.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI502",
        severity: Severity::High,
        title: "A key is older than 90 days",
        help: "The longer a key lives the more copies of it there are. Move what uses it to Workload Identity, or make it anew until then.",
        can_be_accepted: true,
    },
    reads: &[Read::Keys],
    offline: false,
    decides: "A user-managed key that is not disabled has a validAfterTime of more than 90 days ago.",
    references: &["CIS GCP 5.0.0: 1.8", "prowler iam_sa_user_managed_key_rotate_90_days"],
    check,
};

fn check(world: &World, out: &mut Out) {
    let (Some(live), Some(now)) = (world.live(), world.now) else { return };
    for (email, keys) in &live.keys {
        let Some(keys) = out.seen(&format!("the keys of {email}"), keys, Read::Keys) else {
            continue;
        };
        for key in keys.iter().filter(|k| !k.disabled) {
            let Ok(made) = key.valid_after_time.parse::<jiff::Timestamp>() else {
                let what = format!("the age of key {} of {email}", key.id());
                out.unchecked(what, "Google does not say it", Read::Keys);
                continue;
            };
            if now.duration_since(made) <= jiff::SignedDuration::from_hours(90 * 24) {
                continue;
            }
            let (account, place) = world.account(email);
            let day = &key.valid_after_time[..key.valid_after_time.len().min(10)];
            let what = format!("it was made on {day}, more than 90 days ago");
            let found = out.found(&format!("{account}/{}", key.id()), what, place);
            found.fix = Some("wi scan --live says who uses it, wi migrate what comes next".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;
    use serde_json::json;

    #[test]
    fn fires_just_does_not_and_cannot_tell() {
        let key = |made: &'static str| {
            move |w: &mut crate::World| {
                let key = json!({ "name": "projects/p/serviceAccounts/e/keys/k1", "validAfterTime": made });
                let keys = wi_core::live::Seen::Found(vec![wire(key)]);
                w.there().keys.insert(email("webapp"), keys);
            }
        };
        three(&super::RULE, key("2026-08-31T00:00:00Z"), key("2026-09-02T00:00:00Z"), key(""));
    }
}
