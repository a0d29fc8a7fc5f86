//! Shadows of Deployments on their way off static keys.

use super::super::{Change, Edit, HeldBack, HoldReason, Options, Plan, Shadow};
use super::templates::{lives_on, workload_of};
use crate::address::WorkloadKey;
use crate::desired::Desired;
use crate::live::Live;
use crate::live::shadows::ShadowSeen;
use crate::live::templates::TemplateSeen;
use crate::migrate::shadow::decide::{self, Act, Hold, Next, Why};
use crate::migrate::shadow::{self, Mark, Stage};
use crate::migrate::templates as template;
use crate::names::Email;
use crate::plan::own_shadows::own;
use crate::spec::migration::{Migration, Until};
use crate::spec::model::SourceLine;
use crate::wire::pods::PodSpec;

/// Plans what each migration asks for of shadows. Templates are planned before: by them their originals come to do without
/// the key themselves.
pub(in crate::plan) fn diff(desired: &Desired, live: &Live, options: &Options, plan: &mut Plan) {
    for (cluster, seen) in &live.shadows {
        if let Err(why) = seen {
            plan.unseen(
                format!("which Deployments of cluster.{cluster} are without their key, or shadows"),
                why.clone(),
            );
        }
    }
    let mut left = own(live, &desired.owner);
    for (name, migration) in &desired.migrations {
        let account = desired.accounts.get(name);
        let of = live.off_keys.get(name);
        let templates = of.and_then(|of| of.templates.as_ref());
        let (Some(account), Some(templates)) = (account, templates) else {
            continue;
        };
        for seen in templates {
            let Some(key) = workload_of(seen) else {
                continue;
            };
            let there = left.get(&key).filter(|(_, m)| m.account == account.email);
            let there = there.map(|(shadow, _)| *shadow);
            if there.is_some() {
                left.remove(&key);
            }
            let case = Case {
                desired,
                live,
                options,
                migration,
                email: &account.email,
                key,
            };
            case.plan(seen, there, plan);
        }
    }
    for (key, (shadow, mark)) in left {
        alone(desired, live, &key, shadow, &mark, plan);
    }
}

/// One that no migration has a Deployment for.
fn alone(
    desired: &Desired,
    live: &Live,
    key: &WorkloadKey,
    shadow: &ShadowSeen,
    mark: &Mark,
    plan: &mut Plan,
) {
    let name = desired.account_name(&mark.account);
    let migration = name.and_then(|name| desired.migrations.get(name));
    let asked = migration.filter(|m| {
        let is_out = m.excludes(key.namespace.as_str(), &key.kind, key.name.as_str());
        m.until >= Until::Shadow && !is_out
    });
    let place = migration.map(|m| &m.place);
    let (Some(name), Some(_)) = (name, asked) else {
        return remove(key, shadow, mark, Why::Lowered, place, plan);
    };
    let of = live.off_keys.get(name);
    match of.and_then(|of| of.templates.as_ref().map(|_| &of.unseen)) {
        Some(unseen) if unseen.is_empty() => {
            remove(key, shadow, mark, Why::Alone, place, plan);
        }
        Some(unseen) => {
            let why = unseen.iter().cloned().collect::<Vec<_>>().join("; ");
            hold(key, [Hold::Unread(why)], plan);
        }
        None => {
            let why = "Secrets were not opened (--read-secrets referenced)".to_owned();
            hold(key, [Hold::Unread(why)], plan);
        }
    }
}

fn hold(key: &WorkloadKey, holds: impl IntoIterator<Item = Hold>, plan: &mut Plan) {
    let holds: Vec<Hold> = holds.into_iter().collect();
    let why = HoldReason::Keys {
        why: holds.iter().map(ToString::to_string).collect(),
        passes: holds.iter().all(Hold::passes),
    };
    plan.held_back.push(HeldBack {
        address: key.shadow(),
        why,
    });
}

fn remove(
    key: &WorkloadKey,
    shadow: &ShadowSeen,
    mark: &Mark,
    why: Why,
    place: Option<&SourceLine>,
    plan: &mut Plan,
) {
    let next = Next::remove(shadow, why);
    match edit(
        key,
        &mark.account,
        &shadow.object.0,
        Some(shadow),
        "",
        &next,
    ) {
        Ok(edit) => plan.insert(Change::new(Edit::Shadow(edit), Vec::new(), place)),
        Err(why) => hold(key, [Hold::Unread(why)], plan),
    }
}

/// `object`: that of the original, or of the shadow itself.
fn edit(
    key: &WorkloadKey,
    email: &Email,
    object: &serde_json::Value,
    shadow: Option<&ShadowSeen>,
    digest: &str,
    next: &Next,
) -> Result<Shadow, String> {
    let pod = object["spec"]["template"]["spec"].clone();
    let pod: PodSpec = serde_json::from_value(pod).map_err(|e| e.to_string())?;
    let account = pod.service_account();
    let service_account = account
        .parse()
        .map_err(|_| format!("{account} is no name"))?;
    let meta = shadow.map(ShadowSeen::meta);
    let mark = meta.as_ref().and_then(|m| m.annotations.get(shadow::MARK));
    Ok(Shadow {
        key: key.clone(),
        name: shadow::name_of(key.name.as_str()),
        email: email.clone(),
        service_account,
        act: next.act,
        stage: next.stage,
        uid: meta.as_ref().map(|m| m.uid.clone()).unwrap_or_default(),
        mark: mark.cloned().unwrap_or_default(),
        digest: digest.to_owned(),
        steps: next.steps.clone(),
        dropped: next.dropped.clone(),
        services: next.services.clone(),
    })
}

struct Case<'a> {
    desired: &'a Desired,
    live: &'a Live,
    options: &'a Options,
    migration: &'a Migration,
    email: &'a Email,
    key: WorkloadKey,
}

impl Case<'_> {
    fn plan(&self, seen: &TemplateSeen, shadow: Option<&ShadowSeen>, plan: &mut Plan) {
        let change = plan.changes.get(&self.key.template());
        let cuts_over = change.is_some_and(
            |c| matches!(&c.edit, Edit::Template(t) if t.takes_out() && t.email == *self.email),
        );
        let owner = &self.desired.owner;
        let decision = decide::next(self.migration, owner, self.email, seen, shadow, cuts_over);
        plan.warnings.extend(decision.told);
        if !decision.holds.is_empty() {
            hold(&self.key, decision.holds, plan);
        }
        let Some(next) = decision.next else { return };
        let object = match (&next.object, shadow, &seen.object) {
            (None, Some(shadow), _) => &shadow.object.0,
            (_, _, Ok(original)) => &original.0,
            (_, _, Err(why)) => return hold(&self.key, [Hold::Unread(why.clone())], plan),
        };
        let digest = match next.act {
            Act::Remove(_) => String::new(),
            Act::Make | Act::Change | Act::Prove => seen.digest(),
        };
        let edit = match edit(&self.key, self.email, object, shadow, &digest, &next) {
            Ok(edit) => edit,
            Err(why) => return hold(&self.key, [Hold::Unread(why)], plan),
        };
        if edit.goes().is_none() {
            let (ksa, account) = (edit.ksa(), self.email);
            let own = (ksa.name.as_str() != "default").then_some(());
            let own = own.ok_or_else(|| vec![template::Hold::default_account()]);
            let may = own.and_then(|()| {
                lives_on(self.desired, self.live, self.options, plan, &ksa, account)
            });
            if let Err(holds) = may {
                return hold(&self.key, holds.into_iter().map(Hold::Template), plan);
            }
        }
        let notes = notes(&edit, seen);
        let place = Some(&self.migration.place);
        plan.insert(Change::new(Edit::Shadow(edit), notes, place));
    }
}

fn notes(edit: &Shadow, seen: &TemplateSeen) -> Vec<String> {
    let ksa = edit.ksa();
    let replicas = seen.object.as_ref().ok();
    let replicas = replicas.and_then(|o| o.0["spec"]["replicas"].as_u64());
    match (edit.act, edit.stage) {
        (Act::Make, _) => vec![
            "shadow, since nobody else keeps it and nothing else takes its pod for its own: one pod beside those of before, to which nothing is sent".to_owned(),
            format!(
                "its pod acts as {} by {}/{}",
                edit.email, ksa.namespace, ksa.name
            ),
        ],
        (Act::Change, Stage::Canary) => vec![format!(
            "1 of {} pods is without the key then",
            replicas.unwrap_or(1) + 1
        )],
        _ => Vec::new(),
    }
}
