//! User-managed keys that the spec does not want: told as drift, which no apply touches.

use jiff::Timestamp;

use crate::address::Address;
use crate::desired::Desired;
use crate::live::{Live, Seen};
use crate::plan::{Options, Plan};
use crate::spec::key_rule::Keys;
use crate::spec::model::AccountSpec;
use crate::wire::iam::ServiceAccountKey;

/// Warns of them, or, where the guard forbids keys, makes those that are enabled an error.
pub(in crate::plan) fn check(desired: &Desired, live: &Live, options: &Options, plan: &mut Plan) {
    let restricted = desired.accounts.values();
    for account in restricted.filter(|a| desired.restricts_keys(a)) {
        let keys = match live.keys.get(&account.email) {
            Some(Seen::Found(keys)) => keys,
            Some(Seen::Unknown(why)) => {
                plan.unseen(format!("the keys of {}", account.email), why.clone());
                continue;
            }
            // An account that is not there yet has none.
            Some(Seen::Absent) | None => continue,
        };
        let address = desired.account_address(&account.email);
        let own = desired.account_label(&account.email);
        let is_ending = |id: &str| plan.tells_of(&Address::key(&own, id));
        let unwanted = keys.iter().filter(|k| is_unwanted(account, k, options.now));
        // What is told as a change, or as held back, is told once.
        let unwanted: Vec<_> = unwanted.filter(|k| !is_ending(k.id())).collect();
        for key in unwanted {
            let state = if key.disabled { ", disabled" } else { "" };
            let made = key.valid_after_time.get(..10).unwrap_or_default();
            let what = format!(
                "key.{}/{} is there, made {made}{state}, and {}",
                address.name(),
                key.id(),
                rule(account)
            );
            match &desired.guard.forbid_keys {
                Some(place) if !key.disabled => {
                    let message = format!("{what}: the guard forbids keys ({place}). {WAY_ON}");
                    let place = account
                        .keys
                        .as_ref()
                        .map_or(&account.place, |rule| &rule.place);
                    plan.error(address.clone(), Some(place), message);
                }
                _ => plan
                    .warnings
                    .push(format!("{what}. No apply touches it. {WAY_ON}")),
            }
        }
    }
}

const WAY_ON: &str = "`wi scan --live` says who uses it, `wi migrate` leads off it";

fn is_unwanted(account: &AccountSpec, key: &ServiceAccountKey, now: Option<Timestamp>) -> bool {
    let end = key.valid_before_time.parse::<Timestamp>();
    let has_ended = now.zip(end.ok()).is_some_and(|(now, end)| end <= now);
    let is_allowed = account
        .keys
        .as_ref()
        .is_some_and(|rule| rule.keys.allow(key.id(), now));
    !has_ended && !is_allowed
}

/// What the spec says instead.
fn rule(account: &AccountSpec) -> String {
    match account.keys.as_ref().map(|rule| (&rule.keys, &rule.place)) {
        Some((Keys::Allow { until, .. }, place)) => {
            format!("the spec allows others, or allowed it until {until} ({place})")
        }
        Some((_, place)) => format!("the spec wants none ({place})"),
        None => "the account says nothing of keys".to_owned(),
    }
}
