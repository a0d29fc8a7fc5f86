//! Templates of workloads on their way off static keys: what `wi` changes itself, and what it waits for.

use std::collections::BTreeSet;

use super::super::{
    Change, Edit, HeldBack, HoldReason, Options, Plan, Template, Unseen, bound, own_shadows,
};
use crate::address::{Address, KsaKey, WorkloadKey};
use crate::desired::Desired;
use crate::live::templates::TemplateSeen;
use crate::live::{Live, Seen};
use crate::migrate::mark::{Mark, Way, marked};
use crate::migrate::state::Bound;
use crate::migrate::templates::{Hold, Next, meta, next, template};
use crate::names::Email;
use crate::reason::Reason;
use crate::spec::migration::{Migration, Until};
use crate::wire::pods::PodSpec;

/// Plans what each migration asks for of templates. Node pools and identities are planned before. What was seen is in
/// [`Live::off_keys`].
pub(in crate::plan) fn diff(desired: &Desired, live: &Live, options: &Options, plan: &mut Plan) {
    let mut changes = Vec::new();
    let mut held = Vec::new();
    for (name, migration) in &desired.migrations {
        let Some(account) = desired.accounts.get(name) else {
            continue;
        };
        let templates = live.off_keys.get(name).and_then(|of| of.templates.as_ref());
        let Some(templates) = templates else {
            let keys = live.keys.get(&account.email).and_then(Seen::found);
            let has_keys = keys.is_some_and(|keys| keys.iter().any(|k| !k.disabled));
            if has_keys && !migration.until.ends_keys() {
                plan.warnings.push(format!(
                    "which workloads have a key of {} was not looked at, so that no template is changed: --read-secrets referenced opens the Secrets that they name",
                    account.email
                ));
            }
            continue;
        };
        // What was not seen may have a key: nobody is to believe that all are without.
        let unseen = live.off_keys.get(name).map(|of| &of.unseen);
        if migration.until == Until::Cutover {
            plan.unseen
                .extend(unseen.into_iter().flatten().map(|why| Unseen {
                    what: format!("who has a key of {}", account.email),
                    why: Reason::from(why.clone()),
                }));
        }
        for seen in templates {
            let Some(key) = workload_of(seen) else {
                continue;
            };
            let address = key.template();
            let Some(next) = next(migration, account.email.as_str(), seen) else {
                continue;
            };
            let planned = next.and_then(|next| {
                let edit = edit(key, &account.email, seen, &next)?;
                may(desired, live, options, plan, migration, &edit)?;
                if edit.takes_out() && !edit.goes_on {
                    own_shadows::gate(desired, live, migration, &edit.key)?;
                }
                Ok((edit, next))
            });
            match planned {
                Ok((edit, next)) => changes.push((migration, edit, next)),
                Err(holds) => held.push((address, holds)),
            }
        }
    }
    for (migration, edit, next) in changes {
        let notes = notes(&edit, &next);
        let place = Some(&migration.place);
        plan.insert(Change::new(Edit::Template(edit), notes, place));
    }
    let told = held.iter().map(|(address, _)| address.clone()).collect();
    half_way(desired, live, &told, plan);
    for (address, holds) in held {
        let why = HoldReason::Keys {
            why: holds.iter().map(Hold::to_string).collect(),
            passes: holds.iter().all(Hold::passes),
        };
        plan.held_back.push(HeldBack { address, why });
    }
}

/// Tells of Deployments that a run has left half-way, where this plan does not go on with them.
fn half_way(desired: &Desired, live: &Live, held: &BTreeSet<Address>, plan: &mut Plan) {
    let mut all = live.half_way.clone();
    for key in begun(live) {
        let of_cluster = all.entry(key.cluster.clone());
        if let Ok(keys) = of_cluster.or_insert_with(|| Ok(BTreeSet::new())) {
            keys.insert(key);
        }
    }
    for (cluster, seen) in all {
        let keys = match seen {
            Ok(keys) => keys,
            Err(why) => {
                let what =
                    format!("whether a run has left a template of cluster.{cluster} half-way");
                plan.unseen(what, why);
                continue;
            }
        };
        for key in keys {
            let address = key.template();
            if plan.changes.contains_key(&address) || held.contains(&address) {
                continue;
            }
            let why = format!(
                "a run that changes the template of {} {}/{} did not come to its end: all of its pods of before serve, and until it does no other change of it comes about",
                key.kind, key.namespace, key.name
            );
            if desired.migrations.is_empty() {
                // Whoever takes away what its pods live on would take it from the new one, too.
                let way = "with its `migrate` in the spec (`until: bound` brings the template of before back, `cutover` goes on), `wi apply --read-secrets referenced` brings it to its end first";
                plan.error(address, None, format!("{why}. {way}"));
            } else {
                let way = "with `migrate` of the account whose key it is in the spec, --read-secrets referenced goes on with it: forward with `until: cutover`, back with `until: bound` or `exclude`";
                plan.held_back.push(HeldBack {
                    address,
                    why: HoldReason::Keys {
                        why: vec![format!("{why}. {way}")],
                        passes: false,
                    },
                });
            }
        }
    }
}

/// Those among the workloads that were read for another reason.
fn begun(live: &Live) -> impl Iterator<Item = WorkloadKey> {
    let looked_at = live.off_keys.values().flat_map(|of| &of.templates);
    let looked_at = looked_at.flatten().filter_map(|seen| {
        let object = seen.object.as_ref().ok()?;
        Mark::of(&meta(&object.0))?.way()?;
        workload_of(seen)
    });
    let read = marked(live).filter_map(|(cluster, template, mark)| {
        mark.way()?;
        Some(WorkloadKey {
            cluster: cluster.to_owned(),
            namespace: template.metadata.namespace.parse().ok()?,
            kind: template.kind.clone(),
            name: template.metadata.name.parse().ok()?,
        })
    });
    looked_at.chain(read)
}

/// `None`: no name that Kubernetes takes.
pub(in crate::plan) fn workload_of(seen: &TemplateSeen) -> Option<WorkloadKey> {
    Some(WorkloadKey {
        cluster: seen.cluster.clone(),
        namespace: seen.namespace.parse().ok()?,
        kind: seen.kind.to_owned(),
        name: seen.name.parse().ok()?,
    })
}

fn edit(
    key: WorkloadKey,
    email: &Email,
    seen: &TemplateSeen,
    next: &Next,
) -> Result<Template, Vec<Hold>> {
    let unread = |why: String| vec![Hold::Unread(why)];
    let object = match &seen.object {
        Ok(object) => &object.0,
        Err(why) => return Err(unread(why.clone())),
    };
    let pod: PodSpec = serde_json::from_value(template(seen.kind, object)["spec"].clone())
        .map_err(|e| unread(e.to_string()))?;
    let account = pod.service_account();
    if account == "default" && next.way == Way::Out && !next.goes_on {
        return Err(vec![Hold::default_account()]);
    }
    Ok(Template {
        key,
        email: email.clone(),
        service_account: account
            .parse()
            .map_err(|_| unread(format!("{account} is no name")))?,
        uid: meta(object).uid,
        digest: seen.digest(),
        way: next.way,
        strategy: next.strategy,
        goes_on: next.goes_on,
        steps: next.steps.clone(),
    })
}

/// Whether its pods have what they are to live on, or get it by this plan.
fn may(
    desired: &Desired,
    live: &Live,
    options: &Options,
    plan: &Plan,
    migration: &Migration,
    edit: &Template,
) -> Result<(), Vec<Hold>> {
    if edit.way == Way::Back {
        return match edit.goes_on || migration.until >= Until::Cutover {
            true => Ok(()),
            false => keys_are_live(live, plan, edit),
        };
    }
    lives_on(desired, live, options, plan, &edit.ksa(), &edit.email)
}

/// Whether pods of a Kubernetes service account are the account, or will be by this plan.
pub(super) fn lives_on(
    desired: &Desired,
    live: &Live,
    options: &Options,
    plan: &Plan,
    ksa: &KsaKey,
    email: &Email,
) -> Result<(), Vec<Hold>> {
    match bound::of(desired, live, plan, ksa, email, options.now) {
        Bound::Yes => Ok(()),
        Bound::NotDeclared => Err(vec![Hold::NotDeclared(format!(
            "{}/{}",
            ksa.namespace, ksa.name
        ))]),
        Bound::CannotSay(why) => Err(vec![Hold::NotBound(why)]),
        // What is planned comes before; what is held back may not come.
        Bound::Waits(waits) => {
            let not: BTreeSet<&Address> = waits
                .iter()
                .filter(|a| !plan.changes.contains_key(*a))
                .collect();
            match not.is_empty() {
                true => Ok(()),
                false => Err(vec![Hold::Needs(
                    not.into_iter().map(ToString::to_string).collect(),
                )]),
            }
        }
    }
}

/// Whether all keys of the account are live, or come back by this plan.
fn keys_are_live(live: &Live, plan: &Plan, edit: &Template) -> Result<(), Vec<Hold>> {
    let keys = match live.keys.get(&edit.email) {
        Some(Seen::Found(keys)) => keys,
        _ => {
            return Err(vec![Hold::Unread(
                "the account's keys were not read".to_owned(),
            )]);
        }
    };
    let comes_back = |id: &str| {
        let mut changes = plan.changes.values();
        changes.any(|c| {
            matches!(&c.edit, Edit::Key(k) if k.email == edit.email && k.id == id && !k.ends_it())
        })
    };
    let dead = keys.iter().filter(|k| k.disabled && !comes_back(k.id()));
    let dead: Vec<String> = dead.map(|k| k.id().to_owned()).collect();
    if keys.is_empty() {
        let why = "the account has no key any more".to_owned();
        return Err(vec![Hold::NoFormer(why)]);
    }
    match dead.is_empty() {
        true => Ok(()),
        false => Err(vec![Hold::Disabled(dead)]),
    }
}

fn notes(edit: &Template, next: &Next) -> Vec<String> {
    if edit.goes_on {
        let way = match edit.way {
            Way::Out => "forward",
            Way::Back => "back",
        };
        return vec![format!(
            "a run that changes it did not come to its end: this one goes {way}"
        )];
    }
    let ksa = edit.ksa();
    let mut notes = vec![next.strategy.in_words().to_owned()];
    if edit.way == Way::Out {
        notes.push(format!(
            "its pods act as {} by {}/{} then",
            edit.email, ksa.namespace, ksa.name
        ));
    }
    notes
}
