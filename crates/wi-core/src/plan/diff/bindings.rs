//! Members of policies: authority by principal. Whom the spec does not manage is never touched.

use std::borrow::Cow;
use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::access::has_ended;
use crate::address::BindingKey;
use crate::desired::Desired;
use crate::live::{Live, Seen};
use crate::names::{Email, KsaIdentity, Member};
use crate::plan::authority::Authority;
use crate::plan::left::Left;
use crate::plan::ownership::{owner_in_description, split_description};
use crate::plan::reliance::{Kept, Reliance};
use crate::plan::users::{self, Use, Users};
use crate::plan::{AccountAfter, Action, Binding, Change, Edit, Options, Plan};
use crate::reason::Reason;
use crate::resource::Resource;
use crate::spec::model::OnRemove;
use crate::wire::policy::Policy;
use crate::words::counted;

/// The principals over which this spec has authority.
#[derive(Debug)]
pub struct Managed<'a> {
    accounts: BTreeSet<&'a Email>,
    /// Accounts with its mark that leave it with all that they have.
    released: BTreeSet<&'a Email>,
    ksas: BTreeSet<&'a KsaIdentity>,
    /// Identities that left the spec.
    left: &'a Left,
    /// Accounts of others that `removed` lists.
    listed: BTreeSet<&'a Resource>,
    /// Accounts that come back, and their members with them.
    undeleted: BTreeSet<Email>,
}

impl<'a> Managed<'a> {
    /// Those that it names, and those with its mark that it no longer does.
    pub fn of(desired: &'a Desired, live: &'a Live, left: &'a Left) -> Self {
        let declared = desired
            .accounts
            .values()
            .filter(|a| a.managed)
            .map(|a| &a.email);
        let marked = live
            .accounts
            .values()
            .filter_map(Seen::found)
            .flatten()
            .filter(|(_, a)| owner_in_description(&a.description) == Some(desired.owner.as_str()))
            // One that is referred to by its email is let go with all that it has, too.
            .filter(|(email, _)| {
                desired.account_name(email).is_none() && !desired.of_the_whole.contains(*email)
            });
        // One that is to be kept leaves the spec with all that it has.
        let (released, marked): (Vec<_>, Vec<_>) = marked.partition(|(_, a)| {
            let mark = split_description(&a.description).1;
            mark.is_none_or(|mark| mark.fate() == OnRemove::Keep)
        });
        let declared: BTreeSet<&Email> = declared.collect();
        Self {
            undeleted: BTreeSet::new(),
            accounts: declared
                .into_iter()
                .chain(marked.into_iter().map(|(email, _)| email))
                .collect(),
            released: released.into_iter().map(|(email, _)| email).collect(),
            ksas: desired.ksas.values().map(|k| &k.identity).collect(),
            left,
            listed: listed(desired).collect(),
        }
    }

    /// Without members that are dead today, of accounts that the plan brings back.
    fn without_undeleted(mut self, plan: &Plan) -> Self {
        let undeleted = plan.changes.values().filter_map(|c| match &c.edit {
            Edit::Account(account) => match &account.after {
                AccountAfter::Present { undelete, .. } if undelete.is_some() => {
                    Some(account.email.clone())
                }
                _ => None,
            },
            _ => None,
        });
        self.undeleted.extend(undeleted);
        self
    }

    /// Whether a member of a policy is one of them.
    pub fn has(&self, member: &Member) -> bool {
        match member {
            Member::ServiceAccount(email) => self.accounts.contains(email),
            Member::Ksa(ksa) => self.ksas.contains(ksa) || self.left.has(ksa),
            Member::DeletedServiceAccount { email, .. } => Email::parse(email)
                .is_ok_and(|e| self.accounts.contains(&e) && !self.undeleted.contains(&e)),
            _ => false,
        }
    }

    fn has_left(&self, member: &Member) -> bool {
        matches!(member, Member::Ksa(ksa) if self.left.has(ksa))
    }

    /// Whether this spec alone decides about the binding.
    fn decides(&self, key: &BindingKey) -> bool {
        if let (Member::Ksa(ksa), Resource::ServiceAccount(email)) = (&key.member, &key.resource)
            && self.left.acted_before_as(ksa, email)
        {
            return false; // it is given back to that one
        }
        let own_principal = self.has(&key.member);
        let own_account =
            matches!(&key.resource, Resource::ServiceAccount(e) if self.accounts.contains(e));
        match key.resource {
            // Who may act as an account that others own is theirs to say, but for what this spec let act as it.
            Resource::ServiceAccount(_) if key.is_impersonation() && self.has_left(&key.member) => {
                true
            }
            Resource::ServiceAccount(ref email)
                if key.is_impersonation() && self.released.contains(email) =>
            {
                own_principal
            }
            Resource::ServiceAccount(_) if own_account => own_principal || key.is_impersonation(),
            Resource::ServiceAccount(_) => own_principal && self.listed.contains(&key.resource),
            _ => own_principal,
        }
    }
}

/// Accounts that are not the spec's, and on whose policies a former version of it had members.
fn listed(desired: &Desired) -> impl Iterator<Item = &Resource> {
    let listed = desired.removed.iter();
    listed.filter(|r| matches!(r, Resource::ServiceAccount(email) if !desired.manages(email)))
}

/// Says of accounts of others on which nothing is found to remove that this is so, and who is there.
fn tell_nothing_to_remove(desired: &Desired, live: &Live, plan: &mut Plan) {
    let is_marked = |resource: &Resource| {
        let Resource::ServiceAccount(email) = resource else {
            return false;
        };
        matches!(live.account(email), Some(Seen::Found(account))
            if owner_in_description(&account.description) == Some(desired.owner.as_str()))
    };
    // One with this spec's mark is told of with all that it has.
    for resource in listed(desired).filter(|r| !is_marked(r)) {
        let takes = |c: &Change| matches!(&c.edit, Edit::Binding(b) if !b.adds() && b.key.resource == *resource);
        if plan.changes.values().any(takes) {
            continue;
        }
        // Of what a former version had, that it is gone already is no news, nor what others have there.
        let of_former = desired
            .former_bindings
            .iter()
            .any(|key| key.resource == *resource);
        if of_former {
            continue;
        }
        let there = match live.policies.get(resource) {
            Some(Seen::Found(policy)) => BindingKey::of_policy(resource, policy),
            Some(Seen::Absent) => {
                plan.warnings.push(format!(
                    "nothing is removed on {resource}, which `removed` or a former version of the spec names: it does not exist"
                ));
                continue;
            }
            Some(Seen::Unknown(_)) | None => continue, // told of as unread
        };
        let mut keys = there.keys();
        if keys.any(|key| plan.staying.contains(&desired.binding_address(key))) {
            continue; // told of, with what relies on it
        }
        let others = there
            .into_iter()
            .filter(|(key, _)| key.is_impersonation() && !desired.bindings.contains_key(key));
        let others: Vec<String> = others.flat_map(|(_, spellings)| spellings).collect();
        let by_former = desired.leftovers.as_ref().is_some_and(|l| l.by_former);
        let who = match others.is_empty() {
            false if by_former => format!(
                "these may act as it, and not by the former version: {}",
                others.join(", ")
            ),
            true => "no other workload may act as it".to_owned(),
            false => format!(
                "whether a former version gave it to {} is not known (with --base GIT_REF it is). To take it away: gcloud iam service-accounts remove-iam-policy-binding",
                others.join(", ")
            ),
        };
        plan.warnings.push(format!(
            "nothing is removed on {resource}: the account is not this spec's, and no principal of this spec has anything there that it does not ask for; {who}"
        ));
    }
}

/// Says what accounts that are not the spec's keep of what a former version of it gave them.
fn tell_what_others_keep(desired: &Desired, live: &Live, managed: &Managed<'_>, plan: &mut Plan) {
    let mut kept: BTreeMap<&Email, BTreeSet<String>> = BTreeMap::new();
    for key in &desired.former_bindings {
        let Member::ServiceAccount(email) = &key.member else {
            continue;
        };
        let there = match live.policies.get(&key.resource) {
            Some(Seen::Found(policy)) => {
                BindingKey::of_policy(&key.resource, policy).contains_key(key)
            }
            _ => false,
        };
        if there && !desired.bindings.contains_key(key) && !managed.has(&key.member) {
            kept.entry(email)
                .or_default()
                .insert(format!("{} on {}", key.role, key.resource));
        }
    }
    plan.warnings.extend(kept.into_iter().map(|(email, roles)| {
        format!(
            "{email} keeps what the spec gave it, since the account is not the spec's (`email:`, or let go): {}",
            roles.into_iter().collect::<Vec<_>>().join(", ")
        )
    }));
}

/// Whether a right to act as an account may go.
enum Claim {
    /// It may; why, for the reader.
    Free(Option<String>),
    /// Others use it, or may.
    Held(Box<Users>),
}

impl Managed<'_> {
    /// What others have a claim to: members that the spec does not name, and its own identities in clusters
    /// where they are others'.
    fn claim(&self, desired: &Desired, live: &Live, options: &Options, key: &BindingKey) -> Claim {
        let Resource::ServiceAccount(account) = &key.resource else {
            return Claim::Free(None);
        };
        if !key.is_impersonation() {
            return Claim::Free(None);
        }
        if self.has_left(&key.member) {
            return Claim::Free(None); // where it runs still is looked at with all that it has
        }
        let is_own = matches!(&key.member, Member::Ksa(ksa) if self.ksas.contains(ksa));
        let used = users::use_of(desired, live, &key.member, account);
        match used {
            Use::Nobody(_) | Use::Unseen(_) if is_own => Claim::Free(None),
            Use::Nobody(clusters) => Claim::Free(Some(format!(
                "only the workloads that the spec names may act as an account that it owns, and nobody uses this: in none of the {} of its pool is a service account annotated with the account, nor does a pod run as this one",
                counted(clusters, "cluster")
            ))),
            used if users::accepted(desired, options, &key.member, &used) => {
                Claim::Free(Some(users::accepted_in_words(&used)))
            }
            used => Claim::Held(Box::new(users::held(desired, account, &key.member, used))),
        }
    }
}

/// Answers with what stays since others use it, or may.
pub(in crate::plan) fn diff(
    desired: &Desired,
    live: &Live,
    options: &Options,
    (reliance, relied_on): (&Reliance<'_>, &mut Kept),
    left: &Left,
    plan: &mut Plan,
) -> BTreeMap<BindingKey, Users> {
    let mut held = BTreeMap::new();
    let managed = Managed::of(desired, live, left).without_undeleted(plan);
    // Looked for only where something is to go.
    let authority = LazyCell::new(|| Authority::of(desired, live));
    // What stays since others may have granted it, by why.
    let mut kept: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut wanted_on: BTreeMap<&Resource, Vec<&BindingKey>> = BTreeMap::new();
    for key in desired.bindings.keys() {
        wanted_on.entry(&key.resource).or_default().push(key);
    }
    let resources: BTreeSet<&Resource> = wanted_on
        .keys()
        .copied()
        .chain(live.policies.keys())
        .collect();
    for resource in resources {
        let wanted = wanted_on.get(resource).map_or(&[][..], Vec::as_slice);
        let policy = match policy_of(resource, desired, live) {
            Seen::Found(policy) => policy,
            Seen::Absent => {
                if let Some(first) = wanted.first() {
                    plan.error(
                        desired.binding_address(first),
                        desired.bindings.get(*first),
                        format!("{resource} does not exist"),
                    );
                }
                continue;
            }
            Seen::Unknown(why) => {
                plan.unseen(format!("the policy of {resource}"), why);
                continue;
            }
        };
        let there = BindingKey::of_policy(resource, &policy);
        for key in wanted.iter().filter(|k| !there.contains_key(**k)) {
            add(desired, live, key, plan);
        }
        plan.owned += there.keys().filter(|k| managed.decides(k)).count();
        for (key, spellings) in there {
            if desired.bindings.contains_key(&key) || !managed.decides(&key) {
                continue;
            }
            if let Some(by) = reliance.on_binding(&key) {
                relied_on.add(&desired.binding_address(&key), by, plan);
                continue;
            }
            if !managed.has_left(&key.member)
                && let Some(why) = authority.is_kept(&key, options)
            {
                kept.entry(why).or_default().insert(in_words(&key));
                continue;
            }
            match managed.claim(desired, live, options, &key) {
                Claim::Held(users) => _ = held.insert(key, *users),
                Claim::Free(note) => remove(desired, key, spellings, note, plan),
            }
        }
    }
    for (why, grants) in kept {
        let grants: Vec<String> = grants.into_iter().collect();
        plan.warnings
            .push(format!("kept, since {why}: {}", grants.join("; ")));
    }
    tell_nothing_to_remove(desired, live, plan);
    tell_what_others_keep(desired, live, &managed, plan);
    held
}

fn in_words(key: &BindingKey) -> String {
    format!("{} has {} on {}", key.member, key.role, key.resource)
}

/// The policy of an account that is yet to be created is empty.
pub(in crate::plan) fn policy_of<'a>(
    resource: &Resource,
    desired: &Desired,
    live: &'a Live,
) -> Seen<Cow<'a, Policy>> {
    match live.policies.get(resource) {
        Some(Seen::Found(policy)) => return Seen::Found(Cow::Borrowed(policy)),
        Some(Seen::Absent) => return Seen::Absent,
        Some(Seen::Unknown(why)) => return Seen::Unknown(why.clone()),
        None => {}
    }
    let Resource::ServiceAccount(email) = resource else {
        return Seen::Unknown("it was not read".into());
    };
    let project = desired
        .accounts
        .values()
        .find(|a| a.email == *email)
        .map(|a| &a.project);
    match project.and_then(|p| live.accounts.get(p)) {
        Some(Seen::Found(accounts)) if !accounts.contains_key(email) => {
            Seen::Found(Cow::Owned(Policy::default()))
        }
        Some(Seen::Unknown(why)) => Seen::Unknown(why.clone()),
        _ => Seen::Unknown("its project could not be read".into()),
    }
}

fn add(desired: &Desired, live: &Live, key: &BindingKey, plan: &mut Plan) {
    let member = match &key.member {
        Member::ServiceAccount(email) => format!("serviceAccount:{email}"),
        Member::Ksa(ksa) if key.is_impersonation() => ksa.legacy_member(),
        Member::Ksa(ksa) => match number(desired, live, &ksa.pool) {
            Ok(number) => ksa.principal(number),
            Err(why) => {
                return plan.unseen(format!("the project number behind {}", ksa.pool), why);
            }
        },
        Member::Set(set) => match number(desired, live, &set.pool) {
            Ok(number) => set.member(number),
            Err(why) => {
                return plan.unseen(format!("the project number behind {}", set.pool), why);
            }
        },
        other => other.to_string(),
    };
    let binding = edit(desired, key.clone(), Vec::new(), vec![member]);
    let place = desired.bindings.get(key);
    plan.insert(Change::new(binding, Vec::new(), place));
}

/// The project number that members of a workload pool are written with.
fn number(desired: &Desired, live: &Live, pool: &str) -> Result<u64, Reason> {
    if let Some(number) = desired.numbers.get(pool) {
        return Ok(*number);
    }
    match desired.pools.get(pool).and_then(|p| live.numbers.get(p)) {
        Some(Seen::Found(number)) => Ok(*number),
        Some(Seen::Unknown(why)) => Err(why.clone()),
        _ => Err("the project was not found".into()),
    }
}

fn edit(desired: &Desired, key: BindingKey, before: Vec<String>, after: Vec<String>) -> Edit {
    let on = match &key.resource {
        Resource::ServiceAccount(email) => Some(desired.account_label(email)),
        _ => None,
    };
    let who = match &key.member {
        Member::ServiceAccount(email) => Some(desired.account_label(email)),
        _ => None,
    };
    Edit::Binding(Binding {
        key,
        on,
        who,
        before,
        after,
    })
}

fn remove(
    desired: &Desired,
    key: BindingKey,
    spellings: Vec<String>,
    note: Option<String>,
    plan: &mut Plan,
) {
    let note = note.unwrap_or_else(|| match &key.member {
        Member::ServiceAccount(e) => {
            format!("{e} is managed by this spec, which does not grant it this")
        }
        Member::Ksa(k) => {
            format!("{k} is managed by this spec, which does not grant it this")
        }
        Member::DeletedServiceAccount { email, .. } => format!(
            "dead: it was of an account {email} that is deleted, and the one of today does not have it by this"
        ),
        _ => "only the workloads that the spec names may act as an account that it owns".to_owned(),
    });
    let binding = edit(desired, key, spellings, Vec::new());
    plan.insert(Change::new(binding, vec![note], None));
}

/// Says which grants are under conditions that hold at no time any more; to add one is a mistake.
pub(in crate::plan) fn note_ended(now: Option<Timestamp>, plan: &mut Plan) {
    let mut useless = Vec::new();
    for (address, change) in &mut plan.changes {
        let Edit::Binding(binding) = &change.edit else {
            continue;
        };
        let condition = binding.key.condition.as_ref();
        if condition.is_some_and(|c| has_ended(&c.expression, now)) {
            change.notes.push(match binding.adds() {
                true => "its condition holds at no time any more: it gives nothing".to_owned(),
                false => "its condition holds at no time any more: nobody loses by it".to_owned(),
            });
            plan.ended.insert(address.clone());
            if binding.adds() && change.place.is_some() {
                useless.push((address.clone(), change.place.clone()));
            }
        }
    }
    for (address, place) in useless {
        let why = "it would give nothing: its condition holds at no time any more. Give it a later time, or remove the line";
        plan.error(address, place.as_ref(), why.to_owned());
    }
}

/// Says where the same role is inherited from: adding it changes nothing today, removing it neither.
pub(in crate::plan) fn note_inherited(live: &Live, plan: &mut Plan) {
    for change in plan.changes.values_mut() {
        let Edit::Binding(Binding { key, .. }) = &change.edit else {
            continue;
        };
        let Resource::Project(project) = &key.resource else {
            continue;
        };
        let above = live.ancestors.get(project).into_iter().flatten();
        let also = above.filter(|resource| {
            live.background
                .get(resource)
                .and_then(Seen::found)
                .is_some_and(|policy| {
                    policy.bindings.iter().any(|b| {
                        b.role == key.role.as_str()
                            && b.condition.is_none()
                            && b.members.iter().any(|m| Member::parse(m) == key.member)
                    })
                })
        });
        let notes: Vec<String> = also
            .map(|resource| match change.edit.action() {
                Action::Delete => {
                    format!("also granted by {resource}: the role stays, by inheritance")
                }
                _ => format!("also granted by {resource}: adding it here changes nothing today"),
            })
            .collect();
        change.notes.extend(notes);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::plan::Plan;
    use crate::plan::fixture::{Case, HEAD, marked};

    const FOREIGN: &str = "serviceaccount/ledger@others-1.iam.gserviceaccount.com";
    const USER: &str = "roles/iam.workloadIdentityUser";

    /// A spec that lists the account of others as one on which it had granted.
    fn case(more: &str, members: &[&str]) -> Case {
        let mut case = Case::of(&format!("{HEAD}removed: [{FOREIGN}]\n{more}"));
        case.grant(FOREIGN, "roles/viewer", "user:jo@acme.example");
        for member in members {
            let member = format!("serviceAccount:acme-prod.svc.id.goog[{member}]");
            case.grant(FOREIGN, USER, &member);
        }
        case
    }

    fn removals(plan: &Plan) -> Vec<&str> {
        plan.changes
            .keys()
            .map(|a| &**a)
            .filter(|a| a.starts_with("binding."))
            .collect()
    }

    #[test]
    fn what_the_spec_had_on_an_account_of_others_is_removed_where_it_lists_the_account() {
        let spec = "namespaces: { apps: { serviceAccounts: { web: {} } } }\n";
        let mut case = case(spec, &["apps/web", "apps/left", "apps/theirs"]);
        case.ksa("main", "apps", "left", marked(None, false));
        case.ksa("main", "apps", "theirs", json!({}));
        let plan = case.plan();
        let on = "binding.ledger@others-1.iam.gserviceaccount.com/acme-prod/apps";
        assert_eq!(removals(&plan), [format!("{on}/left"), format!("{on}/web")]);
    }

    #[test]
    fn where_nothing_is_to_be_removed_that_is_said_with_who_is_there() {
        let plan = case("", &["apps/theirs"]).plan();
        assert!(removals(&plan).is_empty());
        let told = plan
            .warnings
            .iter()
            .find(|w| w.contains("nothing is removed on"));
        let told = told.expect("a warning");
        assert!(
            told.contains("acme-prod.svc.id.goog[apps/theirs]") && told.contains("--base"),
            "{told}"
        );
    }

    /// What a former version of the spec had on it is gone already, or is others'.
    #[test]
    fn what_a_former_version_gave_is_known_and_no_command_is_told_against_it() {
        let mut case = case("", &["pay/b"]);
        let resource = crate::resource::Resource::parse(FOREIGN, None).expect("a resource");
        let policy = case.live.policies[&resource].found().expect("a policy");
        let keys = super::BindingKey::of_policy(&resource, policy).into_keys();
        case.desired.former_bindings.extend(keys);
        let plan = case.plan();
        let told = plan
            .warnings
            .iter()
            .any(|w| w.contains("nothing is removed on"));
        assert!(!told, "{:?}", plan.warnings);
    }

    #[test]
    fn an_account_with_its_mark_that_is_held_back_is_not_said_to_be_anothers() {
        let on = "serviceaccount/backend@acme-prod.iam.gserviceaccount.com";
        let mut case = Case::of(&format!("{HEAD}removed: [{on}]\n"));
        case.grant(on, USER, "serviceAccount:acme-prod.svc.id.goog[pay/b]");
        let told = |case: &Case| {
            let all = case.plan().warnings;
            all.iter().any(|w| w.contains("nothing is removed on"))
        };
        case.account("backend", json!({}));
        assert!(told(&case));
        case.account("backend", json!({ "description": "[wi:shop]" }));
        let account = crate::plan::fixture::email("backend");
        let acts = json!({ "iam.gke.io/gcp-service-account": account.as_str() });
        case.ksa("main", "pay", "b", acts);
        assert!(!told(&case), "{:?}", case.plan().held_back);
    }

    #[test]
    fn accounts_of_others_that_are_not_listed_are_theirs() {
        let spec = "googleServiceAccounts: { ledger: { email: ledger@others-1.iam.gserviceaccount.com } }\nnamespaces: { apps: { serviceAccounts: { web: {}, jobs: { impersonates: ledger } } } }\n";
        let mut case = Case::of(&format!("{HEAD}{spec}"));
        case.grant(
            FOREIGN,
            USER,
            "serviceAccount:acme-prod.svc.id.goog[apps/web]",
        );
        let plan = case.plan();
        assert_eq!(removals(&plan).len(), 1, "{:?}", plan.changes.keys());
        assert!(plan.changes[removals(&plan)[0]].edit.action() == crate::plan::Action::Create);
    }
}
