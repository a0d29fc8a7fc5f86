//! Accounts that get off their static keys: keys that are to end, or to come back, and the Secrets that held them.

use std::collections::BTreeSet;

use super::super::{Change, Edit, HeldBack, HoldReason, Key, KeyAfter, Options, Plan, Secret};
use crate::address::{AccountName, Address, SecretKey};
use crate::desired::Desired;
use crate::live::keys::{KeysOf, SecretSeen};
use crate::live::{Live, Seen};
use crate::migrate::keys::{Hold, Step, is_allowed, of_key, of_secret, remarks};
use crate::spec::migration::{Migration, Until};
use crate::spec::model::AccountSpec;

/// Plans what each migration asks for. Who has and uses keys is in [`Live::off_keys`].
pub(in crate::plan) fn diff(desired: &Desired, live: &Live, options: &Options, plan: &mut Plan) {
    for (name, migration) in &desired.migrations {
        let Some(account) = desired.accounts.get(name) else {
            continue;
        };
        match live.keys.get(&account.email) {
            Some(Seen::Unknown(why)) => {
                plan.unseen(format!("the keys of {}", account.email), why.clone());
            }
            Some(Seen::Found(_)) => {
                let of = Of {
                    migration,
                    account,
                    name: AccountName::of_spec(name),
                };
                of.plan(live, live.off_keys.get(name), options, plan);
            }
            Some(Seen::Absent) | None => {}
        }
    }
}

struct Of<'a> {
    migration: &'a Migration,
    account: &'a AccountSpec,
    name: AccountName,
}

impl Of<'_> {
    fn plan(&self, live: &Live, seen: Option<&KeysOf>, options: &Options, plan: &mut Plan) {
        let Some(seen) = seen else {
            return self.not_looked_at(live, options, plan);
        };
        let mut ending = BTreeSet::new();
        for key in &seen.keys {
            if is_allowed(self.account, &key.id, options.now) {
                continue;
            }
            let Some((step, mut holds)) = of_key(self.migration, seen, key) else {
                continue;
            };
            // Clusters that could not be looked for may have it.
            if step != Step::Enable && !live.unlisted.is_empty() {
                let places = live.unlisted.iter();
                let places = places.map(|(place, why)| format!("{place}: {why}"));
                holds.push(Hold::Unseen(places.collect()));
            }
            let edit = self.edit(&key.id, step);
            let address = Address::key(&self.name, &key.id);
            if holds.is_empty() {
                if step == Step::Delete {
                    ending.insert(key.id.clone());
                }
                let notes = match step {
                    Step::Enable => Vec::new(),
                    Step::Disable | Step::Delete => remarks(seen, key),
                };
                let change = Change::new(Edit::Key(edit), notes, Some(&self.migration.place));
                plan.insert(change);
            } else if step == Step::Enable {
                let why: Vec<String> = holds.iter().map(Hold::to_string).collect();
                plan.warnings.push(format!(
                    "{address} is disabled, and the spec does not ask for that. Who did is not known, so that it stays so ({})",
                    why.join("; ")
                ));
            } else {
                hold(address, &holds, plan);
            }
        }
        if self.migration.until == Until::Pruned {
            self.prune(seen, &ending, plan);
        }
    }

    /// Keys are read with the rest; who has and uses them only where somebody asks for a plan.
    fn not_looked_at(&self, live: &Live, options: &Options, plan: &mut Plan) {
        let Some(Seen::Found(keys)) = live.keys.get(&self.account.email) else {
            return;
        };
        let until = self.migration.until;
        for key in keys {
            let is_due = match until {
                Until::Bound | Until::Shadow | Until::Canary | Until::Cutover => false,
                Until::Disabled => !key.disabled,
                Until::Deleted | Until::Pruned => true,
            };
            if is_due && !is_allowed(self.account, key.id(), options.now) {
                hold(Address::key(&self.name, key.id()), &[Hold::NotLooked], plan);
            }
        }
    }

    fn edit(&self, id: &str, step: Step) -> Key {
        Key {
            project: self.account.project.clone(),
            email: self.account.email.clone(),
            name: self.name.clone(),
            id: id.to_owned(),
            after: match step {
                Step::Disable => KeyAfter::Disabled,
                Step::Enable => KeyAfter::Enabled,
                Step::Delete => KeyAfter::Deleted,
            },
        }
    }

    fn prune(&self, seen: &KeysOf, ending: &BTreeSet<String>, plan: &mut Plan) {
        if !seen.all_secrets {
            plan.warnings.push(format!(
                "whether a Secret has a key of {} still was looked at only where something names the Secret: --read-secrets all looks at all of them",
                self.account.email
            ));
        }
        for secret in &seen.secrets {
            let Some(key) = key_of(secret) else {
                continue;
            };
            let holds = of_secret(seen, secret, ending);
            if !holds.is_empty() {
                hold(key.address(), &holds, plan);
                continue;
            }
            let edit = Secret {
                key,
                email: self.account.email.clone(),
                uid: secret.uid.clone(),
            };
            let mut notes = Vec::new();
            if !secret.revisions.is_empty() {
                let named: Vec<&str> = secret.revisions.iter().map(String::as_str).collect();
                let named = named.join(", ");
                notes.push(format!("an undo to old revisions would need it: {named}"));
            }
            let place = Some(&self.migration.place);
            plan.insert(Change::new(Edit::Secret(edit), notes, place));
        }
    }
}

/// `None`: no name that Kubernetes takes.
pub(in crate::plan) fn key_of(secret: &SecretSeen) -> Option<SecretKey> {
    Some(SecretKey {
        cluster: secret.cluster.clone(),
        namespace: secret.namespace.parse().ok()?,
        name: secret.name.parse().ok()?,
    })
}

fn hold(address: Address, holds: &[Hold], plan: &mut Plan) {
    let why = HoldReason::Keys {
        why: holds.iter().map(Hold::to_string).collect(),
        passes: holds.iter().all(Hold::passes),
    };
    plan.held_back.push(HeldBack { address, why });
}

/// What stands now, by what was seen anew, against a change that was planned: nothing is left of the reasons for it,
/// or what holds it back.
///
/// # Errors
/// What stands against it.
pub fn stands_against(
    desired: &Desired,
    live: &Live,
    options: &Options,
    edit: &Edit,
) -> Result<(), String> {
    let mut fresh = Plan::default();
    diff(desired, live, options, &mut fresh);
    let address = edit.address();
    if let Some(held) = fresh.held_back.iter().find(|h| h.address == address) {
        return Err(match &held.why {
            HoldReason::Keys { why, .. } => why.join("; "),
            _ => "it is held back".to_owned(),
        });
    }
    let same = |change: &Change| match (&change.edit, edit) {
        (Edit::Key(now), Edit::Key(planned)) => now.after == planned.after,
        (Edit::Secret(now), Edit::Secret(planned)) => now.uid == planned.uid,
        (Edit::Template(now), Edit::Template(planned)) => now.is_same(planned),
        _ => false,
    };
    match fresh.changes.get(&address) {
        Some(change) if same(change) => Ok(()),
        _ => Err("it is not as it was".to_owned()),
    }
}
