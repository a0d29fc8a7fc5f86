//! Workloads that live on an identity alone: `wi` took their key out, or made them without it. What takes that identity away
//! comes after their key, or their end; is held back with that; or stops the plan.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::{Address, KsaKey, WorkloadKey};
use crate::desired::Desired;
use crate::live::{Live, Template};
use crate::migrate::mark::{MARK, Way, marked, read_templates};
use crate::migrate::shadow::Mark as ShadowMark;
use crate::names::Email;
use crate::plan::ends::{self, Ends};
use crate::plan::{Edit, Options, Plan, readiness};

/// One that has nothing but its identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Alone {
    /// Its key was taken out.
    CutOver(WorkloadKey),
    /// It was made without one, beside this one.
    Shadow(WorkloadKey),
}

impl Alone {
    fn address(&self) -> Address {
        match self {
            Self::CutOver(key) => key.template(),
            Self::Shadow(key) => key.shadow(),
        }
    }

    /// As the reader knows it.
    fn in_words(&self) -> String {
        match self {
            Self::CutOver(WorkloadKey {
                cluster,
                namespace,
                kind,
                name,
            }) => format!("{kind} {namespace}/{name} in cluster.{cluster}"),
            Self::Shadow(WorkloadKey {
                cluster,
                namespace,
                kind,
                name,
            }) => format!("the shadow of {kind} {namespace}/{name} in cluster.{cluster}"),
        }
    }

    /// Whether a change of the plan gives it its key back, or takes it away.
    fn is_provided_for(&self, plan: &Plan, email: &Email) -> bool {
        let change = plan.changes.get(&self.address());
        match change.map(|c| &c.edit) {
            Some(Edit::Template(template)) => template.way == Way::Back && template.email == *email,
            Some(Edit::Shadow(shadow)) => shadow.goes().is_some(),
            _ => false,
        }
    }
}

/// What changes that end an identity wait for.
#[derive(Debug, Default)]
pub(in crate::plan) struct Rests {
    /// Changes by which those who live on it do not any more.
    needs: BTreeMap<Address, BTreeSet<Address>>,
    /// What those who live on it are without as yet.
    stays: BTreeMap<Address, BTreeSet<String>>,
    /// Why it is not known who lives on it.
    unseen: BTreeMap<Address, BTreeSet<String>>,
}

/// All that live on an identity alone, by that.
fn all(live: &Live) -> BTreeMap<(KsaKey, Email), BTreeSet<Alone>> {
    let mut all: BTreeMap<(KsaKey, Email), BTreeSet<Alone>> = BTreeMap::new();
    let mut add = |cluster: &str, namespace: &str, ksa: &str, email: Email, alone: Alone| {
        if let (Ok(namespace), Ok(name)) = (namespace.parse(), ksa.parse()) {
            let cluster = cluster.to_owned();
            let ksa = KsaKey {
                cluster,
                namespace,
                name,
            };
            all.entry((ksa, email)).or_default().insert(alone);
        }
    };
    let key = |cluster: &str, namespace: &str, kind: &str, name: &str| {
        Some(WorkloadKey {
            cluster: cluster.to_owned(),
            namespace: namespace.parse().ok()?,
            kind: kind.to_owned(),
            name: name.parse().ok()?,
        })
    };
    let shadow = |cluster: &str, namespace: &str, mark: &ShadowMark| {
        key(cluster, namespace, "Deployment", &mark.name).map(Alone::Shadow)
    };
    for (cluster, template, mark) in marked(live) {
        let Template { metadata, kind, .. } = template;
        let namespace = &metadata.namespace;
        if let Some(key) = key(cluster, namespace, kind, &metadata.name) {
            let ksa = template.pod.service_account();
            add(cluster, namespace, ksa, mark.account, Alone::CutOver(key));
        }
    }
    for (cluster, template) in read_templates(live) {
        let namespace = &template.metadata.namespace;
        let mark = ShadowMark::of(&template.metadata);
        if let Some(mark) = mark
            && let Some(alone) = shadow(cluster, namespace, &mark)
        {
            let ksa = template.pod.service_account();
            add(cluster, namespace, ksa, mark.account, alone);
        }
    }
    for seen in live.shadows.values().flatten().flatten() {
        let namespace = seen.meta().namespace;
        if let Some(mark) = seen.mark()
            && let Some(alone) = shadow(&seen.cluster, &namespace, &mark)
        {
            add(
                &seen.cluster,
                &namespace,
                &seen.service_account(),
                mark.account,
                alone,
            );
        }
    }
    all
}

/// What the changes of the plan that end identities wait for. Stops a plan that leaves somebody with nothing, but where that
/// is accepted.
pub(in crate::plan) fn check(
    desired: &Desired,
    live: &Live,
    options: &Options,
    plan: &mut Plan,
) -> Rests {
    let mut rests = Rests::default();
    let ends: Ends = ends::of(desired, live, options.now, plan);
    if ends.is_empty() {
        return rests;
    }
    let alone = all(live);
    let mut lost: BTreeSet<(Address, String)> = BTreeSet::new();
    for (end, by) in &ends {
        let (ksa, email) = end;
        for one in alone.get(end).into_iter().flatten() {
            let address = one.address();
            if one.is_provided_for(plan, email) {
                for change in by {
                    let needs = rests.needs.entry(change.clone()).or_default();
                    needs.insert(address.clone());
                }
                continue;
            }
            if plan
                .errors
                .iter()
                .any(|e| e.subject == address.clone().into())
            {
                continue; // told as that: it was left half-way
            }
            let is_held = plan.held_back.iter().any(|h| h.address == address);
            let told = match (one, is_held) {
                (Alone::CutOver(key), false) => {
                    let first = by.first().cloned().unwrap_or_else(|| ksa.address());
                    lost.insert((first, neither(desired, key, email)));
                    continue;
                }
                (Alone::CutOver(_), true) => format!(
                    "{} has no key and lives on it, until {address} is not held back any more",
                    one.in_words()
                ),
                (Alone::Shadow(_), _) => format!(
                    "{} lives on it, and this plan does not take it away",
                    one.in_words()
                ),
            };
            for change in by {
                let told = told.clone();
                rests.stays.entry(change.clone()).or_default().insert(told);
            }
        }
        let place = (ksa.cluster.clone(), ksa.namespace.to_string());
        if let Some(Err(why)) = live.alone.get(&place) {
            for change in by {
                let told = format!(
                    "whether workloads of {} in cluster.{} live on it alone, since wi took their key out, could not be seen: {why}",
                    ksa.namespace, ksa.cluster
                );
                rests.unseen.entry(change.clone()).or_default().insert(told);
            }
        }
    }
    for (address, message) in lost {
        match options.accept_loss {
            true => plan.warnings.push(message),
            false => plan.error(address, None, message),
        }
    }
    if options.accept_loss {
        let told = |(address, why): (Address, BTreeSet<String>)| {
            let why: Vec<String> = why.into_iter().collect();
            format!("{address}: {}", why.join("; "))
        };
        let held = std::mem::take(&mut rests.stays).into_iter();
        let held = held.chain(std::mem::take(&mut rests.unseen));
        plan.warnings.extend(held.map(told));
    }
    rests
}

/// What a plan that takes it away leaves of a workload, and what is to be done.
fn neither(desired: &Desired, key: &WorkloadKey, email: &Email) -> String {
    let account = desired.account_name(email);
    let account = account.unwrap_or_else(|| {
        let email = email.as_str();
        email.split('@').next().unwrap_or_default()
    });
    let WorkloadKey {
        cluster,
        namespace,
        kind,
        name,
    } = key;
    let kubectl = kind.to_lowercase();
    format!(
        "{kind} {namespace}/{name} in cluster.{cluster} would be nobody: wi took the key of {email} out of it. As long as a key of it is live, `migrate: {{ {account}: {{ until: bound }} }}` in the spec and `wi apply --read-secrets referenced` give it back first. --accept-loss goes on without; then its annotation stays, until `kubectl annotate {kubectl}/{name} -n {namespace} {MARK}-`"
    )
}

impl Rests {
    /// Whether something does not come about.
    pub(in crate::plan) fn holds(&self) -> bool {
        !self.stays.is_empty() || !self.unseen.is_empty()
    }

    /// Takes that out, with what waits for it. The needs of changes are known.
    pub(in crate::plan) fn hold(&self, desired: &Desired, plan: &mut Plan) {
        let unseen = readiness::with_what_waits(self.unseen.clone(), desired, plan);
        let stays = readiness::with_what_waits(self.stays.clone(), desired, plan);
        for (address, why) in stays {
            if plan.changes.remove(&address).is_some() {
                let why: Vec<String> = why.into_iter().collect();
                let told = format!(
                    "{address} stays as it is, though the spec does not ask for it: {}",
                    why.join("; ")
                );
                plan.stays(&address, told);
            }
        }
        for (address, why) in unseen {
            plan.changes.remove(&address);
            let why: Vec<String> = why.into_iter().collect();
            plan.unseen(address, format!("stays as it is: {}", why.join("; ")));
        }
    }

    /// Puts the rest in order, beside all that changes wait for.
    pub(in crate::plan) fn order(&self, plan: &mut Plan) {
        for (address, needs) in &self.needs {
            let there: Vec<Address> = needs
                .iter()
                .filter(|need| plan.changes.contains_key(*need))
                .cloned()
                .collect();
            if let Some(change) = plan.changes.get_mut(address) {
                change.needs.extend(there);
            }
        }
    }
}
