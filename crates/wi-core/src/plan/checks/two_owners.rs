//! What two specs decide about: an identity that is the same one in two clusters, and an account of another spec
//! that is granted something here. Each would take away what the other grants, for ever.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::{Address, BindingKey};
use crate::desired::{Desired, DesiredKsa, GSA_ANNOTATION, KsaKey};
use crate::live::{Live, Seen};
use crate::names::{Email, KsaIdentity, Member};
use crate::plan::ownership::{owner_in_description, owner_of};
use crate::plan::{Edit, Options, Plan};
use crate::resource::Resource;
use crate::wire::kubernetes::ObjectMeta;

/// Makes errors of them, which name both owners.
pub(in crate::plan) fn check(desired: &Desired, live: &Live, options: &Options, plan: &mut Plan) {
    let marked = marked_by_others(desired, live, options);
    if !marked.is_empty() {
        let mut told: BTreeSet<&KsaIdentity> = BTreeSet::new();
        for (key, ksa) in &desired.ksas {
            if let Some(mark) = marked.get(&ksa.identity)
                && told.insert(&ksa.identity)
            {
                identity(desired, key, ksa, mark, plan);
            }
        }
    }
    accounts(desired, live, plan);
    prepared_ahead(desired, live, plan);
}

/// Rights to act as an account of another spec for a service account that others are yet to make or to annotate: that
/// spec sees that nobody uses them, and takes them away. They are not made until it declares them, or the annotation
/// is there.
fn prepared_ahead(desired: &Desired, live: &Live, plan: &mut Plan) {
    let owner_of_account = |email: &Email| {
        let is_others = !desired.manages(email);
        let account = live.account(email).filter(|_| is_others)?;
        let owner = owner_in_description(&account.found()?.description)?;
        (owner != desired.owner).then(|| owner.to_owned())
    };
    let acts_so = |key: &KsaKey, email: &Email| {
        let objects = live.kubernetes.get(&key.cluster).and_then(Seen::found);
        let name = (key.namespace.to_string(), key.name.to_string());
        let there = objects.and_then(|o| o.service_accounts.get(&name));
        let account = there.and_then(|meta| meta.annotations.get(GSA_ANNOTATION));
        account.is_some_and(|a| a == email.as_str())
    };
    let mut held = Vec::new();
    for (address, change) in &plan.changes {
        let Edit::Binding(binding) = &change.edit else {
            continue;
        };
        let (Member::Ksa(identity), Resource::ServiceAccount(email)) =
            (&binding.key.member, &binding.key.resource)
        else {
            continue;
        };
        if !binding.adds() || !binding.key.is_impersonation() {
            continue;
        }
        let mut of_identity = desired.ksas.iter().filter(|(_, k)| k.identity == *identity);
        let acts = |(key, ksa): (&KsaKey, &DesiredKsa)| !ksa.existing || acts_so(key, email);
        let is_ahead = of_identity.clone().next().is_some() && !of_identity.any(acts);
        if let Some(owner) = owner_of_account(email).filter(|_| is_ahead) {
            let (namespace, name) = (&identity.namespace, &identity.name);
            let why = format!(
                "{address} is not made yet: {email} belongs to the spec named `{owner}`, which takes away what nobody uses, and {namespace}/{name} does not act as it yet. Have it declared there (users: [{namespace}/{name}]), or its annotation set first, and plan again"
            );
            held.push((address.clone(), why));
        }
    }
    for (address, why) in held {
        plan.changes.remove(&address);
        plan.warnings.push(why);
    }
}

/// The spec that has marked an identity, and where.
struct Mark {
    owner: String,
    place: String,
}

/// Identities that carry the mark of another spec somewhere. Where this spec declares the very same service
/// account as its own, that is an error already.
fn marked_by_others(
    desired: &Desired,
    live: &Live,
    options: &Options,
) -> BTreeMap<KsaIdentity, Mark> {
    let mut marked = BTreeMap::new();
    let mut look = |pool: &str, meta: &ObjectMeta, place: &dyn Fn() -> String| {
        let Some(owner) = owner_of(meta) else {
            return;
        };
        if owner == desired.owner || options.adopt_from.contains(owner) {
            return;
        }
        let identity = KsaIdentity::new(pool, &meta.namespace, &meta.name);
        marked.entry(identity).or_insert_with(|| Mark {
            owner: owner.to_owned(),
            place: place(),
        });
    };
    for (name, cluster) in &desired.clusters {
        let Some(Seen::Found(objects)) = live.kubernetes.get(name) else {
            continue;
        };
        let pool = cluster.path.project.workload_pool();
        for meta in objects.service_accounts.values() {
            let declared = desired.ksa(name, &meta.namespace, &meta.name);
            if declared.is_none_or(|ksa| ksa.existing) {
                look(&pool, meta, &|| format!("cluster.{name}"));
            }
        }
    }
    for outside in &live.outside {
        let pool = outside.path.project.workload_pool();
        for meta in outside.service_accounts.found().into_iter().flatten() {
            look(&pool, meta, &|| outside.path.to_string());
        }
    }
    marked
}

fn identity(desired: &Desired, key: &KsaKey, ksa: &DesiredKsa, mark: &Mark, plan: &mut Plan) {
    let member = Member::Ksa(ksa.identity.clone());
    let grants = |key: &BindingKey| key.member == member && !key.is_impersonation();
    let takes: Vec<Address> = plan
        .changes
        .iter()
        .filter(|(_, c)| matches!(&c.edit, Edit::Binding(b) if !b.adds() && b.key.member == member))
        .map(|(address, _)| address.clone())
        .collect();
    if takes.is_empty() && !desired.bindings.keys().any(grants) {
        return;
    }
    for address in takes {
        plan.changes.remove(&address);
    }
    let Mark { owner, place } = mark;
    let message = format!(
        "{} is one identity in all clusters of its project and has two owners: this spec, `{}`, names it, and the spec named `{owner}` has marked it in {place}. Each would take away what the other grants to it. Leave its grants to one of them, give it another name in the other, or take it over with --adopt-from {owner}",
        ksa.identity, desired.owner
    );
    plan.error(key.address(), Some(&ksa.place), message);
}

/// Roles that the spec gives to an account of another one, where that decides about its roles.
fn accounts(desired: &Desired, live: &Live, plan: &mut Plan) {
    let others: Vec<_> = desired
        .accounts
        .values()
        .filter(|a| !a.managed && !a.grants.is_empty())
        .filter_map(|account| {
            let Some(Seen::Found(there)) = live.account(&account.email) else {
                return None;
            };
            let owner = owner_in_description(&there.description)?;
            (owner != desired.owner).then(|| (account, owner.to_owned()))
        })
        .collect();
    for (account, owner) in others {
        let member = Member::ServiceAccount(account.email.clone());
        let mut elsewhere: BTreeSet<String> = BTreeSet::new();
        for grant in &account.grants {
            let key = BindingKey {
                resource: grant.resource.clone(),
                role: grant.role.clone(),
                condition: grant.condition.clone(),
                member: member.clone(),
            };
            let address = desired.binding_address(&key);
            if !plan.changes.contains_key(&address) {
                continue; // it has it already, whoever asked for that
            }
            // Its owner looks into its project, and searches it.
            let is_home = match &grant.resource {
                Resource::Project(project) => *project == account.project,
                resource => resource.project().as_ref() == Some(&account.project),
            };
            if is_home || has_more(desired, live, &grant.resource, &member) {
                let message = format!(
                    "{} belongs to the spec named `{owner}`, which decides about its roles on {} and would take this one away: have it granted there, or act as an account of this spec, `{}`",
                    account.email, grant.resource, desired.owner
                );
                plan.error(address, Some(&grant.place), message);
            } else {
                elsewhere.insert(grant.resource.to_string());
            }
        }
        if !elsewhere.is_empty() {
            let resources: Vec<String> = elsewhere.into_iter().collect();
            plan.warnings.push(format!(
                "{} belongs to the spec named `{owner}`, which decides about its roles on whatever it names itself, and in its projects. Where it names {}, have the role granted there: it would take this one away",
                account.email,
                resources.join(", ")
            ));
        }
    }
}

/// Whether a member has something on a resource that this spec does not give it: its owner looks there.
fn has_more(desired: &Desired, live: &Live, resource: &Resource, member: &Member) -> bool {
    let policy = live.policies.get(resource).and_then(Seen::found);
    policy
        .into_iter()
        .flat_map(|p| &p.bindings)
        .flat_map(|b| b.members.iter().map(move |m| (b, m)))
        .filter_map(|(binding, m)| BindingKey::read(resource, binding, m))
        .any(|key| key.member == *member && !desired.bindings.contains_key(&key))
}
